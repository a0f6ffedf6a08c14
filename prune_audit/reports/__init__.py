"""`Audit` to text or bytes: a report format is a file here.

A plugin defines ``SUFFIXES``, the file suffixes that choose it, and ``render(audit) -> str | bytes``. It computes
nothing.
"""
