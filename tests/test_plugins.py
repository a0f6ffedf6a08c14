"""The folder is the registry."""

from __future__ import annotations

import pytest

from prune_audit import plugins
from prune_audit.errors import UsageError


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
