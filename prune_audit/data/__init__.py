"""Path to `Dataset`: a data format is a file here.

A plugin defines ``recognises(path) -> bool`` and ``load(source, expects, settings) -> Dataset``.
"""
