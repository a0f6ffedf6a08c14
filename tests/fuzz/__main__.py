"""``python -m tests.fuzz``; `tests.fuzz` says what for."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import tests.fuzz
from tests.fuzz import drawing, outcome, seeds
from tests.fuzz.drawing import Drawn
from tests.fuzz.outcome import Verdict
from tests.fuzz.running import Alone, Common, Runner
from tests.fuzz.seeds import Seed

INPUTS, COMMANDS = 19_000, 1_000
OF_A_SIGN = 2  # inputs that are saved of one fault


def main() -> None:
    """Prove the seeds, run the inputs, print the table; exit code 1 where one was mishandled."""
    asked = _asked()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        room = Path(scratch).resolve()
        print("making and proving seeds ...", flush=True)
        found = seeds.make(room / "base")
        if asked.list:
            print(*dict.fromkeys(seed.kind for seed in found), sep="\n")
            return
        if asked.kind:
            found = [seed for seed in found if re.fullmatch(asked.kind, seed.kind)]
        rows: dict[str, Counter[str]] = {}
        ways: list[tuple[str, Runner, int]] = []
        common, alone = Common(room / "common"), Alone(room / "alone")
        if asked.inputs:
            ways.append(("in one process", common, asked.inputs))
        if asked.commands:
            ways.append(("as a command", alone, asked.commands))
        try:
            if not asked.only:
                prove(found, common, room)
                print(f"{len(found)} seeds are what they should be", flush=True)
            for name, runner, many in ways:
                numbers = asked.only or range(many)
                share = asked.seconds / len(ways) if asked.seconds else None
                rows[name] = _run(found, runner, numbers, share, room, asked)
        finally:
            common.close()
    bad = sum(counts["mishandled"] for counts in rows.values())
    print(table(rows))
    sys.exit(1 if bad else 0)


def _asked() -> Namespace:
    parser = ArgumentParser(
        prog="python -m tests.fuzz",
        description=tests.fuzz.__doc__,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, help="stop after as long, half of it for commands")
    parser.add_argument("--inputs", type=int, default=INPUTS, help=f"inputs in one process: {INPUTS}")
    parser.add_argument("--commands", type=int, default=COMMANDS, help=f"inputs as commands of their own: {COMMANDS}")
    parser.add_argument("--kind", help="only kinds that this regular expression matches")
    parser.add_argument("--seed", type=int, default=1, help="draws the inputs: 1")
    parser.add_argument(
        "--only", type=int, action="append", help="only the input of this number, saved whatever comes of it; repeats"
    )
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"), help="where mishandled inputs are saved")
    parser.add_argument("--list", action="store_true", help="name the kinds and stop")
    return parser.parse_args()


def prove(found: Sequence[Seed], runner: Runner, room: Path) -> None:
    """Run every command on its seed unchanged: accepted, or refused where it has a payload; else the harness errs."""
    for seed in found:
        for command in seed.commands:
            drawn = Drawn(seed=seed, command=command, changes=(), environment={})
            verdict, said = _try(drawn, runner, room)
            if verdict.outcome != ("refused" if seed.hostile else "accepted"):
                what = f"{seed.kind}, prune-audit {' '.join(command)}"
                raise SystemExit(f"a seed is no seed: {what}: {verdict.outcome} {verdict.why} {said}")


def _try(drawn: Drawn, runner: Runner, room: Path) -> tuple[Verdict, str]:
    folder = room / "input" / "here"
    drawn.write(room / "base", folder)
    before = outcome.state(folder)
    ran = runner(drawn.command, folder, drawn.environment)
    return outcome.judge(ran, drawn.seed, drawn.command, folder, before), ran.err.decode("utf-8", "replace")


def _run(
    found: Sequence[Seed], runner: Runner, numbers: Sequence[int], share: float | None, room: Path, asked: Namespace
) -> Counter[str]:
    counts: Counter[str] = Counter()
    signs: Counter[str] = Counter()
    begun = time.monotonic()
    common = isinstance(runner, Common)
    for done, number in enumerate(numbers, 1):
        if share is not None and time.monotonic() - begun > share:
            break
        drawn = drawing.draw(found, asked.seed, number, briefly=common)
        try:
            verdict, said = _try(drawn, runner, room)
        except KeyboardInterrupt:  # what was found so far is worth a table
            break
        counts[verdict.outcome] += 1
        counts[f"{drawn.seed.kind} {verdict.outcome}"] += 1
        sign = f"{drawn.seed.kind}: {verdict.sign}"
        signs[sign] += verdict.outcome == "mishandled"
        if asked.only or (0 < signs[sign] <= OF_A_SIGN and verdict.outcome == "mishandled"):
            drawn = _smaller(drawn, verdict, runner, room)
            name = f"{drawn.seed.kind}-{asked.seed}-{number}{'' if common else 'c'}"
            shutil.rmtree(asked.keep / name, ignore_errors=True)
            again = f"--seed {asked.seed} --only {number} {'--commands' if common else '--inputs'} 0"
            again = f"python -m tests.fuzz {again}" + (f" --kind '{asked.kind}'" if asked.kind else "")
            about: dict[str, object] = {"why": verdict.why, "said": said[-2000:], "again": again}
            drawing.keep(drawn, room / "base", asked.keep / name, about)
            print(f"{name}: {verdict.outcome} {verdict.why[:200]}\n    {' '.join(drawn.command)}", flush=True)
        if done % 500 == 0:
            print(f"{done:,} in {time.monotonic() - begun:.0f} s: {_brief(counts)}", flush=True)
    for sign, many in (+signs).most_common():
        print(f"{many:5,}  {sign}")
    return counts


def _smaller(drawn: Drawn, verdict: Verdict, runner: Runner, room: Path) -> Drawn:
    """Without the changes that it is mishandled without."""
    at = 0
    while at < len(drawn.changes) and len(drawn.changes) > 1 and verdict.why not in ("", "hang"):
        less = drawn.without(at)
        if _try(less, runner, room)[0].sign == verdict.sign:
            drawn = less
        else:
            at += 1
    return drawn


def _brief(counts: Counter[str]) -> str:
    return ", ".join(f"{counts[name]:,} {name}" for name in ("refused", "accepted", "mishandled"))


def table(rows: dict[str, Counter[str]]) -> str:
    """Markdown: a line a way and kind."""
    lines = ["| input | read | tried | refused | accepted | mishandled |", "|---|---|---:|---:|---:|---:|"]
    for way, counts in rows.items():
        kinds = sorted({name.partition(" ")[0] for name in counts if " " in name})
        for kind in ["", *kinds]:
            held = [counts[f"{kind} {each}".strip()] for each in ("refused", "accepted", "mishandled")]
            cells = " | ".join(f"{each:,}" for each in (sum(held), *held))
            lines.append(f"| {kind or '**all**'} | {way} | {cells} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
