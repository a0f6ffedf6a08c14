"""Two audits side by side: who got better and who worse is paired and shown; what cannot be paired is not tested."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from prune_audit import write
from prune_audit.cli import invoke
from prune_audit.core import BESIDE, Audit, Look
from prune_audit.document import from_document, to_document
from prune_audit.errors import AlignmentError
from prune_audit.reports import html
from prune_audit.side_by_side import beside
from tests.test_baseline import CLASSES, LABELS, N, audit, wrong

OLD = wrong(c0=(0, 60), c1=(0, 30), c2=(0, 20))
NEW = wrong(c0=(0, 20), c1=(20, 120), c2=(10, 31))


def look(new: Audit, old: Audit) -> Look:
    told = beside(new, old, "old.json").comparisons[0].looks
    assert [each.lens for each in told] == [BESIDE]
    return told[0]


def test_who_got_better_and_who_worse_is_as_mcnemar_and_the_correction_have_it() -> None:
    new, old = audit(pruned=NEW), audit(pruned=OLD)
    told = look(new, old)
    rows = {
        row[0]: dict(zip((each.name for each in told.tables[0].fields), row, strict=True))
        for row in told.tables[0].rows
    }
    p, change = [], []
    for c in range(CLASSES):
        of = c == LABELS
        was, now = (OLD == LABELS)[of], (NEW == LABELS)[of]
        lost, gained = int((was & ~now).sum()), int((~was & now).sum())
        p.append(mcnemar([[0, lost], [gained, 0]], exact=True).pvalue)
        change.append((gained - lost) / N)
    q = multipletests(p, method=new.provenance.settings.correction)[1]
    expected = [
        "not shown" if value > 0.05 else "better" if moved > 0 else "worse"
        for value, moved in zip(q, change, strict=True)
    ]
    assert [rows[name]["since"] for name in "abcd"] == expected == ["better", "worse", "not shown", "not shown"]
    assert [rows[name]["change"] for name in "abcd"] == pytest.approx(change, abs=1e-12)
    assert told.sentences[:4] == (
        "Compared: pruned with pruned of old.json, on the same 4,000 samples, pair by pair.",
        "1 class got worse: b (-7.0).",
        "1 class got better: a (+4.0).",
        "Of 2 classes no change is shown, which is not that nothing changed.",
    )
    assert [row[0] for row in told.tables[0].rows] == ["b", "c", "d", "a"]


def test_verdicts_that_changed_are_named() -> None:
    told = look(audit(pruned=NEW), audit(pruned=OLD))
    assert told.sentences[-1] == ("Verdicts that changed: from regressed to fine a.")
    same = look(audit(pruned=OLD), audit(pruned=OLD))
    assert same.sentences[-1] == "No verdict changed."
    assert "No class is shown to have got worse." in same.sentences


def test_other_samples_are_not_paired_and_nothing_is_tested() -> None:
    old = audit(pruned=OLD)
    other = replace(old, provenance=replace(old.provenance, data_digest="0" * 64))
    told = look(audit(pruned=NEW), other)
    assert told.sentences[0].endswith(
        "not paired, because the samples are not the same: nothing is tested, and numbers and verdicts only stand side "
        "by side."
    )
    assert not any("got" in sentence for sentence in told.sentences)
    assert [each.name for each in told.tables[0].fields] == [
        "class", "n", "before", "after", "verdict_before", "verdict_after",
    ]  # fmt: skip
    assert told.tables[0].drawn == ()


def test_the_earlier_one_is_measured_by_the_settings_of_the_later() -> None:
    wide = replace(audit(pruned=OLD).provenance.settings, margin=0.2, assure=0.3)
    told = look(audit(pruned=OLD, settings=wide), audit(pruned=OLD))
    assert told.sentences[-1] == "No verdict changed."


def test_another_dense_model_is_said() -> None:
    old = audit(pruned=OLD)
    (comparison,) = old.comparisons
    other = replace(comparison, dense=replace(comparison.dense, digest="1" * 64))
    told = look(audit(pruned=NEW), replace(old, comparisons=(other,)))
    assert "The dense models are not the same: each verdict is against the one of its own audit." in told.sentences


def test_what_cannot_stand_side_by_side_is_refused_with_a_hint() -> None:
    new, old = audit(pruned=NEW), audit(pruned=OLD)
    comparison = old.comparisons[0]
    view = comparison.views[0]
    for what, pair in (
        ("classes", replace(view.pair, classes=("x", "b", "c", "d"))),
        ("tasks", replace(view.pair, task=replace(view.pair.task, name="detection"))),
    ):
        views = (replace(view, pair=pair),)
        with pytest.raises(AlignmentError, match=rf"old\.json is of other {what}: expected .*, found ") as refused:
            beside(new, replace(old, comparisons=(replace(comparison, views=views),)), "old.json")
        assert refused.value.hint
    with pytest.raises(AlignmentError, match=r"none of the variants is in old\.json: expected one of a, b, found c, d"):
        beside(audit(c=NEW, d=NEW), audit(a=OLD, b=OLD), "old.json")


def test_variants_are_matched_by_name_and_one_that_is_new_says_so() -> None:
    told = beside(audit(a=NEW, c=NEW), audit(a=OLD, b=OLD), "old.json")
    assert [each.looks[0].absent for each in told.comparisons] == [None, "old.json has no such variant"]


def test_a_document_keeps_it_and_it_is_said_once() -> None:
    told = beside(audit(pruned=NEW), audit(pruned=OLD), "old.json")
    assert from_document(to_document(told)) == told
    assert beside(told, audit(pruned=OLD), "old.json") == told


def test_report_puts_them_on_one_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, predicted in (("new", NEW), ("old", OLD)):
        write(audit(pruned=predicted), tmp_path / f"{name}.json")
    page, text = tmp_path / "page.html", tmp_path / "page.md"
    run = ["report", str(tmp_path / "new.json"), "--beside", str(tmp_path / "old.json")]
    assert invoke([*run, "-o", str(page), "-o", str(text)]) == 0
    assert "1 class got worse: b (-7.0)." in capsys.readouterr().out
    assert "1 class got worse: b (-7.0)." in text.read_text()
    shown = page.read_text()
    assert shown.index('<section id="verdict"') < shown.index('<section id="beside"') < shown.index('id="variant-0"')
    assert '<a href="#beside">Side by side</a>' in shown
    assert invoke([*run[:2], "--beside", str(tmp_path / "none.json")]) == 2
    assert invoke([*run, "-o", str(tmp_path / "old.json")]) == 2
    assert "would be written over" in capsys.readouterr().err


def test_pages_without_an_earlier_audit_have_no_such_section() -> None:
    assert 'id="beside"' not in html.render(audit(pruned=NEW))
