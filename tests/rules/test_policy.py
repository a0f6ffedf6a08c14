"""Policy files: what they mean, and that nothing in them is ignored."""

from __future__ import annotations

from pathlib import Path

import pytest

from prune_audit.core import RuleSetting
from prune_audit.errors import PolicyError
from prune_audit.rules import default_policy, read_policy


def written(folder: Path, text: str) -> Path:
    path = folder / "strict.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_extending_the_default_changes_only_what_is_named(tmp_path: Path) -> None:
    text = """
        extends = "default"
        inconclusive = "forbid"

        [rules.recall-drop]
        level = "warn"
        limit = 3

        [rules.accuracy-drop]
        level = "off"
    """
    policy = read_policy(written(tmp_path, text))
    expected = dict(default_policy().rules)
    expected["recall-drop"] = RuleSetting(level="warn", limit=0.03)
    expected["accuracy-drop"] = RuleSetting(level="off", limit=0.02)
    assert dict(policy.rules) == expected
    assert (policy.name, policy.inconclusive) == ("strict", "forbid")


def test_without_extends_only_what_is_named_is_checked(tmp_path: Path) -> None:
    policy = read_policy(written(tmp_path, "[rules.harmed]\n"))
    assert dict(policy.rules) == {"harmed": default_policy().rules["harmed"]}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("extends = 'default'\nlevle = 'warn'\n", 2, "unknown key 'levle'"),
        ("extends = 'strict'\n", 1, "extends: expected \"default\", found 'strict'"),
        ("inconclusive = 'maybe'\n", 1, 'inconclusive: expected "allow" or "forbid", found \'maybe\''),
        ("[rules.harmed]\n[rules.recal-drop]\n", 2, "unknown rule 'recal-drop', expected one of accuracy-drop"),
        ("[rules.recall-drop]\n# margin\nmargin = 0.1\n", 3, "rules.recall-drop: unknown key 'margin'"),
        ("[rules.harmed]\nlevel='error'\n[rules.recall-drop]\nlevel = 'fatal'\n", 4, "found 'fatal'"),
        ("[rules.recall-drop]\nlimit = 200\n", 2, "rules.recall-drop.limit: expected points from 0 to 100, found 200"),
        ("[rules.recall-drop]\nlimit = 0.02\n", 2, "points, not shares"),
        ("[rules.harmed]\nlimit = 95\n", 2, "rules.harmed.limit: expected share from 0 to 1, found 95"),
        ("[rules.recall-drop]\nlimit = nan\n", 2, "found nan"),
        ("[rules.recall-drop]\nlimit = true\n", 2, "found True"),
        ("[rules.recall-drop]\nlimit = '0.02'\n", 2, "found '0.02'"),
        ("[rules.collapsed]\nlimit = 0.5\n", 2, "the rule takes no limit"),
        ("rules = 3\n", 1, "rules: expected tables"),
        ("[rules]\nharmed = 'error'\n", 2, "rules.harmed: expected a table"),
        ("[rule.harmed]\nlevel = 'error'\n", 1, "unknown key 'rule'"),
    ],
)
def test_what_is_not_understood_is_refused_where_it_stands(tmp_path: Path, text: str, line: int, message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        read_policy(written(tmp_path, text))
    assert caught.value.message.startswith(f"{tmp_path / 'strict.toml'}:{line}: ")
    assert message in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("text", ["", "inconclusive = 'forbid'\n", "[rules]\n"])
def test_a_policy_that_would_pass_anything_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(PolicyError, match="names no rule"):
        read_policy(written(tmp_path, text))


def test_broken_toml_says_where(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"expected TOML.*line 2"):
        read_policy(written(tmp_path, "extends = 'default'\n[rules\n"))


def test_a_missing_file_and_one_that_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read"):
        read_policy(tmp_path / "none.toml")
    (tmp_path / "model.toml").write_bytes(b"\x80\x02\xff")
    with pytest.raises(PolicyError, match="UTF-8"):
        read_policy(tmp_path / "model.toml")
