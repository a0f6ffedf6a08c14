"""Values of a policy: from what people type, with where they typed it, and back.

A file, a variable of the environment and a flag say the same things in three places, so each becomes a list of `Given`
and one function lays them over a policy. Limits are typed in the unit of the command line (points, percent) and are
shares inside.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, NoReturn, get_args

from prune_audit import plugins, spelling
from prune_audit.core import Correction, Level, Policy, Reference, RuleSetting, Settings, Value
from prune_audit.errors import PolicyError, UsageError

Unit = Literal["points", "percent", "share", "ratio", "samples"]
# unit -> how many of it make the number inside, and the most that can be meant
UNITS: dict[Unit, tuple[int, int]] = {
    "points": (100, 100),
    "percent": (100, 100),
    "share": (1, 1),
    "ratio": (1, 100),
    "samples": (1, 10**9),
}
# Nobody can audit a smaller drop than a tenth of a point; whoever writes 0.02 means a share, two points.
LEAST = 0.1
# Settings of the statistics that a policy may hold: those that need nothing but the counts to be measured again.
SETTINGS: dict[str, Unit | tuple[str, ...]] = {
    "margin": "points",
    "assure": "points",
    "retention-margin": "share",
    "confidence": "share",
    "correction": get_args(Correction),
    "reference": get_args(Reference),
    "expect-accuracy": "percent",
    "expect-tolerance": "points",
}
INCONCLUSIVE: tuple[Literal["allow", "forbid"], ...] = ("allow", "forbid")
HINT = 'for example:  extends = "default"   [rules.recall-drop]   level = "error"   limit = 2'


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One value as it was typed: its key as in a file, and where it stands (FILE:LINE, a flag, a variable)."""

    key: tuple[str, ...]
    value: object
    origin: str


def overlaid(policy: Policy, given: Iterable[Given]) -> Policy:
    """``policy`` with every value of ``given`` laid over it; the last one wins.

    Raises:
        PolicyError: a key, a rule or a value that is not understood; the message begins with where it stands.
    """
    for each in given:
        match each.key:
            case ("inconclusive",):
                policy = _inconclusive(policy, each)
            case (name,) if name in SETTINGS:
                policy = _setting(policy, name, each)
            case ("rules", rule, "level" | "limit" as what) if rule in plugins.names("rules"):
                policy = _level(policy, rule, each) if what == "level" else _limit(policy, rule, each)
            case ("rules", rule, what) if rule in plugins.names("rules"):
                refuse(each, f"rules.{rule}: unknown key {what!r}, expected level or limit")
            case ("rules", rule, *_):
                refuse(each, f"unknown rule {rule!r}", hint=spelling.hint(rule, plugins.names("rules")))
            case _:
                known = ["extends", "inconclusive", *SETTINGS, "rules", "waivers"]
                refuse(each, f"unknown key {each.key[-1]!r}", hint=spelling.hint(each.key[-1], known))
        policy = replace(policy, origins={**policy.origins, ".".join(each.key): each.origin})
    return _consistent(policy)


def of_rule(text: str, origin: str) -> list[Given]:
    """The values in ``NAME=LEVEL[:LIMIT]``, as --rule takes it."""
    rule, equals, rest = text.partition("=")
    level, colon, limit = rest.partition(":")
    given = [Given(key=("rules", rule.strip(), "level"), value=level.strip(), origin=origin)]
    if not equals:
        refuse(given[0], f"expected NAME=LEVEL or NAME=LEVEL:LIMIT, found {text!r}")
    if colon:
        try:
            number: object = float(limit)
        except ValueError:
            number = limit
        given.append(Given(key=("rules", rule.strip(), "limit"), value=number, origin=origin))
    return given


def typed(value: Value, unit: Unit | tuple[str, ...]) -> float | str:
    """``value`` as people type it: shares in the ``unit`` of the rule or setting."""
    if isinstance(unit, tuple) or not isinstance(value, int | float):
        return str(value)
    return float(f"{value * UNITS[unit][0]:.10g}")


def refuse(given: Given, what: str, *, hint: str = HINT) -> NoReturn:
    """Raise that ``what`` is wrong with ``given``, where it stands."""
    raise PolicyError(f"{given.origin}: {what}", hint=hint)


def _inconclusive(policy: Policy, given: Given) -> Policy:
    for choice in INCONCLUSIVE:
        if given.value == choice:
            return replace(policy, inconclusive=choice)
    refuse(given, f'inconclusive: expected "allow" or "forbid", found {given.value!r}')


def _setting(policy: Policy, name: str, given: Given) -> Policy:
    field, unit = name.replace("-", "_"), SETTINGS[name]
    if isinstance(unit, tuple):
        if given.value not in unit:
            refuse(given, f"{name}: expected one of {', '.join(unit)}, found {given.value!r}")
        value: Any = given.value
    else:
        value = _number(given, name, unit)
        _allowed(given, field, value)
    # A rule whose limit is this setting had it from a lower layer, which now gives way.
    rules, origins = dict(policy.rules), dict(policy.origins)
    for rule in [rule for rule in rules if _stands_for(rule) == field]:
        rules[rule] = replace(rules[rule], limit=None)
        origins.pop(f"rules.{rule}.limit", None)
    return replace(policy, settings={**policy.settings, field: value}, rules=rules, origins=origins)


def _level(policy: Policy, rule: str, given: Given) -> Policy:
    for level in get_args(Level):
        if given.value == level:
            return _with(policy, rule, level=level)
    meant = spelling.meant(str(given.value), get_args(Level))
    refuse(given, f"rules.{rule}.level: expected off, warn or error, found {given.value!r}", hint=f"{meant}{HINT}")


def _limit(policy: Policy, rule: str, given: Given) -> Policy:
    module = plugins.load("rules", rule)
    unit = getattr(module, "UNIT", None)
    if unit is None:
        refuse(given, f"rules.{rule}: the rule takes no limit")
    limit = _number(given, f"rules.{rule}.limit", unit, getattr(module, "LEAST", LEAST))
    if (field := _stands_for(rule)) is not None:
        _allowed(given, field, limit)
    return _with(policy, rule, limit=limit)


def _with(policy: Policy, rule: str, *, level: Level | None = None, limit: float | None = None) -> Policy:
    now: RuleSetting = policy.rules.get(rule, plugins.load("rules", rule).DEFAULT)
    changed = RuleSetting(level=level or now.level, limit=now.limit if limit is None else limit)
    return replace(policy, rules={**policy.rules, rule: changed})


def _number(given: Given, name: str, unit: Unit, least: float = LEAST) -> float:
    """The number inside, of the value typed in ``unit``."""
    scale, most = UNITS[unit]
    value = given.value
    # NaN is not between 0 and anything.
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= most:
        refuse(given, f"{name}: expected {unit} from 0 to {most}, found {value!r}")
    if unit == "samples" and value != int(value):
        refuse(given, f"{name}: expected a whole number of samples, found {value!r}")
    if unit in ("points", "percent") and 0 < value < least:
        refuse(
            given,
            f"{name}: {value} is less than {'a tenth of a point' if least == LEAST else f'{least:g} {unit}'}; "
            f"{unit}, not shares: 2 means {'two points' if unit == 'points' else '2 %'}",
        )
    return value / scale if scale > 1 else value


def _allowed(given: Given, field: str, value: float) -> None:
    """What a setting cannot be, Settings itself says; the margin and the assurance limit are held together later."""
    try:
        Settings(**{"margin": 0.0, "assure": 0.999, field: value})  # type: ignore[arg-type]  # a number each
    except UsageError as error:
        refuse(given, error.message)


def _stands_for(rule: str) -> str | None:
    return getattr(plugins.load("rules", rule), "SETTING", None)


def _consistent(policy: Policy) -> Policy:
    """``policy``, where its parts do not contradict each other."""
    limits = [s.limit for rule, s in policy.rules.items() if _stands_for(rule) == "margin" and s.limit is not None]
    margin = limits[0] if limits else policy.settings.get("margin")
    assure = policy.settings.get("assure")
    if isinstance(margin, int | float) and isinstance(assure, int | float) and assure < margin:
        origin = policy.origins.get("assure", policy.name)
        raise PolicyError(
            f"{origin}: assure: {100 * assure:g} points are less than the margin of {100 * margin:g}",
            hint="what 'fine' rules out cannot be less than what fails",
        )
    for rule, setting in policy.rules.items():
        module = plugins.load("rules", rule)
        if setting.level != "off" and setting.limit is None and _needs_limit(module):
            origin = policy.origins.get(f"rules.{rule}.level", policy.name)
            raise PolicyError(
                f"{origin}: rules.{rule} needs a limit, in {module.UNIT}", hint=f"[rules.{rule}]   limit = ..."
            )
    return policy


def _needs_limit(module: Any) -> bool:
    return hasattr(module, "UNIT") and not hasattr(module, "SETTING") and module.DEFAULT.limit is None
