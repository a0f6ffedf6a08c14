"""The CSV: the promised columns in the promised order, every digit, and nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from prune_audit.core import Audit
from prune_audit.reports.csv import excel, render
from tests.reports import audits
from tests.reports.golden import same_as_golden

PROMISED = (
    "variant,by,stratum,support,both,lost,gained,neither,dense_recall,pruned_recall,change,change_low,change_high,"
    "p_value,q_value,dense_balance,pruned_balance,intensification,excess_drop,detectable_drop,verdict,distortion"
)


def rows(audit: Audit) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(render(audit), newline="")))


@pytest.mark.parametrize("name", ["ten", "several", "everything", "settled"])
def test_whole_text(name: str) -> None:
    same_as_golden(f"{name}.csv", render(getattr(audits, name)()).encode("utf-8", "backslashreplace"))


def test_leading_columns_are_the_promised_ones_and_others_follow_in_order() -> None:
    header = render(audits.ten()).partition("\r\n")[0]
    assert header.startswith(f"{PROMISED},")
    further = header.removeprefix(f"{PROMISED},")
    assert further == "reason,retention,retention_low,retention_high,worst_plausible_drop"


def test_leading_columns_stand_even_where_nothing_was_measured() -> None:
    audit = audits.ten()
    view = replace(audit.comparisons[0].views[0], measures=())
    text = render(replace(audit, comparisons=(replace(audit.comparisons[0], views=(view,)),)))
    assert text.partition("\r\n")[0] == PROMISED
    assert text.splitlines()[1] == "pruned-90,class,0,90,84,1,3,2,,,,,,,,,,,,,,"


def test_numbers_are_whole() -> None:
    view = audits.ten().comparisons[0].views[0]
    for row, change, recall in zip(
        rows(audits.ten()), view.measure("change").by_stratum, view.measure("dense_recall").by_stratum, strict=True
    ):
        assert row["change"] == ("" if change is None else repr(change))
        assert row["dense_recall"] == ("" if recall is None else repr(recall))


def test_change_is_pruned_minus_dense_and_counts_add_up() -> None:
    for row in rows(audits.ten()):
        lost, gained, support = int(row["lost"]), int(row["gained"]), int(row["support"])
        assert support == lost + gained + int(row["both"]) + int(row["neither"])
        if support:
            assert float(row["change"]) == pytest.approx((gained - lost) / support)


def test_what_is_absent_is_empty() -> None:
    row = rows(audits.ten())[9]
    assert (row["support"], row["change"], row["verdict"], row["p_value"]) == ("0", "", "", "")


def test_every_variant_and_every_view_has_its_rows() -> None:
    assert [r["variant"] for r in rows(audits.several())] == ["pruned-50"] * 10 + ["pruned-90"] * 10 + ["int8"] * 10
    assert [(r["by"], r["stratum"]) for r in rows(audits.everything())][-2:] == [
        ("place", "indoor"),
        ("place", "outdoor"),
    ]


@pytest.mark.parametrize("name", ["=1+1", "@home", "-1", 'a "b", c', "two\nlines"])
def test_names_are_kept_as_they_are(name: str) -> None:
    audit = audits.audit([(name, (5, 1, 1, 1), "fine", None), ("b", (5, 1, 1, 1), "fine", None)])
    assert rows(audit)[0]["stratum"] == name
    assert rows(audit)[0]["change"] == "0.0"


def test_negative_numbers_stay_numbers() -> None:
    assert rows(audits.ten())[7]["change"].startswith("-0.33")


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@home", "\t=1", "\r=1", "\n=1", "\uff1d1+1", "\uff20home"])
def test_a_spreadsheet_runs_no_name(name: str) -> None:
    audit = audits.audit([(name, (5, 1, 1, 1), "fine", None), ("b", (5, 1, 1, 1), "fine", None)])
    safe = list(csv.DictReader(io.StringIO("".join(excel(audit)).removeprefix("\ufeff"), newline="")))
    assert [row["stratum"] for row in safe] == [f"'{name}", "b"]


def test_a_spreadsheet_gets_numbers_as_numbers_and_knows_the_encoding() -> None:
    text = "".join(excel(audits.ten()))
    assert text.encode().startswith(b"\xef\xbb\xbfvariant,")
    assert text.removeprefix("\ufeff") == render(audits.ten())  # nothing to neutralise: negative numbers stay
    assert "-0.33" in text
