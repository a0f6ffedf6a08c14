"""Arrays to `Measure`s: None with a reason where a stratum has no value.

One place turns numpy into tuples, so that no statistic can leak NaN or an infinity into a report.
"""

from __future__ import annotations

from collections.abc import Mapping

from prune_audit.core import Array, Floats, Measure, Pair, Unit, Value

NO_TIES = "no two classes were seen to share a highest score"
SAME = "both models are the same file"


def no_things(pair: Pair) -> str:
    """Why nothing can be said where nothing was observed."""
    return f"no {pair.task.thing[1]}"


def nothing_to_lose(pair: Pair) -> str:
    """Why there is no loss where the dense model is never right."""
    return f"dense {pair.task.rates[0]} is 0: nothing to lose"


def no_flips(pair: Pair) -> str:
    """Why no spread can be told of two models that are right on the same things."""
    return f"no {pair.task.thing[0]} flipped: nothing shows how far the models may differ"


def without_samples(pair: Pair) -> dict[int, str]:
    """The strata that nothing can be said of, because nothing was observed there."""
    return {int(i): no_things(pair) for i in (pair.support == 0).nonzero()[0]}


def column(
    name: str,
    title: str,
    unit: Unit,
    values: Array,
    absent: Mapping[int, str],
    *,
    limits: tuple[Floats, Floats] | None = None,
    overall: Value = None,
    overall_limits: tuple[float, float] | None = None,
    overall_absent: str | None = None,
) -> Measure:
    """A measure of ``values`` (S,) and their ``limits`` (low, high), (S,) each, save where ``absent`` says why not."""

    def entries(array: Array) -> tuple[Value, ...]:
        listed = array.tolist()
        for i in absent:
            listed[i] = None
        return tuple(listed)

    low, high = limits if limits is not None else (None, None)
    return Measure(
        name=name,
        title=title,
        unit=unit,
        by_stratum=entries(values),
        low=entries(low) if low is not None else (),  # type: ignore[arg-type]  # Floats list as floats
        high=entries(high) if high is not None else (),  # type: ignore[arg-type]  # likewise
        absent=dict(absent),
        overall=overall,
        overall_low=overall_limits[0] if overall_limits else None,
        overall_high=overall_limits[1] if overall_limits else None,
        overall_absent=overall_absent,
    )
