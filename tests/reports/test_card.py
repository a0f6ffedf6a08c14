"""The evaluation section of a model card: metadata that the hub takes, and what was measured."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard

from prune_audit import reports
from prune_audit.core import Audit
from prune_audit.reports import card
from tests.reports import audits
from tests.reports.golden import same_as_golden

AUDITS = {
    "ten": audits.ten(),
    "several": audits.several(),
    "everything": audits.everything(),
    "thousand": audits.thousand(),
    "identical": audits.identical(),
}


@pytest.mark.parametrize("name", ["ten", "everything", "settled"])
def test_whole_text(name: str) -> None:
    audit = audits.settled() if name == "settled" else AUDITS[name]
    same_as_golden(f"{name}.card.md", card.render(audit).encode("utf-8", "backslashreplace"))


@pytest.mark.parametrize("audit", AUDITS.values(), ids=AUDITS)
def test_the_hub_reads_the_metadata(audit: Audit) -> None:
    text = card.render(audit).encode("utf-8", "backslashreplace").decode()
    read = ModelCard(text, ignore_metadata_errors=False)
    by_name = yaml.safe_load(text.split("---\n")[1])["model-index"]
    assert [each["name"] for each in by_name] == [c.pruned.name for c in audit.comparisons]
    for entry, comparison in zip(by_name, audit.comparisons, strict=True):
        [result] = entry["results"]
        view = comparison.view()
        accuracy = view.measure("pruned_recall").overall
        assert isinstance(accuracy, float)
        assert result["metrics"][0]["value"] == pytest.approx(accuracy, abs=1e-6)  # as many digits as are written
        recalls = [r for r in view.measure("pruned_recall").by_stratum if isinstance(r, float)]
        assert result["metrics"][2]["value"] == pytest.approx(min(recalls), abs=1e-6)
    assert getattr(read.data, "eval_results", None) or len(audit.comparisons) > 1


def test_its_name_tells_it_from_the_report_in_markdown(tmp_path: Path) -> None:
    audit = audits.ten()
    for name in ("card.md", "lenet.card.md"):
        reports.write(audit, tmp_path / name)
        assert (tmp_path / name).read_text().startswith("---\nmodel-index:\n")
    reports.write(audit, tmp_path / "discard.md")
    assert (tmp_path / "discard.md").read_text().startswith("### ")
    assert reports.text(audit, "card")[0] == card.render(audit)


def test_where_there_are_no_numbers_none_are_given() -> None:
    assert "model-index" not in card.render(audits.settled())
