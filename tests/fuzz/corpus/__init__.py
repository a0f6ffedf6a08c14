"""Every input that was ever mishandled, as what differs from its seed: a folder an input, with ``about.json``.

``python -m tests.fuzz.corpus FOLDER ...`` takes inputs that `tests.fuzz` saved in here.
"""
