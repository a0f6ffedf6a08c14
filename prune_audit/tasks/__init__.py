"""What it is that a model finds or does not find: a task is a module here, or a folder.

A task says how answers and labels become samples on which a model is right or wrong. What is counted above it - pairs
of outcomes per class, and every statistic of them - does not know what an answer is. A task has

- ``keep(scores, labels, rows, digests) -> Kept``, what is kept of scores, and ``broken(scores)``, which of them say
  nothing;
- ``decided(scores)`` and ``right(predicted, labels)``: what is predicted, and whether that is so;
- ``pair(predictions, dense, pruned, by, cluster, top_k) -> Pair``, the counts, ``samples(predictions, by, cluster)``,
  which samples each model is right on, and ``flips(predictions, dense, pruned, most)``, some on which one of two is;
- a module ``alignment``, whose ``check(predictions, doubts)`` stops a run whose models and labels do not fit together.

Comparing labels, taking the largest score, and a softmax are of a task, and stand nowhere else
(`tests/tasks/test_init.py` has the places where they mean another thing, each with its reason). There is one task, so
nothing chooses among them yet, and other packages bring none.
"""

CONTRACT = ("keep", "broken", "decided", "right", "pair", "samples", "flips")
"""What a task must have, beside its ``alignment``."""
