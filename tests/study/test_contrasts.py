"""What was announced: paired tests and Holm's correction against scipy and statsmodels, and the file that keeps it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from prune_audit.errors import StudyError
from prune_audit.study import contrasts, results
from prune_audit.study.contrasts import Contrasts
from prune_audit.study.student import holm

ASKED = Contrasts(outcome="worst-recall", against="base", methods=("one", "two", "three", "lone"), density=0.1)


def runs() -> pd.DataFrame:
    """Six seeds, of which the last of ``two`` failed; ``three`` is always .05 above, and ``lone`` has one seed."""
    generator = np.random.default_rng(0)
    base = generator.uniform(0.3, 0.5, 6)
    of = {"base": base, "one": base - generator.uniform(0.05, 0.1, 6), "two": base + generator.normal(0, 0.1, 6)}
    of |= {"three": base + 0.05, "lone": base[:1]}
    of["two"][5] = np.nan
    rows = [("n", m, d, s, v) for m, at in of.items() for s, v in enumerate(at) for d in (0.1, 0.5)]
    return pd.DataFrame(rows, columns=["network", "method", "density", "seed", "worst_recall"])


def test_each_is_a_paired_test_and_all_are_corrected_together() -> None:
    given = runs()
    table = contrasts.tested(ASKED, given, 0.95)
    here = given[given["density"] == 0.1].pivot(index="seed", columns="method", values="worst_recall")
    expected = [stats.ttest_rel(here[each], here["base"], nan_policy="omit") for each in ("one", "two")]
    p = [each.pvalue for each in expected]
    assert table.column("p")[:2] == pytest.approx(p)
    assert table.column("p_adjusted")[:2] == pytest.approx(multipletests(p, method="holm")[1])
    low, high = expected[0].confidence_interval(0.95)
    assert (table.column("low")[0], table.column("high")[0]) == pytest.approx((low, high))
    assert table.column("seeds") == (6, 5, 6, 1)
    assert table.column("finding") == ("lower", "not shown", None, None)
    assert table.column("difference")[2] == pytest.approx(0.05)
    assert table.column("absent") == (None, None, "the same difference in every run", "a paired test needs 2 seeds")
    assert table.telling == (0,)


def test_a_method_that_was_not_run_has_a_row_without_a_test() -> None:
    table = contrasts.tested(replace(ASKED, methods=("one", "absent")), runs(), 0.95)
    assert table.column("seeds") == (6, 0)
    assert table.column("absent")[1] == "a paired test needs 2 seeds"


@pytest.mark.parametrize("seed", range(5))
def test_holm_is_that_of_statsmodels(seed: int) -> None:
    p = np.random.default_rng(seed).uniform(0, 0.2, 9)
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])
    holes = np.insert(p, [0, 4], np.nan)
    np.testing.assert_allclose(holm(holes), np.insert(holm(p), [0, 4], np.nan))


def test_what_is_announced_is_read_again_and_cannot_be_changed(tmp_path: Path) -> None:
    assert results.announced([tmp_path]) is None
    results.announce(tmp_path, ASKED)
    results.announce(tmp_path, ASKED)
    assert results.announced([tmp_path, tmp_path]) == ASKED
    with pytest.raises(StudyError, match="announces other contrasts"):
        results.announce(tmp_path, replace(ASKED, density=0.5))
    (tmp_path / "other").mkdir()
    results.announce(tmp_path / "other", replace(ASKED, outcome="harmed"))
    with pytest.raises(StudyError, match="announce different contrasts"):
        results.announced([tmp_path, tmp_path / "other"])


@pytest.mark.parametrize("text", ["", "outcome,method,other,density\n", "a,b,c,d\nharmed,x,y,0.1\n", "h\nharmed,x,y\n"])
def test_a_file_that_announces_nothing_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "contrasts.csv").write_text(text)
    with pytest.raises(StudyError, match="does not say what was announced"):
        results.announced([tmp_path])
