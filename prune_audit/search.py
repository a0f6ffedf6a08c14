"""The search for the sparsest network that does no harm."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from prune_audit import models
from prune_audit.core import Audit, Dataset, DataSource, ModelSource, Settings
from prune_audit.errors import UsageError
from prune_audit.prune import Pruned, Recipe, Stages, beside, check_output, open_data, require_data, run

LOWEST = 0.01  # the density below which nobody looks without being asked
RATIO = 1.1  # the search ends where the next density would be this close


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """The sparsest network that passed, None where none did; every (density, exit code) that was tried, in order; and
    the audit of the last one that did not pass, None where all did."""

    pruned: Pruned | None
    tried: tuple[tuple[float, int], ...]
    failed: Audit | None


def until_harm(
    dense: ModelSource,
    output: Path,
    recipe: Recipe,
    settings: Settings,
    audited: Callable[[ModelSource], Audit],
    *,
    source: DataSource | Dataset | None = None,
    export: Path | None = None,
    progress: Stages | None = None,
) -> Search:
    """Search the sparsest network whose audit passes, by bisection of the logarithm of the density, and write it.

    The density of ``recipe`` is the lowest that is looked at. Each try is cut anew from the dense network at one blow,
    and trained where the recipe says so. That a sparser network does more harm is taken for granted, as in any
    bisection; that the last to pass was chosen by these very data is why it should be confirmed on others.

    Raises:
        UsageError: the recipe has a schedule of several cuts, or no density.
        AuditError: as `run`, and whatever ``audited`` raises.
    """
    if recipe.density is None or recipe.pattern is not None or recipe.schedule not in (None, "one-shot"):
        raise UsageError(
            "the search for the sparsest network cuts at one blow, at densities of its own",
            hint="leave out --schedule and what stands in place of a density, or give a --density without --until-harm",
        )
    check_output(dense.path, output)
    low, high = recipe.density, 1.0
    tried: list[tuple[float, int]] = []
    best: Pruned | None = None
    failed: Audit | None = None
    with beside(output) as folder:
        kept: Path | None = None
        while not tried or high / low > RATIO:
            density = math.sqrt(low * high)
            place = Path(folder) / str(len(tried))
            place.mkdir()
            step = replace(recipe, density=density, schedule="one-shot")
            made = run(dense, place / output.name, step, settings, source=source, export=None, progress=progress)
            audit = audited(made.source)
            tried.append((density, audit.exit_code))
            if audit.exit_code == 0:
                high, best, kept = density, made, place
            else:
                low, failed = density, audit
        if best is None or kept is None:
            return Search(pruned=None, tried=tuple(tried), failed=failed)
        for each in sorted(kept.iterdir(), key=lambda each: each.name == output.name):
            each.replace(output.parent / each.name)
    if export is not None:
        opened = models.editable(replace(dense, path=output), settings)
        given = open_data(opened, recipe.training, require_data(recipe, source, trains=False), settings, trains=False)
        opened.export(given.reader.arrays(given.rows[:2]), export)
    where = replace(best.source, path=output)
    pruned = replace(best, source=where, card=replace(best.card, path=str(output)))
    return Search(pruned=pruned, tried=tuple(tried), failed=failed)
