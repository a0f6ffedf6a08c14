"""What is counted: the kind of thing that a model gets right or wrong, as those who read an audit need to know it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A kind of labelled thing: by which ``name`` people choose it, and what it and its classes are called.

    ``thing`` and ``stratum`` are words for one and for many. ``lacks`` says why there is nothing of what a statistic
    may need (``NEEDS``): ``answers`` are classes that a thing is taken for, ``calls`` what is called by a class and is
    not of it, ``scores`` confidences in answers, and there is ``guessing`` where whoever answers blindly among the
    classes is right now and then.
    ``missed`` is how the answer is called that is no class, None where every answer is one: position C of C classes.
    """

    name: str = "classification"
    thing: tuple[str, str] = ("sample", "samples")
    stratum: tuple[str, str] = ("class", "classes")
    lacks: Mapping[str, str] = field(default_factory=dict)
    missed: str | None = None

    def answers(self, classes: tuple[str, ...]) -> tuple[str, ...]:
        """The names of what a thing may be taken for: ``classes``, and what is none of them."""
        return classes if self.missed is None else (*classes, self.missed)


CLASSIFICATION = Task()
"""One label a sample, which is what is meant where nothing else is said."""
