"""One label a sample: a model is right where the class that it predicts is the label.

``scores`` is what is kept of a model's scores and what they predict, ``reading`` what they are taken for, ``counts``
how labels and predictions become pairs, ``alignment`` and ``order`` whether models and labels speak of one order of
classes.
"""

from prune_audit.core import CLASSIFICATION
from prune_audit.tasks.classification.counts import credit, flips, pair, right, right_of, samples
from prune_audit.tasks.classification.scores import broken, decided, keep, margin

TASK = CLASSIFICATION

__all__ = ["TASK", "broken", "credit", "decided", "flips", "keep", "margin", "pair", "right", "right_of", "samples"]
