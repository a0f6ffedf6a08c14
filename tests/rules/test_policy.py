"""Policy files: what they mean, and that nothing in them is ignored."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from prune_audit import plugins
from prune_audit.core import Policy, RuleSetting, Waiver
from prune_audit.errors import PolicyError, UsageError
from prune_audit.rules import (
    PRESETS,
    Given,
    chosen,
    default_policy,
    found,
    of_rule,
    overlaid,
    preset,
    read_policy,
    typed,
)


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
    assert (policy.name, policy.inconclusive, policy.path) == ("strict.toml", "forbid", str(tmp_path / "strict.toml"))


def test_without_extends_only_what_is_named_is_checked(tmp_path: Path) -> None:
    policy = read_policy(written(tmp_path, "[rules.harmed]\n"))
    assert dict(policy.rules) == {"harmed": default_policy().rules["harmed"]}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("extends = 'default'\nlevle = 'warn'\n", 2, "unknown key 'levle'"),
        ("extends = 'hard'\n", 1, "extends: expected one of report-only, screen, default, strict, found 'hard'"),
        ("inconclusive = 'maybe'\n", 1, 'inconclusive: expected "allow" or "forbid", found \'maybe\''),
        ("[rules.harmed]\n[rules.recal-drop]\n", 2, "unknown rule 'recal-drop'"),
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
        ("margin = 0.02\n", 1, "margin: 0.02 is less than a tenth of a point; points, not shares"),
        ("confidence = 95\n", 1, "confidence: expected share from 0 to 1, found 95"),
        ("confidence = 0.4\n", 1, "confidence must be a share in [0.5, 1), found 0.4"),
        ("retention-margin = 0\n", 1, "the retention margin must be a share in (0, 1]"),
        (
            "retention_margin = 0.9\n",
            1,
            "unknown key 'retention_margin'",
        ),
        ("correction = 'bh'\n", 1, "correction: expected one of fdr_bh"),
        ("extends='default'\nmargin = 3\n\nassure = 2\n", 4, "assure: 2 points are less than the margin of 3"),
        ("margin = 3\n[rules.recall-drop]\nlimit = 2\n", 3, "rules.recall-drop.limit contradicts margin = 3"),
        ("[rules.density]\nlevel = 'error'\n", 2, "rules.density needs a limit, in percent"),
        ("[rules.worst-class-recall]\nlevel = 'warn'\nlimit = 0.6\n", 3, "percent, not shares"),
        ("[rules.min-support]\nlimit = 2.5\n", 2, "expected a whole number of samples, found 2.5"),
        ("extends='default'\nwaivers = 3\n", 2, "waivers: expected tables [[waivers]]"),
        ("[[waivers]]\nrule = 'harmed'\n", 1, "waivers: 'class' is missing"),
        ("[rules.harmed]\n[[waivers]]\nrule='a'\nclass='b'\nreason='c'\n", 3, "waivers: unknown rule 'a'"),
        ("[[waivers]]\nrule='harmed'\nclass='b'\nreason=' '\n", 4, "waivers: reason: expected a text, found ' '"),
        ("[[waivers]]\nrule='harmed'\nclass='b'\nreason='c'\n", 1, "waivers: 'expires' is missing"),
        (
            "[[waivers]]\nrule='harmed'\nclass='b'\nreason='c'\nexpires='soon'\n",
            5,
            "expected a date, YYYY-MM-DD, found",
        ),
        ("[[waivers]]\nrule='harmed'\nstratum='b'\n", 3, "waivers: unknown key 'stratum'"),
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


# ------------------------------------------------------------------------------------------------ presets and layers


def levels(policy: Policy) -> dict[str, str]:
    return {rule: setting.level for rule, setting in policy.rules.items() if setting.level != "off"}


def test_the_presets_rise_from_the_mildest_to_the_hardest() -> None:
    usual = dict.fromkeys(("recall-drop", "harmed", "collapsed", "accuracy-drop"), "error")
    doubts = {"plausible": "warn"}
    assert levels(preset("report-only")) == dict.fromkeys(usual, "warn") | doubts
    assert levels(preset("screen")) == {**usual, "harmed": "warn"} | doubts
    assert levels(preset("default")) == usual | doubts
    assert levels(preset("strict")) == {**usual, "min-support": "error", "plausible": "error"}
    assert [preset(name).inconclusive for name in PRESETS] == ["allow", "allow", "allow", "forbid"]
    assert all(set(preset(name).rules) == set(plugins.names("rules")) for name in PRESETS)
    with pytest.raises(UsageError, match="no preset 'lax'"):
        preset("lax")


def test_a_file_extends_a_preset(tmp_path: Path) -> None:
    policy = read_policy(written(tmp_path, 'extends = "strict"\nmargin = 1\n[rules.alpha]\nlevel = "warn"\n'))
    assert policy.inconclusive == "forbid"
    assert policy.settings == {"margin": 0.01}
    assert policy.rules["alpha"] == RuleSetting(level="warn", limit=1.1)
    path = tmp_path / "strict.toml"
    assert policy.origins["margin"] == f"{path}:2"
    assert policy.origins["rules.alpha.level"] == f"{path}:4"
    assert policy.origins["rules.alpha.limit"] == policy.origins["inconclusive"] == "preset strict"


def test_the_last_layer_wins_and_says_so(tmp_path: Path) -> None:
    policy = read_policy(written(tmp_path, 'extends = "default"\n[rules.recall-drop]\nlimit = 3\n'))
    given = [
        Given(key=("margin",), value=4.0, origin="PRUNE_AUDIT_MARGIN"),
        Given(key=("margin",), value=1.0, origin="--margin"),
        *of_rule("harmed=warn:.9", "--rule"),
        *of_rule("alpha=error", "--rule"),
    ]
    changed = overlaid(policy, given)
    assert changed.settings == {"margin": 0.01}
    assert changed.rules["recall-drop"].limit is None  # the file's limit is the margin, which the flag overrides
    assert changed.rules["harmed"] == RuleSetting(level="warn", limit=0.9)
    assert changed.rules["alpha"] == RuleSetting(level="error", limit=1.1)
    assert changed.origins["margin"] == "--margin"
    assert "rules.recall-drop.limit" not in changed.origins


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("harmed", "--rule: expected NAME=LEVEL or NAME=LEVEL:LIMIT, found 'harmed'"),
        ("harm=error", "--rule: unknown rule 'harm'"),
        ("harmed=fatal", "--rule: rules.harmed.level: expected off, warn or error, found 'fatal'"),
        ("recall-drop=error:two", "--rule: rules.recall-drop.limit: expected points from 0 to 100, found 'two'"),
        ("collapsed=warn:2", "--rule: rules.collapsed: the rule takes no limit"),
        ("density=error", "--rule: rules.density needs a limit, in percent"),
    ],
)
def test_a_rule_on_the_command_line_is_held_to_the_same(text: str, message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        overlaid(default_policy(), of_rule(text, "--rule"))
    assert caught.value.message.startswith(message)


def test_limits_come_back_as_they_were_typed() -> None:
    assert typed(0.02, "points") == 2
    assert typed(0.07, "percent") == 7  # 7.000000000000001 before rounding
    assert typed(0.95, "share") == 0.95
    assert typed("holm", ("holm", "none")) == "holm"


def test_a_waiver_without_a_class_hears_of_the_model_as_a_whole(tmp_path: Path) -> None:
    with pytest.raises(PolicyError) as caught:
        read_policy(written(tmp_path, "[[waivers]]\nrule = 'accuracy-drop'\nreason = 'r'\nexpires = 2027-01-31\n"))
    assert 'class = "model"' in caught.value.hint


def test_waivers_are_read_with_their_place(tmp_path: Path) -> None:
    text = """extends = "default"

[[waivers]]
rule = "recall-drop"
class = "cat*"
reason = "known, see #12"
expires = 2027-01-31

[[waivers]]
rule = "harmed"
class = "dog"
variant = "pruned-9?"
reason = "r"
expires = "2027-02-01"
"""
    first, second = read_policy(written(tmp_path, text)).waivers
    origin = str(tmp_path / "strict.toml")
    assert first == Waiver(
        rule="recall-drop",
        stratum="cat*",
        reason="known, see #12",
        expires=date(2027, 1, 31),
        origin=f"{origin}:3",
    )
    assert (second.variant, second.expires, second.origin) == ("pruned-9?", date(2027, 2, 1), f"{origin}:9")


# ------------------------------------------------------------------------------------------------------- where it is


def test_the_project_is_found_upwards_and_no_further_than_its_repository(tmp_path: Path) -> None:
    inner = tmp_path / "repository" / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "prune-audit.toml").write_text('extends = "strict"\n')
    assert found(inner) == tmp_path / "prune-audit.toml"
    (tmp_path / "repository" / ".git").mkdir()
    assert found(inner) is None
    project = tmp_path / "repository" / "pyproject.toml"
    project.write_text("[project]\nname = 'x'\n")
    assert found(inner) is None
    project.write_text("[project]\nname = 'x'\n[tool.prune-audit]\nextends = 'screen'\n")
    assert found(inner) == project
    (tmp_path / "repository" / "a" / "prune-audit.toml").write_text("")
    assert found(inner) == tmp_path / "repository" / "a" / "prune-audit.toml"


def test_the_table_of_a_project_is_a_policy(tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text('[project]\nname = "x"\n[tool.prune-audit]\nextends = "screen"\nmargin = 3\n')
    policy = read_policy(path)
    assert (policy.name, policy.settings, policy.origins["margin"]) == ("pyproject.toml", {"margin": 0.03}, f"{path}:5")
    path.write_text('[project]\nname = "x"\n[tool.prune-audit]\n[tool.prune-audit.rules.harmd]\n')
    with pytest.raises(PolicyError, match=r"pyproject\.toml:4: unknown rule 'harmd'"):
        read_policy(path)
    path.write_text("[project]\n")
    with pytest.raises(PolicyError, match=r"no table \[tool\.prune-audit\]"):
        read_policy(path)


def test_what_a_command_line_chooses(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert chosen("strict", start=tmp_path) == preset("strict")
    assert chosen(None, start=tmp_path) == default_policy()
    (tmp_path / "prune-audit.toml").write_text('extends = "screen"\n')
    inner = tmp_path / "inner"
    inner.mkdir()
    for start, called in ((tmp_path, "prune-audit.toml"), (inner, "../prune-audit.toml")):
        policy = chosen(None, start=start)
        assert (policy.path, policy.name, policy.origins["extends"]) == (called, "prune-audit.toml", f"{called}:1")
        assert policy.rules["harmed"].level == "warn"
    with pytest.raises(PolicyError, match="nothing") as caught:
        chosen("nothing", start=tmp_path)
    assert "or a preset: report-only" in caught.value.hint
