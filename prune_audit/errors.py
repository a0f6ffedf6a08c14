"""Every error that prune-audit raises on purpose, as one tree.

AuditError                  the audit could not be done; always with a hint
├── UsageError              the request makes no sense as asked
├── InputError              a file is missing, broken, or not what it should be
│   ├── ModelError          ... a model
│   │   └── UnsafeFile      ... that would run code
│   ├── DataError           ... the labelled data
│   ├── PolicyError         ... a policy file
│   └── StudyError          ... a study, as it is planned or as it was run
├── AlignmentError          models and data do not fit together
├── MissingExtra            an optional library is not installed
├── PluginError             a plugin of another package cannot be used
└── OutputError             a report could not be written

Errors are raised low, where expected and found values are at hand, and caught once, in ``cli/``, which prints
``error:`` and ``hint:`` and exits with code 2.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from prune_audit.printable import printable


class AuditError(Exception):
    """The audit could not be done. ``message`` says what was expected and found; ``hint`` says what to do."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.add_note(f"hint: {printable(hint)}")  # what a traceback and a notebook show below the message

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), hint=self.hint), (self.message,)

    def __str__(self) -> str:
        """For tracebacks and notebooks: names in it steer nothing."""
        return printable(self.message)


class UsageError(AuditError):
    """The request makes no sense as asked."""


class InputError(AuditError):
    """A file is missing, broken, or not what it should be."""


class ModelError(InputError):
    """A model could not be loaded or run."""


class UnsafeFile(ModelError):
    """A model file that would run code when loaded, and no permission to do so."""


class DataError(InputError):
    """The labelled data could not be read."""


class PolicyError(InputError):
    """A policy file could not be understood."""


class StudyError(InputError):
    """A study could not be understood: the file that plans it, or results that are there."""


class AlignmentError(AuditError):
    """Models and data do not fit together."""


class MissingExtra(AuditError):
    """An optional library is not installed; the hint is the line that installs it."""


class PluginError(AuditError):
    """A plugin of another package cannot be used; the message names the package."""


class OutputError(AuditError):
    """A report could not be written."""
