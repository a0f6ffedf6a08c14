"""prune-audit inspect: what a model file holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from prune_audit.cli import _options as o

if TYPE_CHECKING:
    from rich.console import RenderableType

    from prune_audit.core import Assumption, Classifier, Expects, Input, Layer, ModelCard, Recorded

SHOWN = 10  # of what is not counted
_LARGEST = 2**28  # numbers in a sample whose work is counted


def run(
    model: o.Model,
    parts: o.Parts,
    isolation: o.Isolation,
    allow_pickle: o.AllowPickle = False,
) -> None:
    """Show what a model file holds: density layer by layer, parameters, multiply-accumulates, sizes, declared inputs.

    A state dict or a safetensors file needs no factory here: the names and shapes of its tensors tell its layers.

    Example: prune-audit inspect pruned.onnx
    """
    from prune_audit import models
    from prune_audit.cli import _terminal
    from prune_audit.core import Expects, Settings
    from prune_audit.render.consoles import Text

    settings = Settings(
        allow_pickle=allow_pickle,
        model_output=tuple(parts.model_output or ()),
        state_key=tuple(parts.state_key or ()),
        **isolation.settings(),
    )
    source = models.parse(model)
    card = models.bare(source, settings)
    if card is not None:
        facts = _facts(card, Expects(), None, (), ())
    else:
        classifier = models.load(source, settings)
        card = classifier.card
        facts = _facts(card, classifier.expects, _macs(classifier), classifier.assumptions, _gives(classifier))
    with _terminal.printing() as out:
        out.print(facts)
        out.print()
        if card.layers:
            out.print(layers(card))
        else:
            out.print(Text("No weights of layers can be seen: density unknown."))
            if card.uncounted:
                out.print(Text(f"not counted: {some(card.uncounted)}"))


def _macs(classifier: Classifier | Recorded) -> int | None:
    """Multiply-accumulates of one sample, where the model declares the shapes and types of all that it takes."""
    import numpy as np

    from prune_audit.core import Recorded

    if isinstance(classifier, Recorded) or not classifier.expects.inputs:
        return None
    count = classifier.expects.batch or 1
    sample = {}
    for declared in classifier.expects.inputs:
        if declared.dtype is None or declared.shape is None or None in declared.shape[1:]:
            return None
        shape = (count, *(n or 1 for n in declared.shape[1:]))
        if math.prod(shape) > _LARGEST:
            return None
        sample[declared.name] = np.zeros(shape, declared.dtype)
    macs = classifier.macs(sample)
    return None if macs is None else macs // count


def _gives(classifier: Classifier | Recorded) -> list[str]:
    """The outputs, as far as they can be seen without a run."""
    from prune_audit.core import Recorded

    if isinstance(classifier, Recorded):
        return []
    return [f"{each}, {each.dtype}" for each in getattr(classifier, "gives", ())] or ["known only when it runs"]


def _facts(
    card: ModelCard, expects: Expects, macs: int | None, assumptions: Sequence[Assumption], gives: Sequence[str]
) -> RenderableType:
    from rich.table import Table

    from prune_audit.render import rounded
    from prune_audit.render.consoles import Text

    facts = [
        ("name", card.name),
        ("path", card.path),
        ("format", card.format),
        ("size", f"{_bytes(card.size)} on disk"),
        *([("compressed", f"{_bytes(card.compressed)} by zstd")] if card.compressed is not None else []),
        ("digest", card.digest),
        ("parameters", "unknown" if card.parameters is None else f"{card.parameters:,}"),
        *([("macs", f"{macs:,} multiply-accumulates a sample, zeros counted")] if macs is not None else []),
        *(("input", _input(declared)) for declared in expects.inputs),
        *(("output", output) for output in gives),
    ]
    if expects.outputs is not None:
        facts.append(("columns", f"{expects.outputs:,} of its scores"))
    if expects.classes:
        facts.append(("classes", rounded.listed(expects.classes)))
    facts += [(f"assumes {each.what}", f"{each.value} ({each.why}; {each.option})") for each in assumptions]
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in facts:
        grid.add_row(Text(name), Text(value))
    return grid


def layers(card: ModelCard) -> RenderableType:
    """The density of every layer, and of all, as a table; below it what is not counted, and what rounding explains."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Group
    from rich.table import Table

    from prune_audit.render.consoles import Text

    rounds = any(layer.rounded for layer in card.layers)
    grid = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for title in ("layer", "kind", "shape"):
        grid.add_column(Text(title, style="bold"), no_wrap=title != "layer", overflow="fold")
    for title in ("nonzero", *(["rounded"] if rounds else []), "of", "density"):
        grid.add_column(Text(title, style="bold"), justify="right", no_wrap=True)
    for layer in card.layers:
        shape = " x ".join(map(str, layer.shape))
        grid.add_row(*map(Text, (layer.name, layer.kind, shape, *_numbers([layer], rounds=rounds))))
    grid.add_section()
    grid.add_row(*(Text(c, style="bold") for c in ("all of these", "", "", *_numbers(card.layers, rounds=rounds))))
    below = [Text(f"not counted: {some(card.uncounted)}")] if card.uncounted else []
    if rounds:
        below.append(Text("rounded: zeros of quantised weights that rounding explains; nobody cut them"))
    return Group(grid, *below)


def some(names: Sequence[str]) -> str:
    """The first of ``names``, and how many there are more."""
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _numbers(layers: Sequence[Layer], *, rounds: bool) -> tuple[str, ...]:
    """What ``layers`` hold together: nonzero and rounded numbers, all of them, and the share that was not cut."""
    nonzero, rounded, total = (sum(getattr(layer, key) for layer in layers) for key in ("nonzero", "rounded", "total"))
    density = (nonzero + rounded) / total if total else None
    return (f"{nonzero:,}", *([f"{rounded:,}"] if rounds else []), f"{total:,}", _percent(density))


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f} %"


def _input(declared: Input) -> str:
    shape = (
        "unknown shape" if declared.shape is None else " x ".join("?" if n is None else str(n) for n in declared.shape)
    )
    return f"{declared.name}: {declared.dtype or 'unknown type'}, {shape}"


def _bytes(size: int) -> str:
    """Decimal units, as shops and file managers count, with the exact number beside them."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit} ({size:,} bytes)"
    return f"{size:,} bytes"
