"""The folder is the registry."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from types import ModuleType

import pytest

from prune_audit import plugins
from prune_audit.errors import PluginError, UsageError


def test_names_are_typed_with_hyphens_and_helpers_are_left_out() -> None:
    names = plugins.names("rules")
    assert "recall-drop" in names
    assert not any(name.startswith("-") or "_" in name for name in names)
    assert list(names) == sorted(names)


def test_an_unknown_plugin_is_named_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="no plugin 'nonsense' in rules") as caught:
        plugins.load("rules", "nonsense")
    assert "recall-drop" in caught.value.hint


def test_the_help_line_is_the_first_of_the_docstring() -> None:
    module = plugins.load("stats", "recall")
    assert plugins.help_line("stats", "recall") == (module.__doc__ or "").splitlines()[0]


@pytest.mark.parametrize(("has", "lacks"), [(("score",), None), (("update",), None), ((), "score or update")])
def test_of_a_pair_of_functions_another_packages_plugin_needs_one(
    has: tuple[str, ...], lacks: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("acme_movement")
    for name in ("NEEDS_DATA", *has):
        setattr(module, name, None)
    monkeypatch.setitem(sys.modules, "acme_movement", module)
    point = EntryPoint(name="movement", value="acme_movement", group="prune_audit.pruning")
    monkeypatch.setattr(plugins, "_theirs", lambda room: {"movement": point})
    monkeypatch.setattr(plugins, "names", lambda room: ("movement",))
    monkeypatch.setattr(plugins, "_BROKEN", {})
    if lacks is None:
        assert plugins.load("pruning", "movement") is module
    else:
        with pytest.raises(PluginError, match=f"it lacks {lacks}"):
            plugins.load("pruning", "movement")
