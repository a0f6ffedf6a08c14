"""The list of flipped samples as CSV."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from prune_audit import reports
from prune_audit.core import Flip
from prune_audit.reports import flips
from tests.reports import audits


def test_every_flip_of_every_variant() -> None:
    audit = audits.several()
    first = audit.comparisons[0]
    two = (*first.flips, Flip(id="a,b\n.png", label="3", dense="5", pruned="3"))
    audit = replace(audit, comparisons=(replace(first, flips=two), *audit.comparisons[1:]))
    assert flips.render(audit) == (
        "variant,sample,label,dense,pruned,flip\r\n"
        "pruned-50,7/0001.png,7,7,1,lost\r\n"
        'pruned-50,"a,b\n.png",3,5,3,gained\r\n'
        "pruned-90,7/0001.png,7,7,1,lost\r\n"
        "int8,7/0001.png,7,7,1,lost\r\n"
    )


def test_a_spreadsheet_runs_none_of_it() -> None:
    audit = audits.ten()
    biting = replace(audit.comparisons[0], flips=(Flip(id="=1+1", label="-x", dense="@y", pruned="z"),))
    text = flips.excel(replace(audit, comparisons=(biting,)))
    assert text.startswith("\ufeff")
    assert list(csv.reader(text[1:].splitlines()))[1] == ["pruned-90", "'=1+1", "'-x", "'@y", "z", "gained"]


@pytest.mark.parametrize("name", ["flips.csv", "night.flips.csv", "FLIPS.CSV"])
def test_the_name_of_the_file_chooses_it(tmp_path: Path, name: str) -> None:
    reports.check_writable(tmp_path / name)
    reports.write(audits.ten(), tmp_path / name)
    assert (tmp_path / name).read_text().startswith("variant,sample,")
    reports.write(audits.ten(), tmp_path / name, {"csv": "excel"})
    assert (tmp_path / name).read_text("utf-8").startswith("\ufeffvariant,sample,")


@pytest.mark.parametrize("name", ["backflips.csv", "flips.old.csv"])
def test_other_names_have_every_measure(tmp_path: Path, name: str) -> None:
    reports.write(audits.ten(), tmp_path / name)
    assert (tmp_path / name).read_text().startswith("variant,by,stratum,")
