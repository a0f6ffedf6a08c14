"""A policy file (TOML) to `Policy`; everything in it that is not understood is an error.

A gate that ignores a misspelt key gates nothing and says nothing, so unknown keys, unknown rules and impossible
values are refused, with the file, the key and its line.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NoReturn, get_args

from prune_audit import plugins
from prune_audit.core import Level, Policy, RuleSetting
from prune_audit.errors import PolicyError

DEFAULT_NAME = "default"
# Nobody can audit a smaller drop than a tenth of a point; whoever writes 0.02 means a share, two points.
LEAST_POINTS = 0.1
HINT = 'for example:  extends = "default"   [rules.recall-drop]   level = "error"   limit = 2'


def default_policy() -> Policy:
    """Every rule at its own default; what cannot be told passes."""
    return Policy(name=DEFAULT_NAME, rules={name: module.DEFAULT for name, module in plugins.loaded("rules")})


def read_policy(path: Path) -> Policy:
    """Read a policy file. It is named after the file's stem.

    Top level: ``extends = "default"`` starts from the default policy, else only the rules that the file names are
    checked; ``inconclusive = "allow" | "forbid"``. Per rule, ``[rules.NAME]``: ``level = "off" | "warn" | "error"``
    and ``limit``, in the unit of the command line's flags: points for drops (2 is a share of .02), shares for the rest.
    What a rule's table leaves out is the rule's default.

    Raises:
        PolicyError: the file is missing, is no TOML, or holds what is not understood.
    """
    text = _text(path)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise PolicyError(f"{path}: expected TOML, found an error: {e}", hint=HINT) from e

    def refuse(what: str, key: str, section: str | None = None) -> NoReturn:
        raise PolicyError(f"{path}{_line(text, key, section)}: {what}", hint=HINT)

    for key in table:
        if key not in ("extends", "inconclusive", "rules"):
            refuse(f"unknown key {key!r}, expected extends, inconclusive or rules", key)
    extends = table.get("extends")
    if extends not in (None, DEFAULT_NAME):
        refuse(f'extends: expected "{DEFAULT_NAME}", found {extends!r}', "extends")
    inconclusive: Literal["allow", "forbid"]
    match table.get("inconclusive", "allow"):
        case "allow":
            inconclusive = "allow"
        case "forbid":
            inconclusive = "forbid"
        case other:
            refuse(f'inconclusive: expected "allow" or "forbid", found {other!r}', "inconclusive")
    named = table.get("rules", {})
    if not isinstance(named, Mapping):
        refuse(f"rules: expected tables [rules.NAME], found {named!r}", "rules")

    rules = dict(default_policy().rules) if extends else {}
    known = plugins.names("rules")
    for rule, entry in named.items():
        if rule not in known:
            refuse(f"unknown rule {rule!r}, expected one of {', '.join(known)}", rule, rule)
        if not isinstance(entry, Mapping):
            refuse(f"rules.{rule}: expected a table, found {entry!r}", rule)
        for key in entry:
            if key not in ("level", "limit"):
                refuse(f"rules.{rule}: unknown key {key!r}, expected level or limit", key, rule)
        module = plugins.load("rules", rule)
        default: RuleSetting = module.DEFAULT
        level = entry.get("level", default.level)
        if level not in get_args(Level):
            refuse(f"rules.{rule}.level: expected off, warn or error, found {level!r}", "level", rule)
        limit = default.limit
        if "limit" in entry:
            unit = getattr(module, "UNIT", None)
            if unit is None:
                refuse(f"rules.{rule}: the rule takes no limit", "limit", rule)
            most = 100 if unit == "points" else 1
            if not _is_number(entry["limit"], most):
                refuse(f"rules.{rule}.limit: expected {unit} from 0 to {most}, found {entry['limit']!r}", "limit", rule)
            if unit == "points" and 0 < entry["limit"] < LEAST_POINTS:
                refuse(
                    f"rules.{rule}.limit: {entry['limit']} is less than a tenth of a point; points, not shares: "
                    f"2 means two points",
                    "limit",
                    rule,
                )
            limit = entry["limit"] / most
        rules[rule] = RuleSetting(level=level, limit=limit)
    if not rules:
        refuse("the policy names no rule, so that it would pass anything", "rules")
    return Policy(name=path.stem, rules=rules, inconclusive=inconclusive)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as e:
        raise PolicyError(f"{path}: cannot be read: {e.strerror}", hint="give the path of a TOML policy file") from e
    except UnicodeDecodeError as e:
        raise PolicyError(f"{path}: expected text in UTF-8, found other bytes", hint=HINT) from e


def _is_number(value: object, most: int) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most  # NaN is not


def _line(text: str, key: str, section: str | None) -> str:
    """``:LINE`` where ``key`` stands, as a header or, in the table of the rule ``section``, before an equals sign.

    "" where it cannot be found: TOML has more ways to write a table than are looked for here.
    """
    table = ["rules", section] if section else []
    here: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        bare = re.sub(r"[\s\"']", "", line.split("#")[0])
        if bare.startswith("["):
            here = bare.strip("[]").split(".")
            if here[-1] == key or (section is None and here[0] == key):
                return f":{number}"
        elif bare.startswith(f"{key}=") and here in (table, ["rules", *table[1:]]):
            return f":{number}"
    return ""
