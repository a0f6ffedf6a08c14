"""An audit from Python: live modules, functions and arrays beside files, and charts as objects.

The other entrance beside ``cli/``: it takes what a notebook has at hand, says what is wrong with it, and hands on to
`prune_audit.audit`. Nothing is printed. Drops are shares here (2 points are .02), as in `Settings` and in audits.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from prune_audit import audit, charts, logs, models, options, reports, rules, spelling
from prune_audit import data as data_room
from prune_audit import explain as explaining
from prune_audit.core import Audit, Classifier, Dataset, DataSource, ModelSource, Policy, Preprocess, Settings, chosen
from prune_audit.errors import UsageError
from prune_audit.evaluate.cache import Store, folder
from prune_audit.evaluate.loop import Progress
from prune_audit.printable import printable
from prune_audit.render import picture
from prune_audit.render.picture import svg
from prune_audit.runners import cores

if TYPE_CHECKING:
    import torch

Model: TypeAlias = "str | Path | torch.nn.Module | Callable[[Any], Any]"
Data: TypeAlias = "str | Path | tuple[Any, Any] | DataSource | Dataset"


def compare(
    dense: Model,
    pruned: Model | Sequence[Model] | Mapping[str, Model],
    *,
    data: Data | None = None,
    classes: Sequence[str] | str | Path | None = None,
    preprocess: str | Path | Preprocess | None = None,
    by: str | Sequence[str] = (),
    margin: float | None = None,
    assure: float | None = None,
    limit: int | None = None,
    policy: str | Path | Policy | None = None,
    settings: Settings | None = None,
    cache: bool | str | Path = True,
    thumbnails: int = 0,
    flips: int = audit.FLIPS_KEPT,
    append: Audit | None = None,
    progress: Callable[[str], Progress | None] | None = None,
) -> Audit:
    """Compare ``pruned`` variants with the ``dense`` model on labelled data.

    A model is a path, written as on the command line (``NAME=PATH@module:factory(...)``); a torch module, which runs
    on the device where it is and is left as it was found; or a function from a batch to scores: a numpy array (B, ...)
    to (B, C), or to integer classes (B,). Modules and functions are called ``dense`` and ``pruned``, or ``pruned-1``,
    ``pruned-2`` ...; a mapping gives the variants names.

    ``data`` are a path, a pair (inputs (N, ...), labels (N,)) that is fed as it is, or a `prune_audit.arrays` or
    `prune_audit.DataSource`, which can say more; None where the files of the models say what was asked. ``classes`` are
    names in the order of the outputs, or a file of them; ``preprocess`` is a preset, a file or a `Preprocess`, for
    images at a path. ``by``, ``margin``, ``assure`` and
    ``limit`` are laid over ``settings``; a wider margin takes the assurance limit along. ``policy`` is a preset, a
    file or a `Policy`; without one nothing is judged. Predictions of files are kept in ``cache``, the user's own
    folder where it is True (or PRUNE_AUDIT_CACHE); those of modules and functions never are. Of the samples of each
    variant that only one model gets right up to ``flips`` are listed. ``append`` is an earlier
    audit with ``Settings(until_settled=True)``, of the same models and limits, that the data are added to.

    Raises:
        AuditError: something cannot be read or makes no sense; ``hint`` says what to do.
    """
    asked = _settings(settings or Settings(), by, margin, assure, limit)
    named = _named(pruned)
    threads = asked.threads or max(1, cores() // (1 + len(named)))

    def opened(name: str | None, model: Model, default: str) -> ModelSource | Classifier:
        if not isinstance(model, str | os.PathLike):
            if asked.runtime == "onnxruntime":
                raise UsageError(
                    f"{name or default} is no file, and runtime={asked.runtime!r} is for files",
                    hint="leave the runtime out, or save the model and give its path",
                )
            called = name or default
            return models.in_memory(model, called, threads, chosen(asked.model_output, called))
        source = models.parse(os.fspath(model))
        return source if name is None else replace(source, name=name)

    alone = len(named) == 1
    with models.as_found([dense, *(model for _, model in named)]):
        return audit.run(
            opened(None, dense, "dense"),
            [opened(name, model, "pruned" if alone else f"pruned-{n}") for n, (name, model) in enumerate(named, 1)],
            None if data is None else _data(data, classes, preprocess),
            asked,
            policy=policy if policy is None or isinstance(policy, Policy) else rules.chosen(policy, start=Path.cwd()),
            store=_store(cache),
            thumbnails=thumbnails,
            flips=flips,
            earlier=append,
            progress=progress,
        )


def explain(
    dense: str | Path,
    pruned: str | Path | Sequence[str | Path] | Mapping[str, str | Path],
    *,
    data: str | Path | DataSource,
    audited: str | Path | DataSource,
    lenses: Sequence[str] | Mapping[str, Mapping[str, Any]] | None = None,
    samples: int = 200,
    same_data: bool = False,
    thumbnails: int = 0,
    classes: Sequence[str] | str | Path | None = None,
    preprocess: str | Path | Preprocess | None = None,
    settings: Settings | None = None,
    cache: bool | str | Path = True,
    progress: Callable[[str], Progress | None] | None = None,
) -> Audit:
    """Compare ``pruned`` variants with the ``dense`` model on ``audited``, and say why the classes suffer that do.

    The audit holds what lenses saw: ``explained`` and ``looks`` of each of its comparisons. Models are paths, since
    lenses write changed networks and judge them as files, ``WEIGHTS@module:factory`` where a lens needs gradients; a
    mapping gives the variants names. ``data`` is what the networks were trained on, of which up to ``samples`` of each
    class are computed with; ``classes`` and ``preprocess`` are of both data, where these are paths. ``lenses`` are
    names, the usual ones where None; a mapping gives each its options, ``{"robustness": {"robust": "2/255"}}``.
    ``same_data`` lets both data be the same, of which nothing that comes of samples is called an explanation;
    ``thumbnails`` and the rest are as in `compare`.

    Raises:
        AuditError: as in `compare`; or both data are the same, or no lens can look at these models.
    """
    wanted: Sequence[str] | Mapping[str, Mapping[str, Any]] = explaining.usual() if lenses is None else lenses
    asked = explaining.Asked(
        lenses={name: _of_lens(name, wanted[name] if isinstance(wanted, Mapping) else {}) for name in wanted},
        samples=samples,
        same_data=same_data,
        thumbnails=thumbnails,
    )
    source, judged = (_data(each, classes, preprocess) for each in (data, audited))
    if not isinstance(source, DataSource) or not isinstance(judged, DataSource):
        raise UsageError("lenses compute on files", hint="give paths or a DataSource as data and audited")
    parsed = [(name, _path(model)) for name, model in _named(pruned)]
    return explaining.run(
        _path(dense),
        [model if name is None else replace(model, name=name) for name, model in parsed],
        source,
        judged,
        settings or Settings(),
        asked,
        store=_store(cache),
        progress=progress,
    )


@dataclass(frozen=True, slots=True)
class Picture:
    """One or several charts, drawn below one another: what a notebook shows, and what `save` writes."""

    charts: tuple[picture.Chart, ...]

    def _repr_svg_(self) -> str:
        return svg(self.charts)

    def save(self, path: str | Path) -> None:
        """Write the drawing to ``path``, an .svg file. Raises `OutputError` where that cannot be done."""
        reports.put(Path(path), svg(self.charts).encode())


def chart(audit: Audit, name: str, variant: str | None = None) -> Picture:
    """The chart called ``name`` (``prune-audit list charts``) of every variant, or of ``variant`` alone.

    Raises:
        UsageError: there is no such chart or variant, or the audit has nothing for it.
    """
    drawn = charts.named(audit, name)
    if variant is None:
        return Picture(drawn)
    names = [comparison.pruned.name for comparison in audit.comparisons]
    if variant not in names:
        raise UsageError(f"there is no variant {variant!r}", hint=spelling.hint(variant, names))
    own = tuple(each for each in drawn if each.variant == names.index(variant))
    if not own:
        raise UsageError(
            f"the chart {name!r} is not of {variant!r} alone", hint=f'leave the variant out: chart(audit, "{name}")'
        )
    return Picture(own)


def write(audit: Audit, path: str | Path) -> None:
    """Write ``audit`` to ``path`` as a report; its suffix chooses the format (``prune-audit list reports``).

    Raises:
        UsageError: no report has that suffix.
        OutputError: the file cannot be written.
    """
    reports.write(audit, Path(path))


def log(audit: Audit, service: str) -> str:
    """Write ``audit`` to a ``service`` (``prune-audit list logs``), such as the active run of ``mlflow``.

    Returns what was written where.

    Raises:
        UsageError: there is no such service.
        MissingExtra: its library is not installed.
        OutputError: it refused, or cannot be reached.
    """
    logs.check([service])
    return logs.log(audit, [service], {name: reports.content(audit, name) for name in logs.FILES})[0]


def _settings(
    settings: Settings, by: str | Sequence[str], margin: float | None, assure: float | None, limit: int | None
) -> Settings:
    """``settings`` with what was given beside them."""
    if by:
        settings = replace(settings, by=(by,) if isinstance(by, str) else tuple(by))
    if margin is not None or assure is not None:
        margin = settings.margin if margin is None else margin
        settings = replace(settings, margin=margin, assure=max(settings.assure, margin) if assure is None else assure)
    return settings if limit is None else replace(settings, limit=limit)


def _of_lens(name: str, given: Mapping[str, Any]) -> Any:
    """The options of a lens, those ``given`` and the others as by default; None where it has none."""
    group = options.of_plugin("lenses", name)
    known = [] if group is None else [field.name for field in fields(group)]
    if unknown := [each for each in given if each not in known]:
        raise UsageError(
            f"{unknown[0]!r} is no option of the lens {name}",
            hint=spelling.hint(unknown[0], known) if known else "it has none",
        )
    return None if group is None else group(**given)


def _path(model: Model) -> ModelSource:
    if not isinstance(model, str | os.PathLike):
        raise UsageError(
            f"lenses look at files, found {type(model).__name__}",
            hint="save the network and give WEIGHTS@module:factory",
        )
    return models.parse(os.fspath(model))


def _named(pruned: Model | Sequence[Model] | Mapping[str, Model]) -> list[tuple[str | None, Model]]:
    """The variants, with names where they were given some."""
    if isinstance(pruned, Mapping):
        return [(str(name), model) for name, model in pruned.items()]
    # A torch.nn.Sequential is a model, though it can be indexed; no torch module is a list.
    if isinstance(pruned, list | tuple):
        return [(None, model) for model in pruned]
    return [(None, pruned)]  # type: ignore[list-item]  # of sequences, only these two hold models


def _data(
    data: Data, classes: Sequence[str] | str | Path | None, preprocess: str | Path | Preprocess | None
) -> DataSource | Dataset:
    if isinstance(data, str | os.PathLike):
        steps = preprocess if isinstance(preprocess, Preprocess) else Preprocess()
        if not isinstance(preprocess, str | os.PathLike | Preprocess | None):
            raise UsageError(
                f"preprocess: expected a preset, a file or a Preprocess, found {type(preprocess).__name__}",
                hint="preprocess=prune_audit.Preprocess(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))",
            )
        preset = None if preprocess is None or isinstance(preprocess, Preprocess) else os.fspath(preprocess)
        names = None if classes is None else data_room.class_names(classes)
        return DataSource(path=Path(data), classes=names, preprocess=data_room.preprocess(preset, steps))
    if preprocess is not None:
        raise UsageError(
            "preprocess is for images at a path; these data are fed as they are",
            hint="prepare the arrays as the models need them, or say it in the DataSource",
        )
    if isinstance(data, tuple):
        if len(data) != 2:
            raise UsageError(f"data: expected a pair (inputs, labels), found {len(data)}", hint="data=(x, y)")
        return data_room.arrays(*data, classes=classes)
    if classes is not None:
        raise UsageError("these data name their classes themselves", hint="leave classes out")
    if isinstance(data, DataSource) or hasattr(data, "fingerprint"):
        return data
    raise UsageError(
        f"data: expected a path, a pair (inputs, labels) or a data set, found {type(data).__name__}",
        hint="data=(x, y) takes arrays, prune_audit.arrays(x, y, groups=...) says more of them",
    )


def _store(cache: bool | str | Path) -> Store | None:
    if cache is False:
        return None
    root = Path(os.environ.get("PRUNE_AUDIT_CACHE") or folder()) if cache is True else Path(cache)
    return Store(root, told=lambda line: warnings.warn(printable(line), stacklevel=2))
