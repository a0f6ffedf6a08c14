"""Valid inputs of every kind, made here from nothing: what is changed must first have been right.

All files lie in one folder (`make`). A `Seed` says which of them are changed, which are only used, and by which
commands both are read. Three classes are told by where a picture of 8 x 8 pixels is bright, and every model knows that,
so that the checks before an audit pass. Seeds that carry a payload must be refused as they are.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import pickle
import shutil
import struct
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from prune_audit.history.releases import BEGIN
from tests.fuzz.mutate import CANARY

CLASSES = ("ant", "bee", "cat")
EACH = 14  # samples of a class
FACTORY = "prune_audit.networks:mlp(3, inputs=64, hidden=[3])"
Command = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """An input of one ``kind``: of ``targets`` (files or folders) something is changed, ``needs`` stay as they are.

    One of ``commands`` reads both. ``makes`` are the names that a command may leave where it succeeds, ``keeps`` those
    where it fails, too: what a run goes on with. ``share`` is how often the kind is drawn. ``most`` bounds the numbers
    that are put in where a plan may ask for as much work as it likes. ``proven`` are those whose files begin with a
    digest, which is mostly made right again. ``hostile`` seeds must be refused unchanged.
    """

    kind: str
    targets: tuple[str, ...]
    commands: tuple[Command, ...]
    needs: tuple[str, ...] = ()
    makes: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()
    share: int = 4
    bounded: bool = False
    proven: bool = False
    hostile: bool = False


def make(folder: Path) -> list[Seed]:
    """Write all files into ``folder``, and say what is to be done with them."""
    make_light(folder)
    with contextlib.chdir(folder), warnings.catch_warnings(), _quiet():
        warnings.simplefilter("ignore")
        _models()
        _payloads()
        _study()
        _stopped()
        _run(*EXPLAIN)
        Path("out.json").rename("explained.json")
    return SEEDS


def make_light(folder: Path) -> None:
    """Write what takes no torch and no training: data, ONNX, recorded predictions, documents."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.chdir(folder), warnings.catch_warnings(), _quiet():
        warnings.simplefilter("ignore")
        x, y = pictures()
        _data(x, y)
        _graphs()
        _recorded(x, y)
        _texts()
        _sounds()
        _boxes()
        _questions()
        _masks()
        _tags()
        _labels()
        _plans()
        _run("compare", "dense.onnx", "pruned.onnx", "--data", "x.npz", "-q", "-o", "audit.json", "--cache", "kept")
        _run("compare", "dense.onnx", "p2.onnx", "--data", "x.npz", "-q", "-o", "before.json", "--no-cache")
        for shard in ("1/2", "2/2"):
            _run("predict", "dense.onnx", "--data", "x.npz", "-q", "--shard", shard, "--cache", "node")
        shutil.rmtree("node/models")  # which nobody takes over from others
        early = ("--data", "early.csv", "--until-settled", "--classes", "classes.txt")
        _run("compare", "p.csv", "p2.csv", *early, *COMPARE, "-o", "settled.json")
        _releases()


COMPARE = ("-q", "--no-cache")
MODEL = ("dense.onnx", "x.npz")
PRUNE = (
    *("prune", f"state.pth@{FACTORY}", "--density", "0.5", "--method", "magnitude"),
    *("--data", "x.npz", "--epochs", "3", "--threads", "1"),
)
SEARCH = (*PRUNE, "--until-harm", "--accept-unsettled", "--audit", "x.npz")
MITIGATE = (
    *("mitigate", f"whole.pth@{FACTORY}", f"state.pth@{FACTORY}", "--method", "weighted", "--data", "x.npz"),
    *("--audit", "x.npz", "--same-data", "--epochs", "2", "--threads", "1"),
)
EXPLAIN = (
    *("explain", f"whole.pth@{FACTORY}", f"state.pth@{FACTORY}", "--data", "x.npz", "--audit", "x.npz"),
    *("--same-data", "--threads", "1", "--samples", "9", *COMPARE, "-o", "out.json"),
)
REPORTS = ("r.html", "r.md", "r.csv", "r.parquet", "r.xml", "r.sarif", "r.svg", "r.txt")
SEEDS = [
    Seed(
        kind="onnx",
        targets=("pruned.onnx",),
        needs=("dense.onnx", "x.npz", "val"),
        commands=(
            ("inspect", "pruned.onnx"),
            ("compare", "dense.onnx", "pruned.onnx", "--data", "x.npz", *COMPARE, "-o", "out.json"),
            ("compare", "pruned.onnx", "dense.onnx", "--data", "x.npz", "--no-cache"),
            ("predict", "pruned.onnx", "--data", "val", *COMPARE, "-o", "out.csv"),
            (
                "prune",
                "pruned.onnx",
                "--density",
                "0.5",
                "--method",
                "magnitude",
                "--data",
                "x.npz",
                *COMPARE,
                "-o",
                "out.onnx",
            ),
        ),
        makes=("out.json", "out.csv", "out.onnx"),
        share=8,
    ),
    Seed(
        kind="onnx-external",
        targets=("ext.onnx", "ext.bin"),
        needs=MODEL,
        commands=(
            ("inspect", "ext.onnx"),
            ("compare", "dense.onnx", "ext.onnx", "--data", "x.npz", *COMPARE),
        ),
        share=2,
    ),
    Seed(
        kind="torchscript",
        targets=("script.pt",),
        needs=MODEL,
        commands=(
            ("inspect", "script.pt"),
            ("compare", "dense.onnx", "script.pt", "--data", "x.npz", *COMPARE, "-o", "out.json"),
        ),
        makes=("out.json",),
        share=8,
    ),
    Seed(
        kind="torch-export",
        targets=("net.pt2",),
        needs=MODEL,
        commands=(
            ("inspect", "net.pt2"),
            ("compare", "dense.onnx", "net.pt2", "--data", "x.npz", *COMPARE, "-o", "out.json"),
        ),
        makes=("out.json",),
        share=6,
    ),
    Seed(
        kind="state-dict",
        targets=("state.pth",),
        needs=MODEL,
        commands=(
            ("inspect", "state.pth"),
            ("inspect", f"state.pth@{FACTORY}"),
            ("compare", "dense.onnx", f"state.pth@{FACTORY}", "--data", "x.npz", *COMPARE),
            (
                "prune",
                f"state.pth@{FACTORY}",
                "--density",
                "0.5",
                "--method",
                "magnitude",
                "--data",
                "x.npz",
                *COMPARE,
                "-o",
                "out.pth",
            ),
        ),
        makes=("out.pth",),
        share=8,
    ),
    Seed(
        kind="safetensors",
        targets=("state.safetensors",),
        needs=MODEL,
        commands=(
            ("inspect", "state.safetensors"),
            ("compare", "dense.onnx", f"state.safetensors@{FACTORY}", "--data", "x.npz", *COMPARE),
        ),
    ),
    Seed(
        kind="transformers",
        targets=("vit",),
        needs=("val16",),
        commands=(
            *[("inspect", "vit")] * 3,
            ("predict", "vit", "--data", "val16", *COMPARE, "--batch-size", "9", "-o", "out.parquet"),
        ),
        makes=("out.parquet",),
    ),
    Seed(
        kind="tokenizer",
        targets=("bert",),
        needs=("texts.csv",),
        commands=(
            *[("inspect", "bert")] * 2,
            ("predict", "bert", "--data", "texts.csv", *COMPARE, "--batch-size", "9", "-o", "out.npz"),
        ),
        makes=("out.npz",),
    ),
    Seed(
        kind="images",
        targets=("val",),
        needs=("dense.onnx", "pruned.onnx"),
        commands=(
            ("compare", "dense.onnx", "pruned.onnx", "--data", "val", *COMPARE, "--skip-bad", "5"),
            (
                "compare",
                "dense.onnx",
                "pruned.onnx",
                "--data",
                "val",
                "--no-cache",
                "--thumbnails",
                "3",
                "-o",
                "r.html",
            ),
        ),
        makes=("r.html",),
    ),
    Seed(
        kind="npz",
        targets=("x.npz",),
        needs=("dense.onnx", "pruned.onnx"),
        commands=(
            ("compare", "dense.onnx", "pruned.onnx", "--data", "x.npz", "--no-cache", "--by", "g"),
            ("compare", "dense.onnx", "pruned.onnx", "--data", "x.npz", *COMPARE, "--skip-bad", "3", "-o", "out.json"),
            ("compare", "dense.onnx", "pruned.onnx", "--data", "x.npz", *COMPARE, "--cluster", "g"),
        ),
        makes=("out.json",),
        share=8,
    ),
    Seed(
        kind="manifest",
        targets=("list.csv",),
        needs=("val", "dense.onnx", "pruned.onnx"),
        commands=(
            ("compare", "dense.onnx", "pruned.onnx", "--data", "list.csv", "--no-cache", "--by", "g", "-o", "r.csv"),
            ("compare", "dense.onnx", "pruned.onnx", "--data", "list.csv", *COMPARE, "--skip-bad", "3"),
        ),
        makes=("r.csv",),
    ),
    Seed(
        kind="features",
        targets=("flat.csv",),
        needs=("flat.onnx",),
        commands=(("compare", "flat.onnx", "flat.onnx", "--data", "flat.csv", "--no-cache", "--by", "g"),),
    ),
    Seed(
        kind="parquet",
        targets=("images.parquet",),
        needs=("dense.onnx", "pruned.onnx"),
        commands=(("compare", "dense.onnx", "pruned.onnx", "--data", "images.parquet", *COMPARE, "--by", "g"),),
        share=6,
    ),
    Seed(
        kind="table-parquet",
        targets=("flat.parquet",),
        needs=("flat.onnx",),
        commands=(("compare", "flat.onnx", "flat.onnx", "--data", "flat.parquet", "--no-cache", "--by", "g"),),
    ),
    Seed(
        kind="arrow",
        targets=("saved",),
        needs=("dense.onnx", "pruned.onnx"),
        commands=(("compare", "dense.onnx", "pruned.onnx", "--data", "saved", *COMPARE),),
        share=6,
    ),
    Seed(
        kind="sounds",
        targets=("sounds",),
        needs=("wave.onnx",),
        commands=(("predict", "wave.onnx", "--data", "sounds", *COMPARE, "-o", "out.json", "--skip-bad", "2"),),
        makes=("out.json",),
    ),
    Seed(
        kind="texts",
        targets=("texts.csv", "tokenizer.json"),
        needs=("bert",),
        commands=(
            ("predict", "bert", "--data", "texts.csv", "--tokenizer", "tokenizer.json", *COMPARE, "-o", "out.csv"),
        ),
        makes=("out.csv",),
    ),
    *(
        Seed(
            kind=f"recorded-{suffix}",
            targets=(f"p.{suffix}",),
            needs=("labels.csv", "p2.csv"),
            commands=(
                ("compare", "p2.csv", f"p.{suffix}", "--data", "labels.csv", *COMPARE, "-o", "out.json"),
                ("compare", f"p.{suffix}", "p2.csv", "--data", "labels.csv", "--no-cache", "--gate"),
            ),
            makes=("out.json",),
        )
        for suffix in ("csv", "json", "npz", "parquet")
    ),
    Seed(
        kind="recorded-lists",
        targets=("list.json",),
        needs=("labels.csv", "p2.csv"),
        commands=(("compare", "list.json", "p2.csv", "--data", "labels.csv", *COMPARE),),
        share=2,
    ),
    Seed(
        kind="labels",
        targets=("labels.csv",),
        needs=("p.csv", "p2.csv"),
        commands=(
            ("compare", "p.csv", "p2.csv", "--data", "labels.csv", "--no-cache", "--by", "g", "-o", "r.md"),
            ("compare", "p.csv", "p2.csv", "--data", "labels.csv", *COMPARE, "--cluster", "g", "--gate"),
        ),
        makes=("r.md",),
    ),
    Seed(
        kind="coco",
        targets=("truth.json", "boxes.json"),
        needs=("boxes2.json",),
        commands=(
            ("compare", "boxes2.json", "boxes.json", "--data", "truth.json", "--no-cache", "-o", "r.html"),
            ("compare", "boxes.json", "boxes2.json", "--data", "truth.json", *COMPARE, "--by", "site", "-o", "r.md"),
            ("compare", "boxes.json", "boxes2.json", "--data", "truth.json", "--no-cache", "--gate"),
        ),
        makes=("r.html", "r.md"),
        share=6,
    ),
    Seed(
        kind="yolo",
        targets=("yolo", "lines"),
        needs=("lines2", "truth.json"),
        commands=(
            ("compare", "lines2", "lines", "--data", "yolo/data.yaml", "--no-cache", "-o", "r.html"),
            ("compare", "lines", "lines2", "--data", "yolo/data.yaml", *COMPARE, "--by", "size", "-o", "r.md"),
            ("compare", "lines2", "lines", "--data", "yolo", *COMPARE, "--thumbnails", "3", "-o", "r.html"),
            ("compare", "lines2", "lines", "--data", "truth.json", "--no-cache", "--gate"),
        ),
        makes=("r.html", "r.md"),
        share=6,
    ),
    *(
        Seed(
            kind=kind,
            targets=(f"{name}-pruned{suffix}",),
            needs=(f"{name}-dense{suffix}",),
            commands=(
                ("compare", f"{name}-dense{suffix}", f"{name}-pruned{suffix}", "--no-cache", "-o", "r.html"),
                ("compare", f"{name}-pruned{suffix}", f"{name}-dense{suffix}", *COMPARE, "-o", "out.json"),
                ("compare", f"{name}-pruned{suffix}", f"{name}-dense{suffix}", "--no-cache", "--by", "level"),
            ),
            makes=("r.html", "out.json"),
        )
        for kind, name, suffix in (
            ("lm-eval", "lm", ""),
            ("inspect-log", "log", ".json"),
            ("question-lines", "asked", ".jsonl"),
        )
    ),
    Seed(
        kind="said",
        targets=("classes.txt", "map.csv", "map.json", "weights.csv", "weights.json"),
        needs=("dense.onnx", "pruned.onnx", "x.npz", "named.npz"),
        commands=tuple(
            ("compare", "dense.onnx", "pruned.onnx", "--data", data, *COMPARE, option, file)
            for data, option, file in (
                ("x.npz", "--classes", "classes.txt"),
                ("named.npz", "--class-map", "map.csv"),
                ("named.npz", "--class-map", "map.json"),
                ("x.npz", "--weights", "weights.csv"),
                ("x.npz", "--weights", "weights.json"),
            )
        ),
    ),
    Seed(
        kind="preprocessing",
        targets=("pre.json", "pre.toml", "preprocessor_config.json"),
        needs=("dense.onnx", "pruned.onnx", "val"),
        commands=tuple(
            ("compare", "dense.onnx", "pruned.onnx", "--data", "val", *COMPARE, "--preprocess", file)
            for file in ("pre.json", "pre.toml", "preprocessor_config.json")
        ),
        share=3,
    ),
    Seed(
        kind="audit",
        targets=("audit.json",),
        commands=(
            *(("report", "audit.json", "--all", "-o", file) for file in REPORTS),
            ("report", "audit.json"),
            ("check", "audit.json"),
            ("check", "audit.json", "--policy", "strict", "--margin", "3", "-o", "r.json"),
        ),
        makes=(*REPORTS, "r.json"),
        share=12,
    ),
    Seed(
        kind="explained",
        targets=("explained.json",),
        commands=(
            *(("report", "explained.json", "--all", "-q", "-o", file) for file in REPORTS),
            ("report", "explained.json"),
        ),
        makes=REPORTS,
        share=6,
    ),
    Seed(
        kind="explain",
        targets=("state.pth", "x.npz"),
        needs=("whole.pth",),
        commands=(EXPLAIN,),
        makes=("out.json",),
        share=3,
    ),
    Seed(
        kind="baseline",
        targets=("before.json",),
        needs=("audit.json",),
        commands=(("check", "audit.json", "--baseline", "before.json"),),
    ),
    Seed(
        kind="history",
        targets=("releases",),
        needs=("audit.json",),
        commands=(
            ("history", "releases"),
            *(("history", "releases", "-q", "-o", name) for name in ("h.html", "h.csv", "h.svg")),
            ("check", "audit.json", "--history", "releases"),
            ("check", "audit.json", "-q", "--history", "releases", "--alpha-budget", "0.1", "-o", "r.html"),
        ),
        makes=("h.html", "h.csv", "h.svg", "r.html"),
        keeps=("releases",),
        proven=True,
    ),
    Seed(
        kind="masks",
        targets=("masked.json", "masks.json"),
        needs=("masks2.json",),
        commands=(
            (
                *("compare", "masks2.json", "masks.json", "--data", "masked.json", "--overlap", "masks"),
                *(*COMPARE, "-o", "out.json"),
            ),
        ),
        makes=("out.json",),
    ),
    Seed(
        kind="tags",
        targets=("gold.conll", "tagged.conll"),
        needs=("tagged2.conll",),
        commands=(
            ("compare", "tagged2.conll", "tagged.conll", "--data", "gold.conll", *COMPARE, "-o", "out.json"),
            ("compare", "tagged2.conll", "tagged.conll", "--data", "gold.conll", "--scheme", "iob2", "--no-cache"),
        ),
        makes=("out.json",),
    ),
    Seed(
        kind="tag-lines",
        targets=("gold.jsonl", "tagged.jsonl"),
        needs=("tagged2.jsonl",),
        commands=(
            ("compare", "tagged2.jsonl", "tagged.jsonl", "--data", "gold.jsonl", "--by", "words", *COMPARE),
            ("compare", "tagged2.jsonl", "tagged.jsonl", "--data", "gold.jsonl", "--cluster", "source", "--no-cache"),
        ),
    ),
    *(
        Seed(
            kind=f"label-{form}",
            targets=(data, scored),
            needs=("scored2.csv", "named2.csv"),
            commands=(
                ("compare", f"{scored[:-4]}2.csv", scored, "--data", data, *more, *COMPARE, "-o", "out.json"),
                ("compare", scored, f"{scored[:-4]}2.csv", "--data", data, *more, "--by", "site", "--no-cache"),
            ),
            makes=("out.json",),
            share=3,
        )
        for form, data, scored, more in (
            ("lists", "sets.parquet", "scored.csv", ()),
            ("texts", "sets.csv", "scored.csv", ("--label-separator", ";")),
            ("columns", "marks.csv", "scored.csv", ("--label-columns", ",".join(CLASSES))),
            ("names", "sets.csv", "named.csv", ("--label-separator", ";")),
        )
    ),
    Seed(
        kind="quotas",
        targets=("audit.json", "train.csv"),
        commands=(
            ("quotas", "audit.json", "--train", "train.csv", "--keep", "0.5", "-q", "-o", "keep.csv"),
            (
                *(
                    "quotas",
                    "audit.json",
                    "--train",
                    "train.csv",
                    "--keep",
                    "0.3",
                    "--quota",
                    "error",
                    "--model",
                    "dense",
                ),
                *("-q", "-o", "keep.csv"),
            ),
        ),
        makes=("keep.csv",),
    ),
    Seed(
        kind="offsets",
        targets=("pruned.onnx", "x.npz", "held.npz"),
        needs=("dense.onnx",),
        commands=(
            (
                *("mitigate", "dense.onnx", "pruned.onnx", "--method", "offsets", "--data", "held.npz"),
                *("--audit", "x.npz", "--fit-on", "all", *COMPARE, "-o", "fair.onnx"),
            ),
        ),
        makes=("fair.onnx",),
        share=2,
    ),
    Seed(
        kind="settled",
        targets=("x.npz", "labels.csv", "p2.csv"),
        needs=("dense.onnx", "pruned.onnx", "p.csv"),
        commands=(
            ("compare", "dense.onnx", "pruned.onnx", "--data", "x.npz", "--no-cache", "--until-settled"),
            ("compare", "p.csv", "p2.csv", "--data", "labels.csv", *COMPARE, "--until-settled", "-o", "out.json"),
            ("compare", "p.csv", "p2.csv", "--data", "labels.csv", "--no-cache", "--until-settled", "--limit", "40"),
        ),
        makes=("out.json",),
        share=3,
    ),
    Seed(
        kind="append",
        targets=("settled.json", "late.csv"),
        needs=("p.csv", "p2.csv", "classes.txt"),
        commands=(
            (
                *("compare", "p.csv", "p2.csv", "--data", "late.csv", "--append", "settled.json"),
                *("--until-settled", "--classes", "classes.txt", *COMPARE, "-o", "out.json"),
            ),
        ),
        makes=("out.json",),
    ),
    Seed(
        kind="planning",
        targets=("audit.json",),
        commands=(
            ("plan", "audit.json"),
            ("plan", "audit.json", "-q", "-o", "p.csv"),
            ("plan", "audit.json", "--budget", "100", "-q", "-o", "p.md"),
        ),
        makes=("p.csv", "p.md"),
    ),
    Seed(
        kind="resume",
        targets=("out.pth.resume",),
        needs=("state.pth", "x.npz"),
        commands=((*PRUNE, *COMPARE, "-o", "out.pth"),),
        keeps=("out.pth", "out.pth.resume"),  # what was trained stays where its audit fails
        share=2,
        proven=True,
    ),
    Seed(
        kind="tries",
        targets=("found.pth.tries",),
        needs=("state.pth", "x.npz"),
        commands=((*SEARCH, *COMPARE, "-o", "found.pth"),),
        makes=("found.pth",),
        keeps=("found.pth.tries",),
        share=2,
        proven=True,
    ),
    Seed(
        kind="mitigate",
        targets=("fair.pth.weighted.resume",),
        needs=("whole.pth", "state.pth", "x.npz"),
        commands=((*MITIGATE, *COMPARE, "-o", "fair.pth"),),
        makes=("fair.pth",),
        keeps=("fair.pth.weighted.resume",),
        share=2,
        proven=True,
    ),
    Seed(
        kind="policy",
        targets=("policy.toml",),
        needs=("audit.json",),
        commands=(
            ("policy", "--policy", "policy.toml"),
            ("check", "audit.json", "--policy", "policy.toml"),
        ),
        share=6,
    ),
    Seed(
        kind="project",
        targets=("pyproject.toml",),
        needs=("audit.json",),
        commands=(("policy",), ("check", "audit.json")),
        share=2,
    ),
    Seed(
        kind="plan",
        targets=("plan.toml",),
        needs=("small.npz",),
        commands=(("study", "plan.toml", "-q", "-o", "made"),),
        keeps=("made",),
        share=1,
        bounded=True,
    ),
    Seed(
        kind="study",
        targets=("studied",),
        needs=("x.npz",),
        commands=(
            ("study", "studied", "-q", "-o", "made"),
            ("study", "studied", "-q", "-o", "made", "--exemplars", "ex.csv"),
            ("study", "studied", "--exemplars", "ex.csv", "--top", "3", "--audit", "x.npz"),
        ),
        makes=("made", "ex.csv"),
        share=4,
    ),
    Seed(
        kind="runs",
        targets=("done",),
        needs=("plan.toml", "small.npz"),
        commands=(("study", "plan.toml", "-q", "-o", "done"),),
        keeps=("done",),
        share=2,
    ),
    Seed(
        kind="store",
        targets=("kept",),
        needs=("dense.onnx", "pruned.onnx", "x.npz"),
        commands=(
            ("compare", "dense.onnx", "pruned.onnx", "--data", "x.npz", "-q", "--cache", "kept", "-o", "out.json"),
            ("cache", "--cache", "kept"),
        ),
        makes=("out.json",),
        keeps=("kept",),
    ),
    Seed(
        kind="pin",
        targets=("node",),
        needs=("dense.onnx", "pruned.onnx", "x.npz"),
        commands=(
            ("cache", "--cache", "all", "--merge", "node"),
            ("compare", "dense.onnx", "pruned.onnx", "--data", "x.npz", "-q", "--cache", "node", "-o", "out.json"),
            ("predict", "dense.onnx", "--data", "x.npz", *COMPARE, "--pin", "node/pin.json", "-o", "out.csv"),
        ),
        makes=("out.json", "out.csv"),
        keeps=("node", "all"),
        proven=True,
    ),
    *(
        Seed(
            kind="payload" if name != "evil.pt" else "printing",
            targets=(name,),
            needs=("dense.onnx", "x.npz", "labels.csv", "p2.csv"),
            commands=commands,
            hostile=True,
            share=2,
        )
        for name, commands in (
            ("evil.pth", (("inspect", "evil.pth"), ("inspect", f"evil.pth@{FACTORY}"))),
            ("old.pth", (("inspect", "old.pth"), ("inspect", f"old.pth@{FACTORY}"))),
            ("evil.npz", (("compare", "dense.onnx", "dense.onnx", "--data", "evil.npz", *COMPARE),)),
            ("evil-p.npz", (("compare", "evil-p.npz", "p2.csv", "--data", "labels.csv", *COMPARE),)),
            ("evil.pt", (("compare", "dense.onnx", "evil.pt", "--data", "x.npz", *COMPARE),)),
            ("remote", (("inspect", "remote"),)),
            ("outside.onnx", (("inspect", "outside.onnx"),)),
        )
    ),
]


@contextlib.contextmanager
def _quiet() -> Any:
    """What the exporters of torch and the audits say while the files are made is no result."""
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield


def _run(*arguments: str) -> None:
    from prune_audit.cli import invoke

    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        code = invoke(arguments)
    if code != 0:
        raise SystemExit(f"a seed is no seed: prune-audit {' '.join(arguments)} ended with {code}: {said.getvalue()}")


def pictures(seed: int = 3, each: int = EACH) -> tuple[Any, Any]:
    """(N, 8, 8) bytes, of class c bright in the rows from 2c on, and labels (N,); some are hard."""
    rng = np.random.default_rng(seed)
    y = np.arange(3 * each) % 3
    x = rng.integers(0, 90, (len(y), 8, 8))
    for at, label in enumerate(y):
        x[at, 2 * label : 2 * label + 2] += 30 + 80 * (at % 7 > 0)
    return x.astype(np.uint8), y


def _bands(scale: float = 1.0) -> Any:
    """(3, 64) weights that look at the rows of each class."""
    weight = np.zeros((3, 8, 8), np.float32)
    for label in range(3):
        weight[label, 2 * label : 2 * label + 2] = scale
    return weight.reshape(3, 64)


def _data(x: Any, y: Any) -> None:
    import pyarrow as pa
    from PIL import Image
    from pyarrow import parquet

    from tests.data.saved import IMAGE, labels, save, table

    groups = np.array([f"g{at % 4}" for at in range(len(y))])
    wide = x[:, None].astype(np.float32) / 255
    names = np.array(CLASSES)
    np.savez("x.npz", x=wide, y=y, g=groups, classes=names)
    np.savez_compressed("named.npz", x=wide, y=np.array(["Ant", "Bee", "Cat"])[y])
    np.savez("small.npz", x=wide, y=y)
    cells = []
    for at, (picture, label) in enumerate(zip(x, y, strict=True)):
        suffix = "jpg" if at % 5 == 4 else "png"
        path = Path("val", CLASSES[label], f"{at:02}.{suffix}")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path, quality=95)
        larger = Path("val16", CLASSES[label], f"{at:02}.png")
        larger.parent.mkdir(parents=True, exist_ok=True)
        if at < 9:
            Image.fromarray(picture).convert("RGB").resize((16, 16)).save(larger)
        cells.append({"bytes": path.read_bytes(), "path": path.name})
    _table(
        "list.csv",
        ["path", "label", "g"],
        [[str(p), p.parent.name, groups[int(p.stem)]] for p in sorted(Path("val").glob("*/*"))],
    )
    feature = [[f"{float(v):.6g}" for v in picture.reshape(8, 8).mean(1) / 255] for picture in x]
    heads = [f"f{at}" for at in range(8)]
    rows = [[CLASSES[label], groups[at], *feature[at]] for at, label in enumerate(y)]
    _table("flat.csv", ["label", "g", *heads], rows)
    columns: dict[str, Any] = {"label": names[y], "g": groups}
    columns |= {head: [float(f[at]) for f in feature] for at, head in enumerate(heads)}
    parquet.write_table(pa.table(columns), "flat.parquet", row_group_size=20)
    whole = table(
        {"image": cells, "label": y.tolist(), "g": groups.tolist()}, {"image": IMAGE, "label": labels(*CLASSES)}
    )
    parquet.write_table(whole, "images.parquet", row_group_size=20)
    save(Path("saved"), whole, shards=1)
    Path("classes.txt").write_text("\n".join(CLASSES) + "\n")
    _table("map.csv", ["data", "model"], [["Ant", "0"], ["Bee", "1"], ["Cat", "2"]])
    Path("map.json").write_text(json.dumps({"Ant": 0, "Bee": 1, "Cat": 2}))
    _table("weights.csv", ["class", "weight"], [[name, str(at + 1)] for at, name in enumerate(CLASSES)])
    Path("weights.json").write_text(json.dumps(dict.fromkeys(CLASSES, 2)))
    Path("pre.json").write_text(json.dumps({"size": [8, 8], "mean": [0.1], "std": [1.0], "channels": "gray"}))
    Path("pre.toml").write_text(
        'size = [8, 8]\nmean = [0.1]\nstd = [1.0]\nchannels = "gray"\ninterpolation = "bicubic"\n'
    )
    steps = {
        **{"do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": [0.1], "image_std": [1.0]},
        **{"image_processor_type": "ViTImageProcessor", "resample": 2, "rescale_factor": 1 / 255},
        "size": {"height": 8, "width": 8},
    }
    Path("preprocessor_config.json").write_text(json.dumps(steps))


def _table(path: str, head: list[str], rows: list[list[str]]) -> None:
    with Path(path).open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([head, *rows])


def _onnx(path: str, weight: Any, shape: list[Any], external: str = "") -> None:
    """Flatten and Gemm, by hand: one tensor in the file or beside it."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    tensor = numpy_helper.from_array(weight.astype(np.float32), "w")
    if external:
        Path(external).write_bytes(tensor.raw_data)
        entries = {"location": external, "offset": "0", "length": str(len(tensor.raw_data))}
        for key, held in entries.items():
            entry = tensor.external_data.add()
            entry.key, entry.value = key, held
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["image"], ["flat"], name="flatten"),
            helper.make_node("Gemm", ["flat", "w", "b"], ["logits"], name="head", transB=1),
        ],
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])],
        [tensor, numpy_helper.from_array(np.zeros(3, np.float32), "b")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(made, {"classes": json.dumps(CLASSES)})
    Path(path).write_bytes(made.SerializeToString())
    onnx.checker.check_model(path)


def _pruned() -> Any:
    """(3, 64) of `_bands`, half of them zero, and one class less sure."""
    pruned = _bands()
    pruned[:, ::2] = 0
    pruned[2] *= 0.7
    return pruned


def _graphs() -> None:
    dense, pruned = _bands(), _pruned()
    _onnx("dense.onnx", dense, ["n", 1, 8, 8])
    _onnx("pruned.onnx", pruned, ["n", 1, 8, 8])
    _onnx("p2.onnx", _bands() * (np.arange(64) % 4 > 0), ["n", 1, 8, 8])
    _onnx("ext.onnx", pruned, ["n", 1, 8, 8], external="ext.bin")
    _onnx("flat.onnx", np.repeat(np.eye(4, 8)[:3], 1, 0) * 0 + _rows(), ["n", 8])
    _onnx("wave.onnx", np.random.default_rng(1).normal(size=(3, 80)), ["n", 80])


def _models() -> None:
    import torch
    from safetensors.torch import save_file
    from torch import nn

    from prune_audit import networks
    from tests import hugging_face

    pruned = _pruned()
    state = {
        **{"0.weight": torch.from_numpy(pruned), "0.bias": torch.zeros(3)},
        **{"2.weight": torch.eye(3) * 10, "2.bias": torch.zeros(3)},
    }
    built = networks.mlp(3, inputs=64, hidden=[3])
    state = dict(zip(built.state_dict(), state.values(), strict=True))
    torch.save({"state_dict": state, "epoch": 3, "optimizer": {"lr": 0.1}}, "state.pth")
    save_file(state, "state.safetensors", {"format": "pt"})
    whole = state | {name: torch.from_numpy(_bands()) for name in list(state)[:1]}
    torch.save(whole, "whole.pth")
    linear = nn.Linear(64, 3)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(pruned))
        linear.bias.zero_()
    network = nn.Sequential(nn.Flatten(), linear).eval()
    example = torch.zeros(2, 1, 8, 8)
    torch.jit.save(torch.jit.script(network), "script.pt")
    exported = torch.export.export(network, (example,), dynamic_shapes=({0: torch.export.Dim("n")},))
    torch.export.save(exported, "net.pt2")
    hugging_face.save(hugging_face.vit(CLASSES), Path("vit"), 16)
    hugging_face.save(hugging_face.bert(("neg", "pos"), words=8), Path("bert"))
    Path("bert/tokenizer.json").write_bytes(Path("tokenizer.json").read_bytes())


def _rows() -> Any:
    """(3, 8) weights that look at the mean of the rows of each class."""
    weight = np.zeros((3, 8), np.float32)
    for label in range(3):
        weight[label, 2 * label : 2 * label + 2] = 1
    return weight


def _recorded(x: Any, y: Any) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    scores = x.reshape(len(x), -1).astype(np.float32) @ _bands().T / 255
    worse = scores + np.random.default_rng(4).normal(size=scores.shape).astype(np.float32) * 2
    ids = [f"s{at:03}" for at in range(len(y))]
    _table(
        "labels.csv",
        ["id", "label", "g"],
        [[i, CLASSES[c], f"g{at % 3}"] for at, (i, c) in enumerate(zip(ids, y, strict=True))],
    )
    for name, held in (("p", scores), ("p2", worse)):
        rows = [[i, *(f"{v:.6g}" for v in row)] for i, row in zip(ids, held, strict=True)]
        _table(f"{name}.csv", ["id", *(f"score_{c}" for c in CLASSES)], rows)
    Path("p.json").write_text(
        json.dumps([{"id": i, "predicted": CLASSES[at]} for i, at in zip(ids, scores.argmax(1), strict=True)])
    )
    Path("list.json").write_text(
        json.dumps({"id": ids, "logits": [[float(f"{v:.4g}") for v in row] for row in scores]})
    )
    np.savez("p.npz", id=np.array(ids), scores=scores)
    flat = pa.FixedSizeListArray.from_arrays(pa.array(worse.ravel()), 3)
    columns = {"id": pa.array(ids), "scores": flat}
    parquet.write_table(pa.table(columns), "p.parquet", row_group_size=20)

    for name, some in (("early", slice(0, 30)), ("late", slice(30, None))):
        rows = [[i, CLASSES[c]] for i, c in zip(ids[some], y[some], strict=True)]
        _table(f"{name}.csv", ["id", "label"], rows)


def _texts() -> None:
    from tests.data.test_text import tokenizer

    tokenizer(Path("tokenizer.json"))
    said = ("good film", "bad film", "good, good", "bad", "film bad bad", "good film good")
    _table("texts.csv", ["text", "label"], [[text, "neg" if "bad" in text else "pos"] for text in said * 3])


def _sounds() -> None:
    rng = np.random.default_rng(6)
    for label in CLASSES:
        for at in range(4):
            held = rng.integers(-3000, 3000, 80).astype("<i2").tobytes()
            head = struct.pack(
                "<4sI4s4sIHHIIHH4sI",
                b"RIFF",
                36 + len(held),
                b"WAVE",
                b"fmt ",
                16,
                1,
                1,
                8000,
                16000,
                2,
                16,
                b"data",
                len(held),
            )
            path = Path("sounds", label, f"{at}.wav")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(head + held)


def _boxes() -> None:
    """Eight images with a box of each class, found nearly where it lies; one is a crowd."""
    from tests.tasks.detection import yolo

    rng = np.random.default_rng(8)
    images = [{"id": at, "file_name": f"{at:03}.png", "width": 200, "height": 120, "site": "ab"[at % 2]}
              for at in range(1, 9)]  # fmt: skip
    annotations = []
    for at, image in enumerate(images):
        for label in range(3):
            x, y = (float(v) for v in rng.integers(0, 60, 2))
            annotations.append({"id": 3 * at + label + 1, "image_id": image["id"], "category_id": label + 1,
                                "bbox": [x, y, 20.0 + 30 * label, 24.0 + 20 * label], "area": 400.0,
                                "iscrowd": int(at == 0 and label == 2)})  # fmt: skip
    categories = [{"id": label + 1, "name": name} for label, name in enumerate(CLASSES)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    Path("truth.json").write_text(json.dumps(content))
    for name, noise in (("boxes", 3.0), ("boxes2", 1.0)):
        found = []
        for box in annotations:
            moved = (np.array(box["bbox"]) + rng.normal(size=4) * noise).clip(0).round(2).tolist()
            score = round(float(rng.uniform(0.4, 1)), 3)
            found.append(
                {"image_id": box["image_id"], "category_id": box["category_id"], "bbox": moved, "score": score}
            )
        Path(f"{name}.json").write_text(json.dumps(found))
        yolo.labels(Path(name.replace("boxes", "lines")), content, found)
    yolo.dataset(Path("yolo"), content)


def _questions() -> None:
    """Answers to the same questions in the three forms in which they are recorded."""
    from tests.models.questions import row, written

    for name, wrong in (("dense", 5), ("pruned", 3)):
        right = [at % wrong > 0 for at in range(24)]
        level = [("easy", "hard")[at % 2] for at in range(24)]
        rows = [row(at, of) for at, of in enumerate(right)]
        for each, of in zip(rows, level, strict=True):
            each["doc"]["level"] = of
        written(Path(f"lm-{name}"), {"arc": rows[:12], "boolq": rows[12:]})
        samples = [
            {
                **{"id": at, "epoch": 1, "target": ["A"], "metadata": {"level": level[at]}},
                "input": [{"role": "user", "content": f"Q {at}?"}],
                **{"output": {"completion": "A"}, "scores": {"choice": {"value": "C" if of else "I", "answer": "A"}}},
            }
            for at, of in enumerate(right)
        ]
        log = {"version": 2, "status": "success", "eval": {"task": "arc", "model": "m"}, "samples": samples}
        Path(f"log-{name}.json").write_text(json.dumps(log))
        lines = [
            {"id": f"q{at}", "group": CLASSES[at % 3], "correct": of, "question": f"Q {at}?", "level": level[at]}
            for at, of in enumerate(right)
        ]
        Path(f"asked-{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def _masks() -> None:
    """The boxes again, each with a mask: polygons, and runs in both forms."""
    from pycocotools import mask as coco

    content = json.loads(Path("truth.json").read_text())

    def shape(box: list[float], at: int) -> Any:
        x, y, width, height = box
        polygon = [x, y, x + width, y, x + width / 2, y + height]
        if at % 3 == 0:
            return [polygon]
        [runs] = coco.frPyObjects([polygon], 120, 200)
        if at % 3 == 1:
            return {"size": runs["size"], "counts": runs["counts"].decode()}
        flat = coco.decode(runs).ravel(order="F")
        edges = np.flatnonzero(np.diff(flat)) + 1
        counts = np.diff([0, *edges, flat.size]).tolist()
        return {"size": [120, 200], "counts": counts if not flat[0] else [0, *counts]}

    for at, box in enumerate(content["annotations"]):
        box["segmentation"] = shape(box["bbox"], 1 + at % 2 if box["iscrowd"] else at)
    Path("masked.json").write_text(json.dumps(content))
    for name in ("boxes", "boxes2"):
        found = json.loads(Path(f"{name}.json").read_text())
        for at, box in enumerate(found):
            box["segmentation"] = shape(box.pop("bbox"), 1 + at % 2)
        Path(name.replace("boxes", "masks") + ".json").write_text(json.dumps(found))


def _tags() -> None:
    """Twelve sentences with an entity of each of two types, some of which are tagged wrong, in both forms."""
    sentences = [
        {"tokens": [f"word{at}", "Ada", "Byron", "saw", "Paris"], "tags": ["O", "B-PER", "I-PER", "O", "B-LOC"],
         "source": "ab"[at % 2]}
        for at in range(12)
    ]  # fmt: skip
    for name, wrong in (("gold", 0), ("tagged", 3), ("tagged2", 5)):
        made = [
            each | {"tags": ["O", "B-PER", "O", "O", "B-PER"] if wrong and at % wrong == 0 else each["tags"]}
            for at, each in enumerate(sentences)
        ]
        Path(f"{name}.jsonl").write_text("".join(json.dumps(each) + "\n" for each in made))
        blocks = ["\n".join(f"{w} X {t}" for w, t in zip(each["tokens"], each["tags"], strict=True)) for each in made]
        Path(f"{name}.conll").write_text("-DOCSTART- X O\n\n" + "\n\n".join(blocks) + "\n")


def _labels() -> None:
    """Twenty samples with several labels each, in three forms, and what two models make of them."""
    import pyarrow
    from pyarrow import parquet

    rng = np.random.default_rng(9)
    marks = rng.random((20, 3)) < [0.7, 0.5, 0.4]
    marks[marks.sum(axis=1) == 0, 0] = True
    ids = [f"s{at}" for at in range(20)]
    site = [("a", "b")[at % 2] for at in range(20)]
    sets = [[name for name, mark in zip(CLASSES, row, strict=True) if mark] for row in marks.tolist()]
    parquet.write_table(pyarrow.table({"id": ids, "labels": sets, "site": site}), "sets.parquet")
    _table(
        "sets.csv", ["id", "labels", "site"], [[i, ";".join(s), at] for i, s, at in zip(ids, sets, site, strict=True)]
    )
    cells = [[i, *map(str, map(int, row)), at] for i, row, at in zip(ids, marks.tolist(), site, strict=True)]
    _table("marks.csv", ["id", *CLASSES, "site"], cells)
    for name, noise in (("", 0.5), ("2", 0.3)):
        scores = np.clip(marks * 0.6 + 0.2 + rng.normal(size=marks.shape) * noise / 2, 0.01, 0.99).round(3)
        rows = [[i, *map(str, row)] for i, row in zip(ids, scores.tolist(), strict=True)]
        _table(f"scored{name}.csv", ["id", *(f"score_{each}" for each in CLASSES)], rows)
        named = [";".join(c for c, s in zip(CLASSES, row, strict=True) if s > 0.5) for row in scores.tolist()]
        _table(f"named{name}.csv", ["id", "predicted"], [[i, n] for i, n in zip(ids, named, strict=True)])
    _table("train.csv", ["id", "label", "a"], [[f"t{at}", CLASSES[at % 3], str(at)] for at in range(60)])
    x, y = pictures(seed=5, each=110)
    np.savez("held.npz", x=x[:, None].astype(np.float32) / 255, y=y)


class _Runs:
    """Unpickled, it makes a file and says so."""

    def __reduce__(self) -> Any:
        return exec, (f"open({CANARY!r}, 'w').close()",)


def _payloads() -> None:
    import torch

    bad = {"0.weight": torch.zeros(2, 2), "x": _Runs()}
    torch.save(bad, "evil.pth")
    torch.save(bad, "old.pth", _use_new_zipfile_serialization=False)
    with Path("val").joinpath("..", "loose.pkl").open("wb") as file:
        pickle.dump(_Runs(), file)
    with contextlib.chdir(Path("loose.pkl").parent):
        pickle.loads(Path("loose.pkl").read_bytes())
        if not Path(CANARY).exists():
            raise SystemExit("the payload is none")
        Path(CANARY).unlink()
        Path("loose.pkl").unlink()
    objects = np.array([_Runs()] * 4, dtype=object)
    np.savez("evil.npz", x=np.zeros((4, 1, 8, 8), np.float32), y=objects)
    np.savez("evil-p.npz", id=np.array(["a", "b", "c", "d"]), predicted=objects)

    def prints(x: torch.Tensor) -> torch.Tensor:
        print("::error::planted")
        return x.flatten(1)[:, :3]

    class Says(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return prints(x)

    torch.jit.save(torch.jit.script(Says()), "evil.pt")
    Path("remote").mkdir()
    config = json.loads(Path("vit/config.json").read_text())
    config |= {
        "auto_map": {"AutoModelForImageClassification": "modeling.Net"},
        "architectures": ["Net"],
        "model_type": "net",
    }
    Path("remote/config.json").write_text(json.dumps(config))
    Path("remote/modeling.py").write_text(f"open({CANARY!r}, 'w').close()\n")
    Path("remote/model.safetensors").write_bytes(Path("vit/model.safetensors").read_bytes())
    _onnx("outside.onnx", _bands(), ["n", 1, 8, 8], external="outside.bin")
    content = Path("outside.onnx").read_bytes()
    Path("outside.onnx").write_bytes(content.replace(b"outside.bin", b"../../../ab"))


POLICY = """\
extends = "default"
inconclusive = "allow"

[rules.recall-drop]
level = "error"
limit = 3

[rules.accuracy-drop]
level = "warn"

[[waivers]]
rule = "recall-drop"
class = "cat"
variant = "pruned*"
reason = "cats go to a second model"
expires = 2027-06-30
"""
PLAN = """\
title = "Bands"
seeds = 2
densities = [0.5]
methods = ["magnitude", "random"]

[contrasts]
outcome = "worst-recall"
against = "magnitude"
methods = ["random"]
density = 0.5

[networks]
mlp = "prune_audit.networks:mlp(3, inputs=64, hidden=[4])"

[data]
train = "small.npz"
audit = "small.npz"

[training]
epochs = 6
lr = 0.2
batch-size = 16

[tuning]
epochs = 1
lr = 0.05
batch-size = 32
"""


def _plans() -> None:
    Path("policy.toml").write_text(POLICY)
    inside = POLICY.replace("[[waivers", "[[tool.prune-audit.waivers").replace("[rules", "[tool.prune-audit.rules")
    Path("pyproject.toml").write_text(f'[project]\nname = "a"\n\n[tool.prune-audit]\n{inside}')
    Path("plan.toml").write_text(PLAN)


def _releases() -> None:
    """Two audits of the data that were judged before, at times that are the same whenever these are made."""
    from prune_audit.history import folder

    _run("compare", "dense.onnx", "dense.onnx", "--data", "x.npz", *COMPARE, "-o", "same.json")
    for at, name in enumerate(("same", "before")):
        _run("check", f"{name}.json", "--exit-zero", "-q", "--history", name)
        [release] = folder.read(Path(name))
        folder.add(Path("releases"), replace(release, time=BEGIN.replace("-03-", f"-0{3 + at}-")))
        shutil.rmtree(name)


def _stopped() -> None:
    """The states of three trainings after their first epoch: of a cut, of a search and of a mitigation."""
    from prune_audit.cli import invoke
    from prune_audit.nets.resume import Resume

    class Stop(Exception):
        pass

    write = Resume.write

    def once(self: Resume, state: dict[str, Any]) -> None:
        write(self, state)
        raise Stop

    Resume.write = once  # type: ignore[method-assign]
    try:
        for command, state in (
            ((*PRUNE, *COMPARE, "-o", "out.pth"), "out.pth.resume"),
            ((*SEARCH, *COMPARE, "-o", "found.pth"), "found.pth.tries/*.resume"),
            ((*MITIGATE, *COMPARE, "-o", "fair.pth"), "fair.pth.weighted.resume"),
        ):
            invoke(command)
            if not list(Path().glob(state)):
                raise SystemExit(f"a seed is no seed: no training was stopped by prune-audit {' '.join(command)}")
    finally:
        Resume.write = write  # type: ignore[method-assign]


def _study() -> None:
    _run("study", "plan.toml", "-q", "-o", "done")
    Path("studied").mkdir()
    for name in ("runs.csv", "classes.csv", "title.txt", "samples.csv", "audited.csv"):
        Path("studied", name).write_bytes(Path("done", name).read_bytes())
