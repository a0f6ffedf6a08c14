"""Every mutant is a program, and another one than the file it was made of."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.mutants import EQUIVALENT, PACKAGE, ROOT, equivalent, mirrored, mutated, places, sample


def test_every_mutant_of_a_file_is_another_program() -> None:
    file = PACKAGE / "stats" / "_tango.py"
    as_it_is = ast.unparse(ast.parse(file.read_text()))
    every = places(file)
    assert len({place.way.split()[0] for place in every}) > 3
    for place in every:
        tree, what = mutated(place)
        compile(tree, str(file), "exec")
        assert ast.unparse(tree) != as_it_is, what


def test_what_only_says_something_is_left_alone() -> None:
    file = PACKAGE / "core" / "types.py"
    assert not [place for place in places(file) if "Literal" in mutated(place)[1]]


def test_the_sample_is_of_every_room_and_drawn_alike_again() -> None:
    drawn = sample(200, 1, "")
    assert 150 < len(drawn) < 250
    assert {place.file.relative_to(PACKAGE).parts[0] for place in drawn} >= {"stats", "rules", "gate.py", "evaluate"}
    assert drawn == sample(200, 1, "")
    assert drawn != sample(200, 2, "")


def test_a_file_is_run_against_the_tests_that_mirror_it() -> None:
    tests = ROOT / "tests"
    assert mirrored(PACKAGE / "stats" / "_tango.py") == tests / "stats" / "test_tango.py"
    assert mirrored(PACKAGE / "gate.py") == tests / "test_gate.py"
    assert mirrored(PACKAGE / "rules" / "__init__.py") == tests / "rules" / "test_rules.py"
    assert mirrored(PACKAGE / "stats" / "nothing.py") == tests / "stats"


def line_of(node: ast.AST) -> int:
    assert isinstance(node, ast.expr | ast.stmt)
    return node.lineno


def test_what_is_called_equivalent_is_a_mutant_of_the_code_as_it_is() -> None:
    """Found by what it changes, since lines move; a reason is given for each."""
    for (name, line, change), why in EQUIVALENT.items():
        assert len(why) > 20
        text = (PACKAGE / name).read_text(encoding="utf-8")
        nodes, lines = list(ast.walk(ast.parse(text))), text.splitlines()
        here = [p for p in places(PACKAGE / name) if lines[line_of(nodes[p.number]) - 1].strip() == line]
        same = [place for place in here if mutated(place)[1].partition(": ")[2] == change]
        assert [equivalent(place) for place in same] == [why]


def test_a_file_that_is_called_as_tests_are_is_changed_too(tmp_path: Path) -> None:
    """In a process of its own, which has imported nothing of ours."""
    tests = tmp_path / "test_it.py"
    tests.write_text(
        "def test_it():\n"
        "    from prune_audit.stats import _margin_test\n"
        "    assert _margin_test._interval(0, 50, 0.02, 1e-4)[1] < 0.2\n"
    )
    code = """if True:
        from pathlib import Path
        from tests.benchmarks import mutants
        found = mutants.places(mutants.PACKAGE / "stats" / "_margin_test.py")
        [place] = [each for each in found if "if not gained < n" in mutants.mutated(each)[1]]
        print([mutants._outcome(each, Path("test_it.py"), 60.0)[0] for each in (None, place)])
        """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "[0, 1]\n", done.stderr
