"""SARIF 2.1.0 (.sarif): what failed, was waived or could not be told, for code scanning.

GitHub rejects a whole file for one result without a physical location, and an audit has no line of code to point at.
So every result points at the policy file, or at the pruned model where the policy has none. They are told apart by
their fingerprints, which are made of variant, rule and class and stay the same from run to run, so that an alert closes
when its class has recovered.

A failed check is an error or a warning, as its level is; what could not be told is `open`, the standard's own word
for too little information; what was waived failed and is suppressed, with the reason. Without a gate the verdicts are
warnings. Of more than GitHub takes the worst are kept.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from prune_audit import plugins
from prune_audit import words as w
from prune_audit.core import Audit, Check, Comparison
from prune_audit.reports import _gate as gate
from prune_audit.reports.json import layout

SUFFIXES = (".sarif",)
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
MOST = 25_000  # results of a run that GitHub takes, "SARIF support for code scanning"
LEVELS = {"error": "error", "warn": "warning", "off": "none"}


def render(audit: Audit) -> str:
    """The log, with one run."""
    found = gate.notable(audit, ("failed", "waived", "inconclusive"))
    rules = sorted({check.rule: check.level for _, check in found}.items())
    places = {comparison.pruned.name: _place(audit, comparison) for comparison in audit.comparisons}
    position = {rule: i for i, (rule, _) in enumerate(rules)}
    run = {
        "tool": {
            "driver": {
                "name": "prune-audit",
                "version": version("prune-audit"),
                "rules": [_rule(rule, LEVELS[level]) for rule, level in rules],
            }
        },
        "results": [_result(name, check, position[check.rule], places[name]) for name, check in found[:MOST]],
        "properties": {"outcome": audit.outcome, "told": gate.told(audit), "leftOut": max(0, len(found) - MOST)},
    }
    return layout({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}) + "\n"


def _rule(name: str, level: str) -> dict[str, Any]:
    """What the rule's own file says of it."""
    told = plugins.docstring("rules", name) if name in plugins.names("rules") else name
    title = told.partition("\n")[0]
    return {
        "id": name,
        "shortDescription": {"text": title},
        "fullDescription": {"text": title},
        "help": {"text": told},
        "defaultConfiguration": {"level": level},
    }


def _result(variant: str, check: Check, rule: int, place: dict[str, Any]) -> dict[str, Any]:
    subject, variant = w.printable(check.subject), w.printable(variant)
    identity = "\n".join((variant, check.rule, subject)).encode()
    result: dict[str, Any] = {
        "ruleId": check.rule,
        "ruleIndex": rule,
        "kind": "open" if check.outcome == "inconclusive" else "fail",
        "level": "none" if check.outcome == "inconclusive" else LEVELS[check.level],
        "message": {"text": f"{subject} in {variant}: {w.printable(check.message)}"},
        "locations": [place],
        "partialFingerprints": {"primaryLocationLineHash": f"{hashlib.sha256(identity).hexdigest()[:16]}:1"},
        "properties": {"variant": variant, "subject": subject, "observed": check.observed, "limit": check.limit},
    }
    if check.outcome == "waived":
        result["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": w.printable(check.message)}
        ]
    return result


def _place(audit: Audit, comparison: Comparison) -> dict[str, Any]:
    """The policy's file, else the pruned model's, else the data, where predictions were audited that name no file."""
    policy = audit.policy.path if audit.policy else None
    path = Path(policy or comparison.pruned.path or audit.provenance.data)
    uri = path.as_uri() if path.is_absolute() else quote(path.as_posix().encode("utf-8", "surrogateescape"))
    return {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": 1}}}
