"""Path to `Classifier`: a model format is a file here, told by what is inside the file, never by its suffix.

A plugin defines ``recognises(path) -> bool``, which inspects and runs nothing, and
``load(source, settings) -> Classifier``.
"""
