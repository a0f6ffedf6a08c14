"""Each task calls things what they are: whatever reports say of a pair is said in the words of its `Task`."""

from __future__ import annotations

import html
import re
import shlex
from pathlib import Path

import pytest

from tests.cli._run import here
from tests.conftest import ROOT

SAMPLES = ROOT / "sample_models"
PAIRS = {
    "boxes": (["boxes/dense.json", "boxes/pruned.json", "--data", "boxes/val.json", "--by", "size"], "overall recall"),
    "masks": (
        ["masks/dense.json", "masks/pruned.json", "--data", "masks/val.json", "--overlap", "masks"],
        "overall recall",
    ),
    "labels": (
        ["labels/dense.csv", "labels/pruned.csv", "--data", "labels/labels.csv", "--label-separator", ";"],
        "overall recall",
    ),
    "questions": (["questions/dense", "questions/pruned", "--by", "even"], "overall accuracy"),
    "entities": (
        ["entities/dense.conll", "entities/pruned.conll", "--data", "entities/gold.conll", "--by", "words"],
        "overall recall",
    ),
}
REPORTS = ("page.html", "audit.md", "card.md", "audit.xml", "audit.txt")
WORDS = re.compile(r"\b(samples?|accuracy|class|classes|recalls?)\b", re.IGNORECASE)
KNOWN = {
    "boxes": ("class", "classes", "recall"),
    "masks": ("class", "classes", "recall"),
    "labels": ("class", "classes", "recall", "sample", "samples"),
    "questions": ("accuracy",),
    "entities": ("recall",),
}
NAMES = re.compile(  # of rules, options, sections of the guide, properties, and of what a task lacks
    r"[\w-]+-(drop|recall)|--[\w-]+|groups: who, not only which class|accuracy of guessing|by guessing among classes"
    r'|property name="samples"|class of a question|answers to questions are no classes|top-5 recall',
    re.IGNORECASE,
)


def shown(path: Path) -> str:
    """The text of a report that is its own: of a page without scripts, and without the guide, which is of digits."""
    text = path.read_text("utf-8")
    if path.suffix == ".html":
        text = re.sub(r"<style.*?</style>|<script.*?</script>|<h3 id=\"guide\">.*", "", text, flags=re.DOTALL)
        text = html.unescape(re.sub(r"<[^>]+>", " ", text))
    return re.sub(r"classname|\s+", " ", text)


def stray(text: str, name: str) -> list[str]:
    """The words of other tasks in ``text``, with what stands around them."""
    said = NAMES.sub("", text)
    return [
        said[max(0, at.start() - 40) : at.end() + 20]
        for at in WORDS.finditer(said)
        if at.group().lower() not in KNOWN[name]
    ]


@pytest.mark.parametrize("name", PAIRS)
def test_reports_call_things_what_they_are(name: str, tmp_path: Path) -> None:
    arguments, overall = PAIRS[name]
    written = [word for report in REPORTS for word in ("-o", tmp_path / report)]
    done = here(["compare", *arguments, "--gate", "-q", "--github", *written], cwd=SAMPLES)
    assert done.returncode == 1, done.stderr
    for text in (*(shown(tmp_path / report) for report in REPORTS), done.stdout):
        assert not stray(text, name)
    assert f"interval of the drop of {overall}" in done.stdout
    assert f"{overall.capitalize()} fell by" in shown(tmp_path / "page.html")


@pytest.mark.parametrize("name", ["questions", "entities"])
def test_so_do_several_variants_and_two_audits_side_by_side(name: str, tmp_path: Path) -> None:
    (dense, pruned, *data), overall = PAIRS[name]
    saved, beside = tmp_path / "a.json", ("page.html", "audit.md", "audit.txt")
    variants = [f"{variant}={pruned}" for variant in ("one", "two")]
    assert here(["compare", dense, *variants, *data, "-q", "-o", saved], cwd=SAMPLES).returncode == 0
    written = [word for report in beside for word in ("-o", tmp_path / report)]
    assert here(["report", saved, "--beside", saved, *written]).returncode == 0
    for report in beside:
        text = shown(tmp_path / report)
        assert f"{overall.capitalize()}: " in text
        assert not stray(text, name)


def test_an_option_of_another_task_is_refused_with_the_value_that_it_has_anyway() -> None:
    done = here(["compare", "questions/dense", "questions/pruned", "--iou", "0.5"], cwd=SAMPLES)
    assert done.returncode == 2
    assert "--iou is of the task detection" in done.stderr


@pytest.mark.parametrize("name", ["questions", "masks"])
def test_the_command_of_a_card_runs_the_same_audit(name: str, tmp_path: Path) -> None:
    card = tmp_path / "card.md"
    asked = ["compare", *PAIRS[name][0], "-q", "-o"]
    assert here([*asked, card], cwd=SAMPLES).returncode == 0
    command = next(line for line in card.read_text("utf-8").splitlines() if line.startswith("    prune-audit "))
    again = tmp_path / "again" / "card.md"
    again.parent.mkdir()
    assert here([*shlex.split(command)[1:], "-q", "-o", again], cwd=SAMPLES).returncode == 0
    assert again.read_text("utf-8") == card.read_text("utf-8")
