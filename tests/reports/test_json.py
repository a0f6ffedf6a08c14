"""The JSON: the whole document, laid out for people."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from prune_audit.document import from_document, to_document
from prune_audit.reports.json import WIDTH, layout, render
from tests.reports import audits
from tests.reports.golden import same_as_golden


@pytest.mark.parametrize("name", ["ten", "everything", "settled"])
def test_whole_text(name: str) -> None:
    same_as_golden(f"{name}.json", render(getattr(audits, name)()).encode("utf-8", "backslashreplace"))


@pytest.mark.parametrize("name", ["ten", "identical", "thousand", "several", "everything", "settled"])
def test_reads_back_equal(name: str) -> None:
    audit = getattr(audits, name)()
    assert from_document(json.loads(render(audit))) == audit


def test_the_layout_changes_nothing() -> None:
    assert json.loads(render(audits.everything())) == to_document(audits.everything())


def test_a_column_is_one_line_and_a_thousand_classes_stay_small() -> None:
    text = render(audits.thousand())
    assert len(text) < 500_000
    assert len(text.splitlines()) < 450
    assert [len(line) > WIDTH for line in text.splitlines()].count(True) < 40  # the columns
    assert text.endswith("}\n")


def test_not_a_number_is_refused_rather_than_written() -> None:
    audit = audits.ten()
    broken = replace(audit, provenance=replace(audit.provenance, run={"seconds": float("nan")}))
    with pytest.raises(ValueError, match="not JSON compliant"):
        render(broken)


def test_names_are_the_same_when_read_back_and_show_in_the_file() -> None:
    """The file is looked at in terminals, too."""
    name = "a\x1b]0;x\x07\x9b\u202e\u200b\u2028\U000e0041é猫"
    text = layout({name: [name]})
    assert text.replace("\n", "").isprintable()
    assert "é猫" in text
    assert json.loads(text) == {name: [name]}
