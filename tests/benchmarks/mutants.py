"""Small faults put into the code on purpose: how many do the tests find?

    python -m tests.benchmarks.mutants                     500 of them, an hour of a core or so
    python -m tests.benchmarks.mutants --mutants N --seed S --only stats/_tango
    python -m tests.benchmarks.mutants --part 1/2          the first of two halves, to run side by side
    python -m tests.benchmarks.mutants --number 17         only this one, with what it changes and what its tests say

A mutant is one change of one place: a comparison with its limit in or out, a sum for a difference, ``max`` for ``min``,
``and`` for ``or``, a number that is one more, a condition turned round, a statement left out, nothing returned. The
sample is drawn over the files of `ROOMS`, each in proportion to its places. A mutant is run against the tests that
mirror its file (``stats/_tango.py``: ``tests/stats/test_tango.py``), and where these let it live, against all tests of
its room. It is dead where a test fails, or where it takes ten times as long as the file's tests take without it. Those
that are the same program as before, and cannot die, are listed with the reason (`EQUIVALENT`).

Mutants are compiled from memory in processes that are forked from one which has imported the libraries, so nothing is
written, and nothing of ours is imported before it is changed. Tests that start commands of their own see the file as
it is on disk.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import multiprocessing
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "prune_audit"
ROOMS = ("stats", "rules", "gate.py", "tasks", "evaluate")
MUTANTS = 500
SLOWER, LEAST = 10.0, 60.0  # times the tests without a fault, and seconds, after which a mutant counts as endless
LIBRARIES = (
    "numpy",
    "scipy.stats",
    "scipy.optimize",
    "pandas",
    "pyarrow.parquet",
    "torch",
    "onnx",
    "onnxruntime",
    "rich",
    "typer",
    "statsmodels.api",
    "sklearn.metrics",
    "PIL.Image",
)

_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_CALLED = {
    "max": "min", "min": "max", "any": "all", "all": "any", "maximum": "minimum", "minimum": "maximum", "ceil": "floor",
    "floor": "ceil", "argmax": "argmin", "argmin": "argmax", "sum": "max", "zeros": "ones", "ones": "zeros",
    "ceiling": "floor", "isfinite": "isnan", "startswith": "endswith",
}  # fmt: skip

# Mutants that are the same program, as (file, line of code, change): why.
EQUIVALENT = {
    (
        "stats/_alpha.py",
        "centre = (both + lost) / size, (both + gained) / size",
        "both + lost  ->  both - lost",
    ): "recalls are measured from a point that cancels",
    (
        "tasks/classification/alignment.py",
        "return bool(p.min() * np.count_nonzero(support) <= LEVEL)",
        "p.min() * np.count_nonzero(support) <= LEVEL  ->  p.min() * np.count_nonzero(support) < LEVEL",
    ): "no such product is the level to its last bit",
    (
        "tasks/classification/alignment.py",
        "put = np.arange(max(int(reference.max()), int(predicted.max())) + 1)",
        "1  ->  2",
    ): "one class more at the end, which nothing is predicted as",
    (
        "tasks/classification/reading.py",
        "if off <= SUM_TOLERANCE and (like is None or off < 1e-4 or _varies(kept)):",
        "off < 0.0001  ->  off <= 0.0001",
    ): "what a float near 1 differs from 1 by is a multiple of 2**-53, and 1e-4 is none",
    (
        "tasks/classification/reading.py",
        'if kind == "classes-from-1" or (usual >= 0).all():',
        "0  ->  1",
    ): "a number that is 0 begins at 0, which is said before",
    (
        "evaluate/loop.py",
        "fits = 0 if chunk else _fits(dataset, running, rows, settings.skip_bad)",
        "0  ->  1",
    ): "a size that was asked for stands before it, and nobody reads this one",
    (
        "evaluate/loop.py",
        "scores = max([len(dataset.classes), *(tally.expects.outputs or 0 for tally in running)]) * 4",
        "0  ->  1",
    ): "there is one class at least",
    (
        "evaluate/predict.py",
        "want in (None, have) for want, have in zip(wanted.shape[1:], found[1:], strict=True)",
        "True  ->  False",
    ): "both are of one length, or nothing is paired",
    (
        "stats/distortion.py",
        "~shown & (low < margin) & ((high >= margin) | fell),",
        "high >= margin  ->  high > margin",
    ): "no interval that is computed ends at the margin to its last bit",
    (
        "stats/group_gap.py",
        "names = [name for name, has in zip(pair.strata, some, strict=True) if has]",
        "True  ->  False",
    ): "both are of one length",
    (
        "stats/ties.py",
        "nothing, absent = np.zeros(len(pair.strata)), dict.fromkeys(range(len(pair.strata)), NO_TIES)",
        "np.zeros(len(pair.strata))  ->  np.ones(len(pair.strata))",
    ): "every value is absent, so that none is shown",
    (
        "evaluate/sample_checks.py",
        'return f"{100 * share:.2g} %" if share < 0.99 else f"{100 * share:,.0f} %"',
        "share < 0.99  ->  share <= 0.99",
    ): "99 % is written alike in both ways",
}


@dataclass(frozen=True, slots=True)
class Place:
    """The node that is ``number`` in the walk of a file's tree, and the ``way`` in which it is changed."""

    file: Path
    number: int
    way: str


def places(file: Path) -> list[Place]:
    """Every change that can be made of ``file``, in the order of the code."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    idle = _idle(tree)
    return [Place(file, at, way) for at, node in enumerate(ast.walk(tree)) if node not in idle for way in _ways(node)]


def _idle(tree: ast.AST) -> set[ast.AST]:
    """What says something and does nothing: annotations, docstrings, imports, formatted texts, what types need."""
    idle: set[ast.AST] = set()
    for node in ast.walk(tree):
        said: list[Any] = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            said.append(node)
        if isinstance(node, (ast.Import, ast.ImportFrom, ast.JoinedStr)):
            said.append(node)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            said.append(node)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("cast", "dataclass", "TypeVar", "NewType"):
            said.append(node)
        for each in said:
            if isinstance(each, ast.AST):
                idle |= set(ast.walk(each))
    return idle


def _ways(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Compare):
        yield from (f"comparison {at}" for at, op in enumerate(node.ops) if type(op) in _COMPARED)
    elif isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in _COMPUTED:
        yield "operator"
    elif isinstance(node, ast.BoolOp):
        yield "and for or"
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
        yield "no sign"
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float, bool):
        yield "constant"
    elif isinstance(node, ast.Call) and _name(node) in _CALLED:
        yield "function"
    elif isinstance(node, (ast.If, ast.IfExp)):
        yield "condition"
    elif isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield "nothing returned"
    elif isinstance(node, (ast.Expr, ast.AugAssign, ast.Raise, ast.Continue, ast.Break)):
        yield "left out"
    if isinstance(node, ast.AugAssign):
        yield "left out"


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def mutated(place: Place) -> tuple[ast.Module, str]:
    """The tree of the file with the change, and what it changes, as ``line: before -> after``."""
    tree = ast.parse(place.file.read_text(encoding="utf-8"))
    node: Any = list(ast.walk(tree))[place.number]
    before = deepcopy(node)
    after: Any = node
    if place.way.startswith("comparison"):
        at = int(place.way.split()[1])
        node.ops[at] = _COMPARED[type(node.ops[at])]()
    elif place.way == "operator":
        node.op = _COMPUTED[type(node.op)]()
    elif place.way == "and for or":
        node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    elif place.way == "no sign":
        after = _replace(tree, node, node.operand)
    elif place.way == "constant":
        node.value = not node.value if isinstance(node.value, bool) else node.value + 1
    elif place.way == "function":
        new = _CALLED[_name(node)]
        if isinstance(node.func, ast.Attribute):
            node.func.attr = new
        else:
            node.func.id = new
    elif place.way == "condition":
        node.test = ast.UnaryOp(ast.Not(), node.test)
    elif place.way == "nothing returned":
        node.value = ast.Constant(None)
    else:
        after = _replace(tree, node, ast.Pass())
    ast.fix_missing_locations(tree)
    first = [ast.unparse(each).splitlines()[0] for each in (before, after)]
    return tree, f"{before.lineno}: {first[0]}  ->  {first[1]}"


def equivalent(place: Place) -> str | None:
    """Why the mutant is the same program, where that is known (`EQUIVALENT`)."""
    number, _, change = mutated(place)[1].partition(": ")
    line = place.file.read_text(encoding="utf-8").splitlines()[int(number) - 1].strip()
    return EQUIVALENT.get((place.file.relative_to(PACKAGE).as_posix(), line, change))


def _replace(tree: ast.AST, old: ast.AST, new: ast.AST) -> ast.AST:
    """``new``, which stands in ``tree`` where ``old`` stood."""
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, name, new)
            elif isinstance(value, list) and old in value:
                value[value.index(old)] = new
    return ast.copy_location(new, old)


def mirrored(file: Path) -> Path:
    """The tests that mirror ``file``; those of its room where it has none of its own."""
    inside = file.relative_to(PACKAGE)
    room = ROOT / "tests" / inside.parent
    stem = inside.parent.name if inside.stem == "__init__" else inside.stem.lstrip("_")
    own = room / f"test_{stem}.py"
    return own if own.exists() else room


class _Changed(SourceFileLoader):
    """Loads one file with the change in it, and all others as they are."""

    place: Place | None = None

    def get_code(self, fullname: str) -> CodeType | None:
        if self.place is not None and Path(self.path) == self.place.file:
            return compile(mutated(self.place)[0], self.path, "exec")
        return super().get_code(fullname)


def _run(place: Place | None, tests: Path, *, loud: bool) -> None:
    """Run ``tests``, end with pytest's exit code; all files are as they are where there is no ``place``."""
    import importlib.machinery as machinery

    import pytest

    os.setpgid(0, 0)  # so that what the tests start ends with them
    _Changed.place = place
    hook = machinery.FileFinder.path_hook(
        (machinery.ExtensionFileLoader, machinery.EXTENSION_SUFFIXES), (_Changed, machinery.SOURCE_SUFFIXES)
    )
    sys.path_hooks.insert(0, hook)
    sys.path_importer_cache.clear()
    if not loud:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
    # Plain assertions, since pytest would load by itself what it is to rewrite: _margin_test.py, by its name.
    asked = ["-x", "-q", "-p", "no:cacheprovider", "--assert=plain", "--no-header", "--tb=short", str(tests)]
    os._exit(int(pytest.main(asked)))


def _outcome(place: Place | None, tests: Path, seconds: float, *, loud: bool = False) -> tuple[int | None, float]:
    """Pytest's exit code, None where it took longer than ``seconds``, and how long it took."""
    began = time.monotonic()
    child = multiprocessing.get_context("fork").Process(target=_run, args=(place, tests), kwargs={"loud": loud})
    child.start()
    child.join(seconds)
    endless = child.is_alive()
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid or 0, 9)
    child.join()
    return None if endless else child.exitcode, time.monotonic() - began


def sample(count: int, seed: int, only: str) -> list[Place]:
    """``count`` places, drawn of each file in proportion to how many it has."""
    files = sorted(file for room in ROOMS for file in _files(PACKAGE / room))
    found = {file: places(file) for file in files}
    total = sum(map(len, found.values()))
    drawn: list[Place] = []
    for file, every in found.items():
        share = random.Random(f"{seed} {file.relative_to(PACKAGE)}")
        exact = count * len(every) / total
        many = int(exact) + (share.random() < exact % 1)
        drawn += sorted(share.sample(every, min(many, len(every))), key=lambda place: place.number)
    return [place for place in drawn if only in str(place.file.relative_to(PACKAGE))]


def _files(room: Path) -> list[Path]:
    return [room] if room.is_file() else sorted(room.rglob("*.py")) if room.exists() else []


def _part(text: str) -> tuple[int, int]:
    number, _, of = text.partition("/")
    return int(number) - 1, int(of)


def main() -> None:
    """Run the sample, name those that live, and count per room."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.mutants", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--mutants", type=int, default=MUTANTS, help=f"how many are drawn: {MUTANTS}")
    parser.add_argument("--seed", type=int, default=1, help="draws them: 1")
    parser.add_argument("--only", default="", help="only files whose path holds this text")
    parser.add_argument("--part", type=_part, default=(0, 1), help="one part of several, as 1/2")
    parser.add_argument("--number", type=int, help="only the one of this number, whose tests are shown")
    asked = parser.parse_args()
    os.chdir(ROOT)
    for library in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(library)
    drawn = list(enumerate(sample(asked.mutants, asked.seed, asked.only)))
    if asked.number is not None:
        place = drawn[asked.number][1]
        print(place.file.relative_to(PACKAGE), mutated(place)[1], flush=True)
        print(_outcome(place, mirrored(place.file), 600.0, loud=True))
        return
    part, of = asked.part
    usual: dict[Path, float] = {}
    counts: Counter[tuple[str, str]] = Counter()
    for number, place in drawn[part::of]:
        inside = place.file.relative_to(PACKAGE)
        fate = "lives"
        for tests in dict.fromkeys((mirrored(place.file), ROOT / "tests" / inside.parent)):
            if tests == ROOT / "tests":  # a file of no room has its own tests alone
                break
            if tests not in usual:
                code, usual[tests] = _outcome(None, tests, 1800.0)
                if code:
                    raise SystemExit(f"{tests} fails without a mutant: exit code {code}")
            code, _ = _outcome(place, tests, max(LEAST, SLOWER * usual[tests]))
            if code != 0:
                fate = "dead" if tests == mirrored(place.file) else "dead in its room"
                break
        why = equivalent(place) if fate == "lives" else None
        fate = "equivalent" if why else fate
        counts[inside.parts[0], fate] += 1
        if fate != "dead":
            print(f"{number}: {fate}: {inside}:{mutated(place)[1]}" + (f" ({why})" if why else ""), flush=True)
    rooms = sorted({room for room, _ in counts})
    print("| room | mutants | dead by the file's own tests | by the room's | equivalent | live |")
    print("|---|---:|---:|---:|---:|---:|")
    for room in [*rooms, "**all**"]:
        of_room = Counter({fate: n for (where, fate), n in counts.items() if where == room}) or Counter[str]()
        if room == "**all**":
            for (_, fate), n in counts.items():
                of_room[fate] += n
        fates = ("dead", "dead in its room", "equivalent", "lives")
        cells = (of_room.total(), *(of_room[fate] for fate in fates))
        print(f"| {room} | {' | '.join(map(str, cells))} |")


if __name__ == "__main__":
    main()
