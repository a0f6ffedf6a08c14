"""The site of docs/: what docs/conf.py writes from options and docstrings. ``.ci/run`` builds all of it, strictly."""

from __future__ import annotations

import re
import runpy
from typing import Any

import pytest

from prune_audit import plugins
from prune_audit.cli import _app
from tests.cli._run import here
from tests.conftest import ROOT

CONF: dict[str, Any] = runpy.run_path(str(ROOT / "docs" / "conf.py"))
RECIPES = (ROOT / "docs" / "recipes.md").read_text("utf-8")


@pytest.mark.parametrize("name", _app.commands())
def test_the_page_of_a_command_has_every_option_of_its_help(name: str) -> None:
    page = CONF["_command"](name)
    shown = here([name, "--help"], environment={"COLUMNS": "250", "NO_COLOR": "1"}).stdout
    asked = set(re.findall(r"^[│ ]+(?:\*\s+)?(--[a-z][a-z-]+)", shown, re.M)) - {"--help"}
    assert asked <= set(re.findall(r"--[a-z][a-z-]+", page))
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 4 for row in rows)


def test_the_page_of_a_plugin_has_its_docstring_and_options() -> None:
    page = CONF["_plugin"]("stats", "alpha")
    assert page.startswith("# alpha\n\n**Alpha, the slope of pruned on dense balances")
    assert "    alpha = (sum x y - noise of x y) / (sum x^2 - noise of x^2)" in page
    assert "| `--second-seed" in CONF["_plugin"]("lenses", "representation")
    assert all(CONF["_plugin"](room, name) for room in plugins.ROOMS for name in plugins.names(room))


def test_what_lies_outside_of_docs_is_words_unless_the_repository_has_an_address() -> None:
    source = ["See [the schema](../prune_audit/audit-1.schema.json) and [use](use.md)."]
    CONF["_source"](None, "python", source)
    assert source == ["See the schema and [use](use.md)."]


def test_recipes_say_which_test_runs_them_or_that_none_does() -> None:
    recipes = re.split(r"^## ", RECIPES, flags=re.M)[1:]
    assert len(recipes) == 10
    for recipe in recipes:
        assert re.search(r"[Uu]ntested|Tested by", recipe), recipe
    named = re.findall(r"`(tests/[\w/]+(?:\.py)?)`", RECIPES)
    assert len(named) >= 6
    assert all((ROOT / name).exists() for name in named)
    flags = set(re.findall(r"(?<=\s)--[a-z][a-z-]+", re.sub(r"`--log_samples`", "", RECIPES)))
    assert flags <= set(re.findall(r"--[a-z][a-z-]+", CONF["_command"]("compare")))
