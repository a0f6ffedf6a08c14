"""A runner is given functions: what they raise is raised as it is, and what it leaves out is its own fault."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from prune_audit import plugins, runners
from prune_audit.errors import PluginError, UsageError
from tests.conftest import ROOT

PARTS = [[0, 1], [2, 3], [], [4]]


def squares(samples: list[int]) -> list[Callable[[], list[int]]]:
    """Two lanes, a square and a cube; a part without samples is nothing to do."""
    return [partial(list, [x**2 for x in samples]), partial(list, [x**3 for x in samples])] if samples else []


def run(tasks: Any = squares) -> list[list[int]]:
    found: list[list[int]] = [[], []]
    runners.run("threads", PARTS, list, tasks, [each.extend for each in found], workers=2)
    return found


def test_every_lane_has_the_results_of_all_parts_in_order() -> None:
    assert run() == [[0, 1, 4, 9, 16], [0, 1, 8, 27, 64]]


def test_a_name_that_is_no_runner() -> None:
    with pytest.raises(UsageError, match="no plugin 'spark' in runners") as caught:
        runners.check("spark")
    assert "threads" in str(caught.value.hint)


@pytest.mark.parametrize("where", ["read", "tasks", "task", "take"])
def test_what_a_function_raises_is_raised_as_it_is(where: str) -> None:
    fault = ValueError("of the function")

    def fail(*_: object) -> Any:
        raise fault

    with pytest.raises(ValueError, match="of the function") as caught:
        runners.run(
            "threads",
            PARTS,
            fail if where == "read" else list,
            fail if where == "tasks" else (lambda _: [fail]) if where == "task" else squares,
            [fail if where == "take" else [].append] * (1 if where == "task" else 2),
            workers=1,
        )
    assert caught.value is fault


def test_another_packages_runner_is_blamed_for_its_own_faults_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what it was given it may raise what it likes, as it was raised; what it does not do is told."""
    monkeypatch.setattr(plugins, "load", lambda room, name: SimpleNamespace(run=how[0]))
    point = SimpleNamespace(dist=SimpleNamespace(name="acme", version="1"), value="acme.run")
    monkeypatch.setattr(plugins, "_theirs", lambda room: {"theirs": point})
    how: list[Any] = []

    def all_but_the_last(parts: Any, read: Any, tasks: Any, take: Any, workers: int) -> None:
        for part in parts[:-1]:
            for task, give in zip(tasks(read(part)), take, strict=False):
                give(task())

    def takes_nothing(parts: Any, read: Any, tasks: Any, take: Any, workers: int) -> None:
        for part in parts:
            tasks(read(part))

    def reads_wrongly(parts: Any, read: Any, tasks: Any, take: Any, workers: int) -> None:
        read(7)

    def is_broken(parts: Any, read: Any, tasks: Any, take: Any, workers: int) -> None:
        raise TypeError("of the runner")

    for runner, error, said in (
        (all_but_the_last, PluginError, "it did 4 of 4 tasks, for 3 of 4 parts"),
        (takes_nothing, PluginError, "it did 0 of 6 tasks, for 4 of 4 parts"),
        (is_broken, PluginError, "of acme 1 in runners cannot be used: TypeError: of the runner"),
        (reads_wrongly, TypeError, "not iterable"),
    ):
        how[:] = [runner]
        with pytest.raises(error, match=said):
            runners.run("theirs", PARTS, list, squares, [list[Any]().append] * 2, workers=1)


def test_cores_is_positive() -> None:
    assert runners.cores() >= 1


def test_no_module_but_its_own_imports_a_runner() -> None:
    """Which of them runs is a setting; whoever imported one would run there whatever was asked for."""
    for file in (ROOT / "prune_audit").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom):
                names = {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
                of_runner = {f"prune_audit.runners.{name.replace('-', '_')}" for name in plugins.names("runners")}
                assert not names & of_runner, file


def test_where_one_works_elsewhere_the_usual_one_works_here_whatever_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plugins, "names", lambda _: ["another", "far", "threads"])
    monkeypatch.setattr(plugins, "load", lambda _, name: SimpleNamespace(ELSEWHERE=name == "far"))
    assert [runners.here(name) for name in ("another", "far", "threads")] == ["another", "threads", "threads"]
