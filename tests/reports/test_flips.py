"""The list of flipped samples as CSV."""

from __future__ import annotations

import base64
import csv
from dataclasses import replace
from pathlib import Path

import pandas
import pytest

from prune_audit import reports
from prune_audit.core import Flip
from prune_audit.errors import UsageError
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


def test_a_frame_of_one_class_or_of_all_whose_pictures_are_drawn() -> None:
    audit = audits.ten()
    [comparison] = audit.comparisons
    picture = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
    drawn = (replace(comparison.flips[0], id="<b>", thumbnail=picture), *comparison.flips[1:])
    audit = replace(audit, comparisons=(replace(comparison, flips=drawn),))
    frame = audit.flips()
    assert list(frame.columns) == [*flips.COLUMNS, "picture"]
    assert len(frame) == len(drawn)
    first = drawn[0].label
    assert set(audit.flips(first)["label"]) == {first}
    assert frame["picture"].iloc[0] == b"\x89PNG\r\n\x1a\n"
    html = audit.flips(first)._repr_html_()  # type: ignore[operator]  # as a notebook calls it
    assert "None" not in html  # of samples without a picture
    assert f'<img src="data:image/png;base64,{picture}"' in html
    assert "&lt;b&gt;" in html
    assert type(frame[["sample"]]) is pandas.DataFrame
    assert list(audit.flips("6").columns) == list(frame.columns)


def test_a_class_that_there_is_not_is_asked_about() -> None:
    with pytest.raises(UsageError, match="the audit has no class 'seven'"):
        audits.ten().flips("seven")
    with pytest.raises(UsageError, match="place=indoor is no class"):
        audits.everything().flips("place=indoor")
