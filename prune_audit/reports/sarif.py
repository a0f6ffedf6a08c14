"""SARIF 2.1.0 (.sarif): what failed, for code scanning; with `--dialect sarif=whole` also what did not.

GitHub makes an alert of every result, whatever its kind and whether it is suppressed, so that the file holds failures
alone: an audit of a thousand classes would open thousands of alerts on what only could not be told, or was waived. The
whole is for viewers that know kinds: what could not be told is `open` there, the standard's own word for too little
information; what was waived failed and is suppressed, with the reason. Of more results than GitHub shows the worst are
kept, and how many are left out is said.

GitHub rejects a whole file for one result without a physical location, and an audit has no line of code to point at.
So every result points at what could be edited to settle it: the line of the policy file that brings its rule in, or
that of the waiver it is about; at the pruned model, whose lines mean nothing, where the policy has no file. Results of
one line are told apart by their fingerprints, which are made of variant, rule and class and stay the same from run to
run, so that an alert closes when its class has recovered. A failed check is an error or a warning, as its level is;
without a gate the verdicts are warnings.
"""

from __future__ import annotations

import hashlib
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from prune_audit import plugins
from prune_audit.core import SINCE, Audit, Check, ModelCard, Outcome, Policy, Waiver
from prune_audit.printable import printable
from prune_audit.render import rounded
from prune_audit.reports import _gate as gate
from prune_audit.reports.json import layout

SUFFIXES = (".sarif",)
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
MOST = 5_000  # results of a run that GitHub shows, "SARIF support for code scanning"; it takes no file above 25,000
LEVELS = {"error": "error", "warn": "warning", "off": "none"}


def render(audit: Audit) -> str:
    """The log, with one run, of what failed."""
    return _log(audit, ("failed",))


def whole(audit: Audit) -> str:
    """The log, with one run, also of what was waived and what could not be told."""
    return _log(audit, ("failed", "waived", "inconclusive"))


DIALECTS = {"whole": whole}


def _log(audit: Audit, outcomes: tuple[Outcome, ...]) -> str:
    found = gate.notable(audit, outcomes)
    left_out = max(0, len(found) - MOST)
    told = gate.told(audit)
    if left_out:
        told += f" {rounded.several(left_out, 'result')} of {len(found):,} left out: GitHub shows {MOST:,}."
    rules = sorted({check.rule: check.level for _, check in found}.items())
    models = {comparison.pruned.name: comparison.pruned for comparison in audit.comparisons}
    position = {rule: i for i, (rule, _) in enumerate(rules)}
    run = {
        "tool": {
            "driver": {
                "name": "prune-audit",
                "version": version("prune-audit"),
                "rules": [_rule(rule, LEVELS[level]) for rule, level in rules],
            }
        },
        "results": [
            _result(name, check, position[check.rule], _place(audit, models[name], check))
            for name, check in found[:MOST]
        ],
        "properties": {"outcome": audit.outcome, "told": told, "leftOut": left_out},
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
    subject, variant = printable(check.subject), printable(variant)
    identity = "\n".join((variant, check.rule, subject)).encode()
    result: dict[str, Any] = {
        "ruleId": check.rule,
        "ruleIndex": rule,
        "kind": "open" if check.outcome == "inconclusive" else "fail",
        "level": "none" if check.outcome == "inconclusive" else LEVELS[check.level],
        "message": {"text": f"{subject} in {variant}: {printable(check.message)}"},
        "locations": [place],
        "partialFingerprints": {"primaryLocationLineHash": f"{hashlib.sha256(identity).hexdigest()[:16]}:1"},
        "properties": {"variant": variant, "subject": subject, "observed": check.observed, "limit": check.limit},
    }
    if check.outcome == "waived":
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": printable(check.message)}]
    return result


def _place(audit: Audit, pruned: ModelCard, check: Check) -> dict[str, Any]:
    """The policy's file, else the pruned model's, else the data, where predictions were audited that name no file."""
    policy = audit.policy
    path = Path(policy.path if policy and policy.path else pruned.path or audit.provenance.data)
    uri = path.as_uri() if path.is_absolute() else quote(path.as_posix().encode("utf-8", "surrogateescape"))
    line = _line(policy, check) if policy else 1
    return {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": line}}}


def _line(policy: Policy, check: Check) -> int:
    """The first line in the policy's file that has to do with ``check``: its waiver, its rule, or the preset."""
    waivers = [waiver.origin for waiver in policy.waivers if waiver.rule == check.rule and _is_about(check, waiver)]
    rule = [origin for key, origin in policy.origins.items() if key.startswith(f"rules.{check.rule}.")]
    for origins in (waivers, rule, [policy.origins.get("extends", "")]):
        # A flag, a variable or a preset is an origin, too.
        places = [origin.rpartition(":") for origin in origins]
        if lines := [int(line) for file, _, line in places if file == policy.path and line.isdecimal()]:
            return min(lines)
    return 1


def _is_about(check: Check, waiver: Waiver) -> bool:
    """Whether ``check`` was waived by ``waiver``, or warns that this does nothing: its message ends as that says."""
    if check.outcome == "waived":
        subject = check.subject.removesuffix(SINCE)
        fits = subject == waiver.stratum or fnmatchcase(subject, waiver.stratum)
        return fits and check.message.endswith(f"; waived until {waiver.expires}: {waiver.reason}")
    return check.subject == f"waiver of {waiver.stratum}" and check.message.endswith(
        f" ({waiver.origin}): {waiver.reason}"
    )
