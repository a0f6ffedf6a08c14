"""prune-audit: which classes a pruned model fails more than the dense one, and how sure that is.

The names below are the public ones; each is imported when it is first asked for, so that ``import prune_audit`` costs
nothing. An audit from Python, of files, torch modules or functions (docs/python.md), or of predictions that something
else made:

    audit = prune_audit.compare(dense, pruned, data="val/")

    predictions = prune_audit.Predictions(classes=..., ids=..., labels=..., models=(...))
    audit = prune_audit.from_predictions(predictions, "dense", ["pruned"], prune_audit.Settings())
    audit.comparisons[0].view().measure("verdict").by_stratum
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prune_audit.api import chart, compare, log, write
    from prune_audit.audit import from_predictions, run
    from prune_audit.core import (
        Audit,
        Check,
        Comparison,
        DataSource,
        Measure,
        ModelSource,
        Outputs,
        Pair,
        Policy,
        Predictions,
        Preprocess,
        RuleSetting,
        Settings,
        View,
    )
    from prune_audit.data import arrays
    from prune_audit.document import read_audit
    from prune_audit.errors import AuditError
    from prune_audit.gate import judge

# Since 1.29 ONNX Runtime tells its maker of every model that it loads: names of file and graph, digests, the machine.
# Nobody who audits a model has asked for that. It is read once, when the library is loaded, so it is said before.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = [
    "Audit",
    "AuditError",
    "Check",
    "Comparison",
    "DataSource",
    "Measure",
    "ModelSource",
    "Outputs",
    "Pair",
    "Policy",
    "Predictions",
    "Preprocess",
    "RuleSetting",
    "Settings",
    "View",
    "__version__",
    "arrays",
    "chart",
    "compare",
    "from_predictions",
    "judge",
    "log",
    "read_audit",
    "run",
    "write",
]

_HOMES = {
    "arrays": "data",
    "chart": "api",
    "compare": "api",
    "from_predictions": "audit",
    "judge": "gate",
    "log": "api",
    "run": "audit",
    "read_audit": "document",
    "write": "api",
    "AuditError": "errors",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("prune-audit")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES.get(name, 'core')}"), name)


def __dir__() -> list[str]:
    return __all__
