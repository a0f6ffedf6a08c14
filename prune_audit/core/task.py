"""What is counted: the kind of thing that a model gets right or wrong, as those who read an audit need to know it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

GROUP = ("group", "groups")
"""What the values of a column are called that is not the class."""
RECALLS = ("recall", "recall", "overall recall")
"""`Task.rates` of things that a model finds or misses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A kind of labelled thing: by which ``name`` people choose it, and what it and its classes are called.

    ``thing`` and ``stratum`` are words for one and for many, and ``source`` for what holds things and is what people
    collect more of. ``rates`` are what the share of things is called that a model gets right: of a class, of another
    group, of all. Reports take all of these words from here. ``lacks`` says why there is nothing of what a statistic
    may need (``NEEDS``): ``answers`` are classes that a thing is taken for, ``calls`` what is called by a class and is
    not of it, ``scores`` confidences in answers, and there is ``guessing`` where whoever answers blindly among the
    classes is right now and then.
    ``missed`` is how the answer is called that is no class, None where every answer is one: position C of C classes.
    """

    name: str = "classification"
    thing: tuple[str, str] = ("sample", "samples")
    stratum: tuple[str, str] = ("class", "classes")
    source: tuple[str, str] = ("sample", "samples")
    rates: tuple[str, str, str] = ("recall", "accuracy", "accuracy")
    lacks: Mapping[str, str] = field(default_factory=dict)
    missed: str | None = None

    def strata(self, by: str) -> tuple[str, str]:
        """What the strata by ``by`` are called, one and many."""
        return self.stratum if by == "class" else GROUP

    def rate(self, by: str) -> str:
        """What the share of things of such a stratum is called that a model gets right."""
        return self.rates[0] if by == "class" else self.rates[1]

    @property
    def overall(self) -> str:
        """What the share of all things is called that a model gets right."""
        return self.rates[2]

    def answers(self, classes: tuple[str, ...]) -> tuple[str, ...]:
        """The names of what a thing may be taken for: ``classes``, and what is none of them."""
        return classes if self.missed is None else (*classes, self.missed)


CLASSIFICATION = Task()
"""One label a sample, which is what is meant where nothing else is said."""
