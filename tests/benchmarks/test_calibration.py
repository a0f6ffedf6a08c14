"""The small grid of the calibration meets its bars, its yardsticks are right, and docs/ shows what was measured.

The large grid is run by hand (``python -m tests.benchmarks.calibration``); what it wrote is held against the README
and the page here, so that neither can be edited without the other.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from statsmodels.stats.proportion import proportions_ztest

from prune_audit.core import Pair, Settings
from prune_audit.stats import _root, balance, change, distortion
from tests.benchmarks import _checks, _draws, _flags, _rivals, _samples
from tests.benchmarks._audits import DEFAULT, HARMED, floats, named, p_of_harm
from tests.benchmarks._bars import MEANING, Row, rate, worst_part
from tests.benchmarks._calibration_report import MEAN, WHY, from_csv, summary, to_csv, to_markdown
from tests.benchmarks.calibration import _fewer, jobs, merged, run, unmeasured, write
from tests.conftest import ROOT

PAGE, CSV = ROOT / "docs" / "calibration.md", ROOT / "docs" / "calibration.csv"


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """Of three in ten of its audits, since the bars know how many there were; all take half a minute more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_root, "HALVINGS", 26)  # limits within 3e-8, in half the time: shares of thousands stay the same
        return run(quick=True, processes=1, share=0.3)


def test_the_small_grid_meets_its_bars(rows: list[Row]) -> None:
    assert sum(row.bar is not None for row in rows) > 400
    assert [(row.quantity, row.row, row.cell) for row in rows if row.verdict == "not met"] == []


def test_ours_does_not_flag_where_the_naive_rule_flags_half(rows: list[Row]) -> None:
    naive = [row.value for row in rows if row.quantity == "naive rule"]
    harmed = [row.value for row in rows if row.quantity == "FDR of harmed" and "nothing changed" in row.cell]
    assert np.mean(naive) > 0.4
    assert max(harmed) <= 0.01


def test_every_quantity_is_explained(rows: list[Row]) -> None:
    assert {row.quantity for row in rows} == set(MEANING)


def test_what_is_written_is_read_back(rows: list[Row], tmp_path: Path) -> None:
    lines = write(rows, tmp_path, 1)
    again = from_csv((tmp_path / "calibration.csv").read_text(encoding="utf-8"))
    assert to_csv(again) == to_csv(rows)
    assert summary(again) == lines
    assert len(lines) == 5
    page = (tmp_path / "calibration.md").read_text(encoding="utf-8")
    assert page == to_markdown(again, 1, unmeasured(again))
    assert all(line in page for line in lines)


def test_one_section_takes_the_place_of_its_own_and_the_means_stay_last() -> None:
    def row(section: str, cell: str, value: float) -> Row:
        return Row(section=section, row="r", cell=cell, quantity="q", value=value, error=0.0)

    old = [row("Alpha", "a", 1), row("Gaps", "g", 1), row("Collapse", "c", 1), row("Gaps", MEAN, 1)]
    new = [row("Gaps", "g", 2), row("Gaps", "h", 2), row("Gaps", MEAN, 2)]
    expected = [row("Alpha", "a", 1), *new[:2], row("Collapse", "c", 1), new[2]]
    assert merged(old, new) == merged([*old[:1], *old[2:3]], new) == expected


def test_the_page_shows_the_table_that_lies_beside_it() -> None:
    text = PAGE.read_text(encoding="utf-8")
    minutes = re.search(r"about (\d+) minutes", text)
    assert minutes is not None
    rows = from_csv(CSV.read_text(encoding="utf-8"))
    assert text.removesuffix(_checks.section(text)) == to_markdown(rows, int(minutes[1]), unmeasured(rows))


def test_page_and_readme_say_what_the_table_says() -> None:
    page, readme = (" ".join(path.read_text(encoding="utf-8").split()) for path in (PAGE, ROOT / "README.md"))
    rows = from_csv(CSV.read_text(encoding="utf-8"))
    for line in summary(rows):
        assert line in page
    barred = [row for row in rows if row.bar is not None]
    met = sum(row.verdict != "not met" for row in barred)
    assert f"{met} of {len(barred)} bars that were set beforehand are met" in readme
    assert len(barred) - met == 1  # "the one that is not"


def test_every_missed_bar_has_a_reason() -> None:
    missed = {row.quantity for row in from_csv(CSV.read_text(encoding="utf-8")) if row.verdict == "not met"}
    assert missed == set(WHY)


@pytest.mark.parametrize(
    ("value", "error", "bar", "sense", "verdict"),
    [
        (0.07, 0.002, 0.06, "most", "not met"),
        (0.065, 0.002, 0.06, "most", "met"),
        (0.90, 0.005, 0.925, "least", "not met"),
        (0.92, 0.005, 0.925, "least", "met"),
        (0.0, 0.0, 0.0, "most", "met"),
        (0.5, 0.0, None, "most", ""),
    ],
)
def test_a_bar_is_missed_by_more_than_three_errors(
    value: float, error: float, bar: float | None, sense: str, verdict: str
) -> None:
    text = to_csv([Row(section="s", row="r", cell="c", quantity="q", value=value, error=error, bar=bar)])
    (row,) = from_csv(text.replace("at most", f"at {sense}"))
    assert row.verdict == verdict


def test_the_worst_class_is_the_worst_of_parts_that_can_tell() -> None:
    hits = np.zeros((400, 3), bool)
    hits[:100, 1], hits[:200, 2] = True, True
    assert worst_part(hits, None, "most") == 0.5
    assert worst_part(hits, None, "least") == 0
    assert worst_part(hits, np.arange(3) < np.full((400, 1), 2), "most") == 0.25
    assert worst_part(hits[1:], None, "most") is None
    assert worst_part(hits, np.zeros_like(hits), "most") is None
    many = np.repeat(hits[:40, :1], 100, axis=1)
    many[:, 90:] = np.arange(40)[:, None] < 10
    assert worst_part(many, None, "most") == 0.25


def test_a_share_of_the_audits_is_drawn_of_every_cell() -> None:
    full, fewer = (list(jobs(quick=True)), [_fewer(job, 0.1) for job in jobs(quick=True)])
    assert [job.args[1].audits for job in fewer[:5]] == [max(2, round(job.args[1].audits * 0.1)) for job in full[:5]]
    assert [job.args[1].name for job in fewer[:5]] == [job.args[1].name for job in full[:5]]


def test_cells_without_a_row_are_counted() -> None:
    grid = [(job.args[0], arg) for job in jobs(quick=False) for arg in job.args if isinstance(arg, _draws.Cell)]
    assert len({(section, cell.row, cell.name) for section, cell in grid}) == len(grid)  # a name is its seed
    rows = [
        Row(section=section, row=cell.row, cell=cell.name, quantity="q", value=0, error=0) for section, cell in grid
    ]
    assert unmeasured(rows) == 0
    assert unmeasured(rows[3:]) == 3
    assert "3 cells of the grid were added" in to_markdown(from_csv(CSV.read_text(encoding="utf-8")), 1, 3)


def test_cells_and_means_of_rows_are_counted_apart() -> None:
    bad = {"section": "Edges", "row": "r", "quantity": "interval of balance", "error": 0.0, "sense": "least"}
    rows = [Row(cell=cell, value=0.9, bar=0.925, **bad) for cell in ("a", "b", MEAN)]  # type: ignore[arg-type]  # a mapping
    rows += [Row(cell="c", value=0.95, bar=0.925, **bad), Row(cell="d", value=0.5, **bad)]  # type: ignore[arg-type]  # likewise
    measured = from_csv(CSV.read_text(encoding="utf-8"))
    page = to_markdown([*rows, *measured], 1)
    old = [row for row in measured if row.quantity == "interval of balance" and row.bar]
    cells = [row.verdict == "not met" for row in old if row.cell != MEAN]
    means = [row.verdict == "not met" for row in old if row.cell == MEAN]
    counted = f"{sum(cells) + 2} of {len(cells) + 3} cells and {sum(means) + 1} of {len(means) + 1} means of rows"
    assert f"**interval of balance**: {counted}. Worst" in page
    assert f"**not met in {sum(cells) + 2} of {len(cells) + 3}**" in page


def test_ties_that_decide_are_told() -> None:
    cell, share = next(iter(_draws.ties(quick=True)))
    said, unsaid = _samples.tied("Exact ties", cell, share)
    assert said.value > 0.3  # nine of ten classes seem to have lost 5 points
    assert unsaid.value <= 0.01
    assert said.worst is None  # 40 audits cannot tell of a class


def test_errors_allow_for_tests_that_rise_and_fall_together() -> None:
    rng = np.random.default_rng(0)
    alone = rng.random((400, 10)) < 0.2
    together = np.repeat(rng.random((400, 1)) < 0.2, 10, axis=1)
    assert rate(alone)[1] == pytest.approx(np.sqrt(0.16 / 4000), rel=0.1)
    assert rate(together)[1] == pytest.approx(np.sqrt(0.16 / 400), rel=0.1)
    counted = np.arange(10) < 5
    assert rate(alone, np.broadcast_to(counted, alone.shape))[0] == alone[:, :5].mean()
    assert np.isnan(rate(alone, np.zeros_like(alone))[0])


def test_draws_have_the_truth_of_their_cell() -> None:
    cells = list(_draws.at_retention(quick=True))
    for cell in cells:
        np.testing.assert_allclose(cell.retention[cell.focus], 0.95, rtol=1e-12)
        draws = cell.draw()
        np.testing.assert_array_equal(draws.sum(axis=2), np.broadcast_to(cell.n, draws.shape[:2]))
        np.testing.assert_allclose(draws.mean(axis=0) / cell.n[:, None], cell.truth, atol=0.01)
    np.testing.assert_array_equal(cells[0].draw(), cells[0].draw())
    assert not np.array_equal(cells[0].draw()[:50], cells[1].draw()[:50])


def test_audits_seen_together_are_measured_as_if_alone() -> None:
    cell = next(iter(_draws.at_retention(quick=True)))
    draws = cell.draw()[:40]
    together = p_of_harm(draws, np.ones(len(cell.n), bool))
    stacked = named(change.measure(Pair.of(draws.reshape(-1, 4)), DEFAULT))["change"]
    for i, draw in enumerate(draws):
        alone = named(distortion.measure(Pair.of(draw), Settings(correction="none")))["q_harmed"]
        np.testing.assert_array_equal(together[i], floats(alone.by_stratum))
        single = named(change.measure(Pair.of(draw), DEFAULT))["change"]
        here = slice(i * len(draw), (i + 1) * len(draw))
        assert stacked.low[here] == single.low
        assert stacked.high[here] == single.high


def test_audits_that_are_passed_over_bear_no_flag() -> None:
    cell = next(c for c in _draws.lists(quick=True) if "lost 30 %, the rest unchanged" in c.name)
    draws = cell.draw()[:40]
    p = p_of_harm(draws, np.ones(len(cell.n), bool))
    found = _flags.convicted(draws, p, "distortion", DEFAULT)
    for draw, flagged in zip(draws, found, strict=True):
        labels = named(distortion.measure(Pair.of(draw), DEFAULT))["distortion"].by_stratum
        np.testing.assert_array_equal(flagged, [label in HARMED for label in labels])
    assert 0 < found.sum() < found.size


def test_the_unpaired_rival_is_the_two_proportion_test() -> None:
    draws = np.array([[(80, 12, 3, 5), (10, 0, 9, 11)], [(50, 0, 0, 0), (20, 5, 5, 30)]])
    z = _rivals.unpaired(draws)
    for i, j in ((0, 0), (0, 1), (1, 1)):
        both, lost, gained, neither = draws[i, j]
        n = both + lost + gained + neither
        expected, p = proportions_ztest([both + lost, both + gained], [n, n])
        assert z[i, j] == pytest.approx(expected)
        assert _rivals.two_sided(z)[i, j] == pytest.approx(p)
    assert z[1, 0] == 0


def test_the_delta_rival_is_the_gradient_in_every_recall() -> None:
    """Against numerical derivatives of the change of balance in all 2 C recalls and their covariance matrix."""
    draw = np.array([(80, 12, 3, 5), (10, 4, 9, 7), (300, 20, 10, 20)])
    n, p, q = (
        draw.sum(axis=1),
        (draw[:, 0] + draw[:, 1]) / draw.sum(axis=1),
        (draw[:, 0] + draw[:, 2]) / draw.sum(axis=1),
    )
    w = n / n.sum()
    for c in range(3):

        def moved(x: np.ndarray, c: int = c) -> float:
            return float(x[3 + c] / (w @ x[3:]) - x[c] / (w @ x[:3]))

        x = np.concatenate([p, q])
        steps = 1e-6 * np.eye(6)
        gradient = np.array([(moved(x + step) - moved(x - step)) / 2e-6 for step in steps])
        cov = np.diag((draw[:, 0] / n - p * q) / n)
        matrix = np.block([[np.diag(p * (1 - p) / n), cov], [cov, np.diag(q * (1 - q) / n)]])
        expected = moved(x) / np.sqrt(gradient @ matrix @ gradient)
        assert _rivals.delta(draw[None])[0, c] == pytest.approx(expected, rel=1e-6)


def test_the_naive_rule_is_the_ratio_of_the_paper() -> None:
    draws = np.array([[(50, 20, 0, 30), (90, 5, 0, 5)]])
    balances = [np.array([0.7, 0.95]) / 0.825 - 1, np.array([0.5, 0.9]) / 0.7 - 1]
    np.testing.assert_array_equal(_rivals.naive(draws)[0], abs(balances[1]) > abs(balances[0]))
    pair = Pair.of(draws[0])
    for ours, which in zip(_rivals.balances(draws), ("dense", "pruned"), strict=True):
        expected = named(balance.measure(pair, DEFAULT))[f"{which}_balance"].by_stratum
        np.testing.assert_allclose(ours[0], floats(expected), rtol=1e-12)
