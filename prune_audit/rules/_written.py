"""A `Policy` as the text of a policy file.

What `prune-audit policy` prints is itself a file that says the same, so that it can be kept, compared and edited.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from prune_audit import plugins
from prune_audit.core import Policy, RuleSetting, Settings, Value
from prune_audit.rules._values import SETTINGS, Unit, typed

COMMENT = 34  # the column at which comments begin, where there is room
TELLING = {
    "margin": "points of recall; a class that is shown to have lost more fails recall-drop",
    "assure": "points that 'fine' rules out, never below the margin",
    "retention-margin": "of what the rest kept; a class that is shown to have kept less is harmed",
    "confidence": "of all intervals",
    "correction": "over classes: fdr_bh, fdr_by, holm, bonferroni or none",
    "reference": "what a class is compared with: accuracy, or balanced (the mean of recalls)",
    "expect-accuracy": "percent; a dense model whose interval excludes it by more than the tolerance stops the run",
    "expect-tolerance": "points that the expected accuracy may lie beyond the interval",
    "inconclusive": "what is undecided: allow, or forbid (exit code 3)",
}


def toml(policy: Policy, settings: Settings, *, origins: bool) -> str:
    """Every value of ``policy``, with where it came from as comments, or else with what it means.

    ``settings`` are those that the policy leads to.
    """
    return "".join(f"{line}\n" for line in _lines(policy, settings, origins))


def _lines(policy: Policy, settings: Settings, origins: bool) -> Iterator[str]:
    def said(key: str, value: Value, otherwise: str) -> str:
        return _line(key.rpartition(".")[2], value, policy.origins.get(key, otherwise))

    yield (
        said("inconclusive", policy.inconclusive, "default")
        if origins
        else _line("inconclusive", policy.inconclusive, TELLING["inconclusive"])
    )
    for key, unit in SETTINGS.items():
        inside = getattr(settings, key.replace("-", "_"))
        if inside is None:  # nothing is expected
            continue
        value = typed(inside, unit)
        own = _by_limit(policy, key) or policy.origins.get(key, "default")
        yield _line(key, value, own if origins else TELLING[key])
    for rule, setting in policy.rules.items():
        module = plugins.load("rules", rule)
        yield ""
        if not origins:
            yield f"# {plugins.help_line('rules', rule)}"
        yield f"[rules.{rule}]"
        default = f"default of {rule}"
        yield said(f"rules.{rule}.level", setting.level, default) if origins else _line("level", setting.level, "")
        if hasattr(module, "SETTING"):
            yield f"# its limit is {module.SETTING.replace('_', '-')}"
        elif hasattr(module, "UNIT"):
            yield _limit(policy, rule, setting, module.UNIT, default, origins)
    for waiver in policy.waivers:
        yield ""
        yield _line("[[waivers]]", None, waiver.origin if origins else "")
        texts = {"rule": waiver.rule, "class": waiver.stratum, "variant": waiver.variant, "reason": waiver.reason}
        yield from (_line(key, value, "") for key, value in texts.items())
        yield f"expires = {waiver.expires}"


def _limit(policy: Policy, rule: str, setting: RuleSetting, unit: Unit, default: str, origins: bool) -> str:
    if setting.limit is None:
        return f"# limit = ...  # {unit}; needed where the level is not off"
    origin = policy.origins.get(f"rules.{rule}.limit", default)
    return _line("limit", typed(setting.limit, unit), f"{unit}; {origin}" if origins else unit)


def _by_limit(policy: Policy, key: str) -> str | None:
    """Where the limit was written that stands for the setting ``key``, None where there is none."""
    for rule, setting in policy.rules.items():
        own = getattr(plugins.load("rules", rule), "SETTING", "").replace("_", "-") == key
        if own and setting.limit is not None and setting.level != "off":
            return policy.origins.get(f"rules.{rule}.limit", f"default of {rule}")
    return None


def _line(key: str, value: Value, comment: str) -> str:
    shown = f"{value:g}" if isinstance(value, int | float) else json.dumps(value, ensure_ascii=False)
    text = key if value is None else f"{key} = {shown}"
    return f"{text:{COMMENT}}# {comment}".rstrip() if comment else text
