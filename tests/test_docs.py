"""The documents tell the truth: links lead somewhere, shown commands print what is shown, every column is explained.

``PRUNE_AUDIT_UPDATE=1 pytest tests/test_docs.py`` writes the columns of the guide anew from the docstrings of the
statistics; read the diff before committing it.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from prune_audit import audit, plugins, stats
from prune_audit.cli import _app, invoke
from prune_audit.cli.list import columns, measured
from prune_audit.core import Counted, DataSource, FalseCounts, Measure, ModelSource, Settings, View
from tests.cli._run import here
from tests.conftest import ROOT

GUIDE = ROOT / "docs" / "reading-an-audit.md"
START, END = "<!-- every column: written by PRUNE_AUDIT_UPDATE=1 pytest tests/test_docs.py -->\n", "<!-- end of every"
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SHOWN = re.findall(r"```console\n([\s\S]*?)```", GUIDE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def view(sample_models: Path) -> View:
    """What a real audit measures by class."""
    dense, pruned = (ModelSource(name=n, path=sample_models / f"{n}.onnx") for n in ("dense", "pruned-90"))
    return audit.run(dense, [pruned], DataSource(path=sample_models / "val"), Settings()).comparisons[0].view()


# ------------------------------------------------------------------------------------------ the columns of the guide


def _by_rank() -> list[str]:
    return sorted(plugins.names("stats"), key=lambda name: plugins.load("stats", name).RANK)


def _written(view: View) -> str:
    """The generated part of the guide: a section for every statistic, in the order of the columns."""
    sections = []
    for name in _by_rank():
        title, *blocks = plugins.docstring("stats", name).split("\n\n")
        rows = [_row(measure) for measure in _measures(name, view)]
        table = "\n".join(["| column | called | unit | for |", "|---|---|---|---|", *rows])
        sections.append("\n\n".join([f"### {name}", f"**{title}**", *blocks, table]))
    return "\n" + "\n\n".join([*sections, ""])


def _measures(name: str, view: View) -> tuple[Measure, ...]:
    """What the statistic called ``name`` measures; one for other audits alone does not stand in the view."""
    statistic = plugins.load("stats", name)
    found: tuple[Measure, ...] = statistic.measure(view.pair, Settings())
    if getattr(statistic, "SEQUENTIAL", "") == "only":
        return found
    if not found:
        return measured(name)
    return tuple(view.measure(column) for column in columns(name))


def _row(measure: Measure) -> str:
    of = ["each class"] if measure.by_stratum else []
    of += ["the model"] if measure.overall is not None or measure.overall_absent else []
    interval = ", with an interval" if measure.low or measure.overall_low is not None else ""
    return f"| `{measure.name}` | {measure.title} | {measure.unit} | {', '.join(of)}{interval} |"


def test_the_guide_says_of_columns_what_the_docstrings_say(view: View) -> None:
    text = GUIDE.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    after = rest.partition(END)[2]
    assert after, "the markers are gone"
    expected = f"{before}{START}{_written(view)}{END}{after}"
    if os.environ.get("PRUNE_AUDIT_UPDATE"):
        GUIDE.write_text(expected, encoding="utf-8")
    assert GUIDE.read_text(encoding="utf-8") == expected, (
        "PRUNE_AUDIT_UPDATE=1 pytest tests/test_docs.py writes it anew"
    )


def test_every_column_of_an_audit_is_in_the_guide_and_no_other(view: View) -> None:
    documented = re.findall(r"^\| `(\w+)` \|.*\| (?:share|points|p|ratio|count|label) \|", GUIDE.read_text(), re.M)
    sequential = _measures("anytime", view)  # which comes last
    at = np.arange(len(view.strata))
    others = Counted(**{name: getattr(view.pair, name) for name in ("both", "lost", "gained", "neither")})
    false = FalseCounts.of(len(at), 5 * [(at, at)], np.full((len(at), 2), 0.5))
    boxes = replace(view.pair, false=false, negatives=others)
    assert documented == [measure.name for measure in (*stats.measures(boxes, Settings()), *sequential)]


@pytest.mark.parametrize("name", plugins.names("stats"))
def test_a_statistic_is_told_in_a_title_two_sentences_and_a_formula(name: str) -> None:
    title, told, formula, *details = plugins.docstring("stats", name).split("\n\n")
    assert "\n" not in title
    assert len(re.findall(r"[.?!](?=\s+[A-Z]|$)", told)) == 2, told
    assert all(line.startswith("    ") and len(line) <= 76 for line in formula.splitlines()), formula
    for block in (told, *details):  # prose that Markdown leaves alone
        assert not re.search(r"^(?:[-+*#>|]+\s|\s)", block, re.M), block


# ---------------------------------------------------------------------------------------------------- what is shown


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sample models in it, where the shown commands run one after the other."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "sample_models").symlink_to(ROOT / "sample_models")
    return folder


def _steps(block: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a console block with the lines shown below it."""
    for step in re.split(r"^\$ ", block, flags=re.M)[1:]:
        command, *lines = step.rstrip("\n").split("\n")
        yield command, lines


def _ran(command: str, desk: Path) -> subprocess.CompletedProcess[str]:
    """What a shell in ``desk`` would print; our own command runs in this process, which need not import torch anew."""
    asked = command.removesuffix(CODE)
    if asked.startswith("prune-audit "):
        done = here(shlex.split(asked)[1:], environment=SHELL, cwd=desk)
        done.stdout += f"{done.returncode}\n" if command.endswith(CODE) else ""
        return done
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, **SHELL}
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, cwd=desk, env=environment, check=False)


CODE = "; echo $?"
SHELL = {"COLUMNS": "100", "NO_COLOR": "1"}


@pytest.mark.parametrize("block", SHOWN, ids=range(len(SHOWN)))
def test_shown_commands_print_what_is_shown(desk: Path, block: str) -> None:
    """A line of three dots stands for anything. Blocks build on the files of those before them."""
    for command, lines in _steps(block):
        done = _ran(command, desk)
        printed = [line.rstrip() for line in done.stdout.splitlines()]
        pattern = "".join(r"(?:.*\n)*?" if line == "..." else re.escape(line) + r"\n" for line in lines)
        assert re.fullmatch(pattern, "".join(f"{line}\n" for line in printed)), f"{command}\n{done.stdout}{done.stderr}"


def test_every_flag_the_guide_names_exists(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for command in _app.commands():
        invoke([command, "--help"])
    known = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out))
    assert set(re.findall(r"(?<!\S)`?(--[a-z][a-z-]+)", GUIDE.read_text(encoding="utf-8"))) <= known


# ------------------------------------------------------------------------------------------------------------ links


def _anchors(document: Path) -> set[str]:
    """The anchors of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):  # the web, which a test does not ask
            continue
        file, _, anchor = link.partition("#")
        target = document.parent / file if file else document
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


def test_the_readme_leads_to_the_guide() -> None:
    assert "(docs/reading-an-audit.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
