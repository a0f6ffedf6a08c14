"""A policy as text: a file that says the same when it is read again, and where each value is from."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from prune_audit.core import Policy, Settings, Waiver
from prune_audit.gate import settings_of
from prune_audit.rules import PRESETS, preset, read_policy, toml

FILE = """extends = "report-only"
margin = 3
expect-accuracy = 91.5
[rules.alpha]
level = "warn"
limit = 1.25
[rules.harmed]
level = "error"
[[waivers]]
rule = "recall-drop"
class = "cat [tabby]"
reason = 'known; "see 12"'
expires = 2027-01-31
"""


def again(policy: Policy, folder: Path, *, origins: bool) -> Policy:
    path = folder / "again.toml"
    path.write_text(toml(policy, settings_of(policy, Settings()), origins=origins), encoding="utf-8")
    return read_policy(path)


@pytest.mark.parametrize("origins", [False, True])
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_comes_back_rule_by_rule(name: str, origins: bool, tmp_path: Path) -> None:
    policy = preset(name)
    found = again(policy, tmp_path, origins=origins)
    assert dict(found.rules) == dict(policy.rules)
    assert found.inconclusive == policy.inconclusive
    assert settings_of(found, Settings()) == settings_of(policy, Settings())


@pytest.mark.parametrize("origins", [False, True])
def test_a_file_comes_back_with_its_settings_and_waivers(origins: bool, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(FILE, encoding="utf-8")
    policy = read_policy(path)
    found = again(policy, tmp_path, origins=origins)
    assert dict(found.rules) == dict(policy.rules)
    assert settings_of(found, Settings()) == settings_of(policy, Settings())
    assert settings_of(found, Settings()).expect_accuracy == pytest.approx(0.915, abs=1e-12)  # decimal to binary
    [waiver] = found.waivers
    assert (waiver.rule, waiver.stratum, waiver.reason, waiver.expires) == (
        "recall-drop", "cat [tabby]", 'known; "see 12"', date(2027, 1, 31),
    )  # fmt: skip
    assert isinstance(waiver, Waiver)


def test_comments_say_what_values_mean_or_where_they_are_from(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(FILE, encoding="utf-8")
    policy = read_policy(path)
    settings = settings_of(policy, Settings())
    meaning, origin = (toml(policy, settings, origins=origins).splitlines() for origins in (False, True))
    told = {line.partition("#")[0].strip(): line.partition("#")[2].strip() for line in origin if "=" in line}
    assert told["margin = 3"] == f"{path}:2"
    assert told["limit = 1.25"].endswith(f"{path}:6")
    assert told['level = "warn"']  # of several rules the last, from the preset
    assert "# its limit is margin" in meaning
    assert meaning[meaning.index("[rules.recall-drop]") - 1] == (
        "# Fails if a class is shown to lose more recall than the margin."
    )
    assert not any(line.startswith("# Fails if") for line in origin)
    assert any(line.startswith("# limit = ...") for line in meaning)  # of a rule that is off and has no default
