"""The policies that come with prune-audit, from the mildest to the hardest.

``default`` is every rule at its own default, and the others are told by how they differ from it, so that a new rule
takes part in all of them without being listed.
"""

from __future__ import annotations

from dataclasses import replace

from prune_audit import plugins, spelling
from prune_audit.core import Policy
from prune_audit.errors import UsageError

PRESETS = {
    "report-only": "Judge, and never fail: every error is a warning.",
    "screen": "Fail what is shown to have lost recall or accuracy, or to have collapsed; harm among classes warns.",
    "default": "Fail what is shown to be worse or harmed; what is undecided is reported and passes.",
    "strict": "Ask for proof: every class fine at the assurance limit, else exit code 3; no class without samples, "
    "no doubt about the dense model.",
}


def preset(name: str) -> Policy:
    """The preset called ``name``. Raises `UsageError` where there is none."""
    if name not in PRESETS:
        raise UsageError(f"there is no preset {name!r}", hint=spelling.hint(name, PRESETS))
    rules = {rule: module.DEFAULT for rule, module in plugins.loaded("rules")}
    match name:
        case "report-only":
            rules = {rule: replace(s, level="warn" if s.level == "error" else s.level) for rule, s in rules.items()}
        case "screen":
            rules["harmed"] = replace(rules["harmed"], level="warn")
        case "strict":
            rules["plausible"] = replace(rules["plausible"], level="error")
            rules["min-support"] = replace(rules["min-support"], level="error", limit=1)
    keys = ["inconclusive", *(f"rules.{rule}.{what}" for rule in rules for what in ("level", "limit"))]
    return Policy(
        name=name,
        rules=rules,
        inconclusive="forbid" if name == "strict" else "allow",
        origins=dict.fromkeys(keys, f"preset {name}"),
    )
