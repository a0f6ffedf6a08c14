"""Every mutant is a program, and another one than the file it was made of."""

from __future__ import annotations

import ast

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
