"""The nouns of prune-audit. Read this first.

What flows through an audit, in order: a `Classifier` and a `Dataset` give `Batch` after `Batch` and end as
`Predictions`, the only thing that leaves a forward pass. Two models of those predictions make a `Pair`: a few counts
per class, of which every statistic is a function. Statistics and lenses give `Measure`s, rules turn them into
`Check`s, and all of it rests in `Comparison`s within one `Audit`, which is all that reports and exit codes ever see.

One file a kind, to be read in this order: ``types``, ``requests`` (what is asked for), ``protocols`` (what a model and
a data set must supply), ``kept`` (what comes back of running one), ``clusters``, ``scores`` and ``pair`` (counts),
``task`` (what is counted), ``predictions`` (what an evaluation leaves), ``things`` (what is counted where no model
runs), ``masks`` (their pixels), ``looks`` (what lenses see), ``findings`` and ``audit`` (what it says), ``lookup`` and
``rows`` (how it is read). The nouns are imported from here.

Values are frozen, slotted, keyword-only dataclasses. What is read by reports is made of tuples, so that an audit that
was written and read back compares equal; what is computed with is made of numpy arrays. Absent is None with a reason,
never 0 and never NaN.
"""

from prune_audit.core.audit import Audit, Sparsest
from prune_audit.core.clusters import Clusters
from prune_audit.core.findings import Check, Comparison, Flip, Measure, Provenance, View
from prune_audit.core.kept import Kept
from prune_audit.core.looks import Drawing, Drawn, Field, Look, Table
from prune_audit.core.masks import Masks
from prune_audit.core.pair import Pair
from prune_audit.core.predictions import Anew, Answers, FalseFindings, Outputs, Predictions, Samples, data_digest
from prune_audit.core.protocols import (
    BY_TIMES,
    Batch,
    Chooses,
    Classifier,
    Dataset,
    Distant,
    Expects,
    Input,
    Layer,
    ModelCard,
    Norm,
    Normalising,
    Recorded,
    Suspect,
)
from prune_audit.core.requests import (
    DATA,
    EXIF,
    THRESHOLD,
    Assumption,
    DataSource,
    ModelSource,
    Policy,
    Preprocess,
    RuleSetting,
    Settings,
    Waiver,
    check_seed,
    chosen,
)
from prune_audit.core.scores import Calibration, Counted, FalseCounts, Scored, Ties, TopK, in_units
from prune_audit.core.task import CLASSIFICATION, RECALLS, Task
from prune_audit.core.things import Brings, Finds, Found, Things
from prune_audit.core.types import (
    CANNOT_TELL,
    FINE,
    HARMED,
    REGRESSED,
    SINCE,
    Activation,
    Array,
    Channels,
    Correction,
    Counts,
    Distortion,
    Exif,
    Floats,
    Interpolation,
    Isolate,
    Layout,
    Level,
    OperatingPoint,
    Outcome,
    Overlap,
    Reference,
    Runtime,
    Scheme,
    Scores,
    Unit,
    Value,
    Verdict,
)

__all__ = [
    "BY_TIMES",
    "CANNOT_TELL",
    "CLASSIFICATION",
    "DATA",
    "EXIF",
    "FINE",
    "HARMED",
    "RECALLS",
    "REGRESSED",
    "SINCE",
    "THRESHOLD",
    "Activation",
    "Anew",
    "Answers",
    "Array",
    "Assumption",
    "Audit",
    "Batch",
    "Brings",
    "Calibration",
    "Channels",
    "Check",
    "Chooses",
    "Classifier",
    "Clusters",
    "Comparison",
    "Correction",
    "Counted",
    "Counts",
    "DataSource",
    "Dataset",
    "Distant",
    "Distortion",
    "Drawing",
    "Drawn",
    "Exif",
    "Expects",
    "FalseCounts",
    "FalseFindings",
    "Field",
    "Finds",
    "Flip",
    "Floats",
    "Found",
    "Input",
    "Interpolation",
    "Isolate",
    "Kept",
    "Layer",
    "Layout",
    "Level",
    "Look",
    "Masks",
    "Measure",
    "ModelCard",
    "ModelSource",
    "Norm",
    "Normalising",
    "OperatingPoint",
    "Outcome",
    "Outputs",
    "Overlap",
    "Pair",
    "Policy",
    "Predictions",
    "Preprocess",
    "Provenance",
    "Recorded",
    "Reference",
    "RuleSetting",
    "Runtime",
    "Samples",
    "Scheme",
    "Scored",
    "Scores",
    "Settings",
    "Sparsest",
    "Suspect",
    "Table",
    "Task",
    "Things",
    "Ties",
    "TopK",
    "Unit",
    "Value",
    "Verdict",
    "View",
    "Waiver",
    "check_seed",
    "chosen",
    "data_digest",
    "in_units",
]
