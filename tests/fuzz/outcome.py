"""What a command may do with an input, whatever the input is: refuse it or read it, and nothing else.

Refused is exit code 2 with ``error:`` and ``hint:`` and nothing left behind; accepted another code that the command may
have, and whole reports. All else is mishandled: a fault that is called our own, a traceback, a crash, no end, a
gigabyte, a file half written, a program that ran, a text of the input that moves the cursor or commands GitHub.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.fuzz.mutate import CANARY, LED, PLANTED, TAG
from tests.fuzz.seeds import Command, Seed

Outcome = Literal["refused", "accepted", "mishandled"]
MEMORY = 1 << 30  # bytes above what the process held before
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_MARKED = (".html", ".svg", ".xml")
_SHOWN = (*_MARKED, ".md", ".txt")  # reports in which nothing is to be obeyed or hidden
_FOREIGN = re.compile(r"^.*(\[W:onnx|\[E:onnx|thread '.*' panicked).*$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A command that ended: by itself with ``code``, by a signal (below 0), or at a limit (None, and ``why``)."""

    code: int | None
    out: bytes = b""
    err: bytes = b""
    memory: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of an input; ``why`` it was mishandled, with ``sign``, which equal faults share."""

    outcome: Outcome
    why: str = ""

    @property
    def sign(self) -> str:
        """``why`` without what is the input's own."""
        return re.sub(r"0x[0-9a-f]+|\d+|'[^']*'|\"[^\"]*\"", "#", self.why)[:90]


def state(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder`` and what it holds; links are not followed, and `led` watches where they lead."""
    found = (path for path in folder.rglob("*") if not path.is_symlink() and path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def led(paths: Sequence[str] = LED) -> dict[str, tuple[int, ...]]:
    """What tells files outside from others that were written in their place."""
    found = ((path, Path(path).stat()) for path in paths if Path(path).exists())
    return {path: (how.st_ino, how.st_mode, how.st_size) for path, how in found}


_AT_FIRST = led()


def judge(ran: Ran, seed: Seed, command: Command, folder: Path, before: Mapping[str, bytes]) -> Verdict:
    """What ``command`` made of the input in ``folder``, whose files were those of ``before``."""
    fault = _ended(ran, seed, command) or _printed(ran) or _left(ran, seed, folder, before)
    if fault:
        return Verdict(outcome="mishandled", why=fault)
    return Verdict(outcome="refused" if ran.code == 2 else "accepted")


def _ended(ran: Ran, seed: Seed, command: Command) -> str:
    err = ran.err.decode("utf-8", "replace")
    if ran.code is None:
        return ran.why
    if ran.code < 0:
        return f"crash: signal {-ran.code}"
    if "Traceback (most recent" in err:
        return "traceback: " + err.strip().splitlines()[-1]
    if "fault in prune-audit" in err:
        return "fault: " + err.partition("installation: ")[2].partition("\n")[0]
    if ran.code == 2 and not ("error: " in err and "hint: " in err):
        return "refused without error and hint"
    judged = command[0] in ("check", "mitigate") or "--gate" in command
    if ran.code not in ((0, 1, 2, 3) if judged else (0, 2)):
        return f"exit code {ran.code} of {command[0]}"
    if ran.memory > MEMORY:
        return f"memory: {ran.memory >> 20} MiB more"
    return ""


def _printed(ran: Ran) -> str:
    for name, written in (("stdout", ran.out), ("stderr", ran.err)):
        try:
            text = written.decode()
        except UnicodeDecodeError:
            return f"{name} is no UTF-8"
        if unseen := _UNSEEN.search(text):
            around = text[max(unseen.start() - 30, 0) : unseen.end() + 10]
            return f"{name} holds {unseen[0]!r}, in {around!r}"
        if re.search(f"^{PLANTED}", text, re.MULTILINE):
            return f"{name} has a line of the input's own, a command of GitHub"
        if name == "stderr" and (foreign := _FOREIGN.search(text)):
            return f"said by a library: {foreign[0][:160]}"
    return ""


def _left(ran: Ran, seed: Seed, folder: Path, before: Mapping[str, bytes]) -> str:
    after = state(folder)
    if any(Path(name).name == CANARY for name in after) or (folder.parent / CANARY).exists():
        return "the payload ran"
    if led() != _AT_FIRST:
        return f"wrote where a link leads, to one of {', '.join(LED)}: mend it before the next run"
    kept = {name for name in after if name.partition("/")[0] in seed.keeps}
    if partly := [name for name in kept if Path(name).name.startswith(".")]:
        return f"left half-written: {partly[0]}"
    made = {name for name in after if name not in before and name not in kept}
    may = set(seed.makes) if ran.code != 2 else set()
    if stray := sorted(name for name in made if name.partition("/")[0] not in may):
        return f"left behind: {stray[0]}"
    read = [name for name in before if name.partition("/")[0] not in seed.keeps]
    if changed := [name for name in read if after.get(name) != before[name]]:
        return f"changed what it read: {changed[0]}"
    for name in made:
        if not after[name]:
            return f"empty: {name}"
        if name.endswith(_SHOWN) and (unseen := _UNSEEN.search(after[name].decode("utf-8", "replace"))):
            return f"{name} holds {unseen[0]!r}"
        if name.endswith(_MARKED) and TAG[2:].encode() in after[name]:
            return f"{name} has a tag of the input's own"
        if name.endswith(_MARKED[1:]):
            try:
                ElementTree.fromstring(after[name])
            except ElementTree.ParseError as fault:
                return f"no XML in {name}: {fault}"
        if name.endswith(".json"):
            try:
                json.loads(after[name], parse_constant=_refuse)
            except ValueError as fault:
                return f"no JSON in {name}: {fault}"
    return ""


def _refuse(constant: str) -> None:
    raise ValueError(constant)
