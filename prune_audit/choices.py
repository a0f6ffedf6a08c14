"""The words that people choose among, one `Literal` for each choice: the values of options and of keys in files.

They stand apart from the nouns that use them, because ``--help`` names them, and the nouns need numpy.
"""

from __future__ import annotations

from typing import Literal

Correction = Literal["fdr_bh", "fdr_by", "holm", "bonferroni", "none"]
Reference = Literal["accuracy", "balanced"]
Runtime = Literal["auto", "own", "onnxruntime"]
Isolate = Literal["auto", "never"]
Channels = Literal["rgb", "bgr", "gray"]
Exif = Literal["apply", "ignore"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]
Scope = Literal["global", "layer"]
Allocate = Literal["regions"]
Optimizer = Literal["sgd", "adamw"]
RateSchedule = Literal["cosine", "step", "constant"]
Export = Literal["onnx"]
Quota = Literal["error-mass", "error"]
Progress = Literal["auto", "never", "plain"]
OperatingPoint = Literal["false-detections", "precision", "fixed", "all"]
Overlap = Literal["boxes", "masks"]
Scheme = Literal["any", "iob2", "bioes", "bilou"]
