"""A policy file (TOML) to `Policy`; everything in it that is not understood is an error.

A gate that ignores a misspelt key gates nothing and says nothing, so unknown keys, unknown rules and impossible values
are refused, with the file, the line and the key. A policy is a file of its own or the table ``[tool.prune-audit]`` of
a pyproject.toml; what it holds is the same.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, NoReturn

from prune_audit import plugins, spelling
from prune_audit.core import Policy, Waiver
from prune_audit.errors import PolicyError
from prune_audit.files import elsewhere, parse, regular
from prune_audit.files.toml_lines import Key, line_of, lines
from prune_audit.rules._presets import PRESETS, preset
from prune_audit.rules._values import HINT, Given, overlaid

FILE, PROJECT = "prune-audit.toml", "pyproject.toml"
TABLE = ("tool", "prune-audit")  # in a pyproject.toml
WAIVER_HINT = '[[waivers]]   rule = "recall-drop"   class = "cat"   reason = "..."   expires = 2027-01-31'
WHOLE_HINT = 'class = "model" waives what a rule says of the model as a whole, as accuracy-drop does; else name a class'


def chosen(choice: str | Path | None, *, start: Path) -> Policy:
    """The policy to judge by: ``choice``, a preset or a file; else what is `found` from ``start`` on; else the default.

    Raises:
        PolicyError: the file is missing or not understood.
    """
    if choice is not None:
        return preset(str(choice)) if str(choice) in PRESETS else read_policy(Path(choice))
    path = found(start)
    if path is None:
        return default_policy()
    # As seen from here: audits of one repository must not differ by where it was checked out.
    return read_policy(path, called=os.path.relpath(path, start))


def default_policy() -> Policy:
    """Every rule at its own default; what cannot be told passes."""
    return preset("default")


def found(start: Path) -> Path | None:
    """The policy of the project that holds the folder ``start``, None where it has none.

    The nearest folder upwards with a prune-audit.toml or with a pyproject.toml that has the table; where both are, the
    file of its own. The search ends at the root of a repository: what lies outside it is not there in CI.
    """
    for folder in (start, *start.parents):
        if (folder / FILE).is_file():
            return folder / FILE
        if (folder / PROJECT).is_file() and _inner(
            _File.read(folder / PROJECT, str(folder / PROJECT)).table
        ) is not None:
            return folder / PROJECT
        if (folder / ".git").exists():
            return None
    return None


def read_policy(path: Path, *, called: str | None = None) -> Policy:
    """Read a policy file. The policy bears its name; messages and origins say ``called``, or else its path.

    Top level: ``extends`` names a preset to start from, else only the rules that the file names are checked;
    ``inconclusive = "allow" | "forbid"``; settings of the statistics. Per rule, ``[rules.NAME]``: ``level = "off" |
    "warn" | "error"`` and ``limit``, in the unit of the command line's flags: 2 points are a share of .02. What a
    rule's table leaves out is the rule's default. ``[[waivers]]`` as `prune_audit.core.Waiver` has them, with
    ``class`` for the stratum.

    Raises:
        PolicyError: the file is missing, is no TOML, or holds what is not understood.
    """
    file = _File.read(path, called or str(path))
    table = _inner(file.table) if path.name == PROJECT else file.table
    if table is None:
        raise PolicyError(f"{file.called}: there is no table [tool.prune-audit]", hint=HINT)
    extends = table.get("extends")
    if extends is not None and not (isinstance(extends, str) and extends in PRESETS):
        hint = spelling.meant(str(extends), PRESETS) + HINT
        file.refuse(f"extends: expected one of {', '.join(PRESETS)}, found {extends!r}", "extends", hint=hint)
    base = preset(extends) if extends else Policy(name="", rules={})
    policy = overlaid(base, file.given(table))
    waivers = table.get("waivers", [])
    if not isinstance(waivers, list):
        file.refuse(f"waivers: expected tables [[waivers]], found {waivers!r}", "waivers")
    waived = tuple(_waiver(file, i, entry) for i, entry in enumerate(waivers))
    if not policy.rules:
        file.refuse('the policy names no rule, so that it would pass anything; write extends = "default"', "rules")
    return Policy(
        name=path.name,
        rules=policy.rules,
        inconclusive=policy.inconclusive,
        settings=policy.settings,
        waivers=waived,
        path=file.called,
        origins={**policy.origins, **({"extends": file.at("extends")} if extends else {})},
    )


@dataclass(frozen=True, slots=True)
class _File:
    """A policy file: what it holds, and where."""

    called: str
    table: Mapping[str, Any]
    lines: Mapping[Key, int]
    prefix: tuple[str, ...]

    @classmethod
    def read(cls, path: Path, called: str) -> _File:
        text = _text(path)
        try:
            table = parse.toml(text)
        except ValueError as e:
            raise PolicyError(f"{called}: expected TOML, found an error: {e}", hint=HINT) from e
        return cls(called, table, lines(text), TABLE if path.name == PROJECT else ())

    def at(self, *key: str | int) -> str:
        """FILE:LINE of ``key``."""
        line = line_of(self.lines, (*self.prefix, *key))
        return self.called if line is None else f"{self.called}:{line}"

    def refuse(self, what: str, *key: str | int, hint: str = HINT) -> NoReturn:
        raise PolicyError(f"{self.at(*key)}: {what}", hint=hint)

    def given(self, table: Mapping[str, Any]) -> list[Given]:
        """Every value of the file but ``extends`` and the waivers."""
        plain = [name for name in table if name not in ("extends", "rules", "waivers")]
        values = [Given(key=(name,), value=table[name], origin=self.at(name)) for name in plain]
        rules = table.get("rules", {})
        if not isinstance(rules, Mapping):
            self.refuse(f"rules: expected tables [rules.NAME], found {rules!r}", "rules")
        for rule, entry in rules.items():
            if not isinstance(entry, Mapping):
                self.refuse(f"rules.{rule}: expected a table, found {entry!r}", "rules", rule)
            # A rule that is named takes part, at its default level where the table says none.
            where = self.at("rules", rule)
            if rule not in plugins.names("rules"):
                self.refuse(f"unknown rule {rule!r}", "rules", rule, hint=spelling.hint(rule, plugins.names("rules")))
            module = plugins.load("rules", rule)
            if not table.get("extends") and "level" not in entry:
                values.append(Given(key=("rules", rule, "level"), value=module.DEFAULT.level, origin=where))
            values += [
                Given(key=("rules", rule, key), value=value, origin=self.at("rules", rule, key))
                for key, value in entry.items()
            ]
            setting = getattr(module, "SETTING", "").replace("_", "-")
            if "limit" in entry and setting in table and table[setting] != entry["limit"]:
                self.refuse(f"rules.{rule}.limit contradicts {setting} = {table[setting]!r}", "rules", rule, "limit")
        return values


def _inner(table: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The table of ours in what a pyproject.toml holds."""
    tool = table.get(TABLE[0], {})
    inner = tool.get(TABLE[1]) if isinstance(tool, Mapping) else None
    return inner if isinstance(inner, Mapping) else None


def _waiver(file: _File, i: int, entry: object) -> Waiver:
    def refuse(what: str, *key: str, before: str = "", also: str = "") -> NoReturn:
        file.refuse(f"waivers: {what}", "waivers", i, *key, hint=before + WAIVER_HINT + also)

    if not isinstance(entry, Mapping):
        refuse(f"expected a table, found {entry!r}")
    for key in entry:
        if key not in ("rule", "class", "variant", "reason", "expires"):
            meant = spelling.meant(key, ("rule", "class", "variant", "reason", "expires"))
            refuse(f"unknown key {key!r}, expected rule, class, variant, reason or expires", key, before=meant)
    texts = {}
    for key in ("rule", "class", "reason", "variant"):
        if key not in entry and key != "variant":
            refuse(f"{key!r} is missing", also=f"; {WHOLE_HINT}" if key == "class" else "")
        texts[key] = entry.get(key, "*")
        if not isinstance(texts[key], str) or not texts[key].strip():
            refuse(f"{key}: expected a text, found {texts[key]!r}", key)
    if texts["rule"] not in plugins.names("rules"):
        known = plugins.names("rules")
        refuse(
            f"unknown rule {texts['rule']!r}, expected one of {', '.join(known)}",
            "rule",
            before=spelling.meant(texts["rule"], known),
        )
    if "expires" not in entry:
        refuse("'expires' is missing: a waiver without an end would switch the rule off where nobody looks")
    return Waiver(
        rule=texts["rule"],
        stratum=texts["class"],
        variant=texts["variant"],
        reason=texts["reason"],
        expires=_day(entry["expires"], lambda what: refuse(what, "expires")),
        origin=file.at("waivers", i),
    )


def _day(value: object, refuse: Any) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value)  # type: ignore[arg-type]  # what is no text raises, too
    except (TypeError, ValueError):
        return refuse(f"expires: expected a date, YYYY-MM-DD, found {value!r}")  # type: ignore[no-any-return]  # raises


def _text(path: Path) -> str:
    try:
        return regular.text(path, pipe=True)
    except OSError as e:
        meant = spelling.meant(str(path), PRESETS) or elsewhere.meant(path)
        hint = f"{meant}give the path of a TOML policy file, or a preset: {', '.join(PRESETS)}"
        raise PolicyError(f"{path}: cannot be read: {e.strerror}", hint=hint) from e
    except UnicodeDecodeError as e:
        raise PolicyError(f"{path}: expected text in UTF-8, found other bytes", hint=HINT) from e
