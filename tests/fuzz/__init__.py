"""Files from strangers, by the thousand: valid inputs of every kind, changed part by part, and what becomes of them.

    python -m tests.fuzz                          20,000 inputs: 19,000 in one process, 1,000 as commands of their own
    python -m tests.fuzz --seconds N              as many as fit into N seconds
    python -m tests.fuzz --kind onnx --seed 7     of one kind (``--list`` names them), drawn otherwise
    python -m tests.fuzz --seed 7 --only 1234     one of them again

`seeds` makes valid inputs and proves them valid, `mutate` knows how formats are built, `outcome` says what is right,
`_worker` runs many inputs in one process. What was mishandled is saved with as few changes as still do it.

The engine is our own, since none that is maintained fits. Atheris follows the coverage of Python code, while parsers
that matter (Arrow, protobuf, torch, Pillow, tokenizers) are compiled and would all have to be built anew with its
compiler; it ends with the first crash; and its inputs are bytes, so that all of `mutate` would be needed just the same.
Hypothesis draws values and shrinks them by running a test hundreds of times; where a value is a folder of files that is
changed in a few places, leaving changes out one by one is the same at a hundredth of the runs. The properties that
Hypothesis is made for have it (``tests/stats``, ``tests/data``).
"""
