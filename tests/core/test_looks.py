"""Tables that lenses make: what does not fit is refused, and documents give them back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prune_audit.core import Audit, Field
from prune_audit.document import from_document, to_document
from prune_audit.errors import InputError, UsageError
from tests.lenses.looks import looked, table
from tests.reports import audits


def test_a_document_gives_looks_back() -> None:
    audit = looked()
    document = to_document(audit)
    again: Audit = from_document(document)
    assert again == audit
    assert again.comparisons[0].looks[0].tables[0].column("loss") == (1.5, 0.25, 0.125, None)


def test_a_document_without_lenses_has_no_word_of_them() -> None:
    comparison = to_document(audits.ten())["comparisons"][0]
    assert "looks" not in comparison
    assert "explained" not in comparison


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rows": (("conv1",),)}, "has a row of 1 values for 6 fields"),
        ({"rows": (("conv1", "7", float("nan"), 0.0, 0.0, 0.0),)}, "has a value that is no number"),
        ({"rows": (("conv1", "7", 2e300, 0.0, 0.0, 0.0),)}, "has a value that is no number"),
        ({"rows": (("conv1", "7", 10**400, 0.0, 0.0, 0.0),)}, "has a value that is no number"),
        ({"rows": (("conv1", "7", "much", 0.0, 0.0, 0.0),)}, "by change, which holds other values than numbers"),
        ({"drawn": (replace(table().drawn[0], group="loss"),)}, "by loss, which holds other values than words"),
        ({"drawn": (replace(table("dots").drawn[0], low="layer"),)}, "by layer, which holds other values than num"),
        ({"fields": (Field(name="a", title="a", unit="label"),) * 6}, "has no fields of different names"),
        ({"drawn": (replace(table().drawn[0], x="width"),)}, "is to be drawn by width, which it has not"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        replace(table(), **change)  # type: ignore[arg-type]


def test_a_broken_table_in_a_document_is_told_by_its_place() -> None:
    document = to_document(looked())
    document["comparisons"][0]["looks"][0]["tables"][0]["rows"][0].pop()
    with pytest.raises(InputError, match=r"comparisons\[0\].looks\[0\].tables\[0\]: the table cells has a row of 5"):
        from_document(document)
