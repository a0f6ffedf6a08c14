"""What is measured, what it must reach, and whether it did.

A bar is missed only where the rate minus three of its own standard errors is: with thousands of rates on a page,
some lie beyond their truth by two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from prune_audit.core import Array

ERRORS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One cell and one quantity. ``sense`` says on which side of ``bar`` the value belongs; bar None: only shown.

    ``worst`` is the value in the worst part of the classes (`worst_part`); None where there are too few draws to tell.
    """

    section: str
    row: str
    cell: str
    quantity: str
    value: float
    error: float
    bar: float | None = None
    sense: Literal["most", "least"] = "most"
    worst: float | None = None

    @property
    def verdict(self) -> str:
        """ "met", "not met", or "" where there is no bar."""
        if self.bar is None:
            return ""
        beyond = self.value - self.bar if self.sense == "most" else self.bar - self.value
        return "not met" if beyond - ERRORS * self.error > 1e-12 else "met"


def rate(hits: Array, counted: Array | None = None) -> tuple[float, float]:
    """Share of ``hits`` (A, K) among those ``counted`` (A, K), and its standard error.

    Tests of one audit are not independent, because each class is in the rest of the others; so the error is the
    larger of the binomial one and the one seen between audits.
    """
    hits = hits.reshape(len(hits), -1)
    use = np.ones(hits.shape, bool) if counted is None else counted.reshape(hits.shape)
    total = int(use.sum())
    if not total:
        return float("nan"), float("nan")
    value = float((hits & use).sum() / total)
    apart = (hits & use).sum(axis=1) - value * use.sum(axis=1)  # (A,)
    between = float(np.sqrt((apart**2).sum())) / total
    return value, max(between, float(np.sqrt(value * (1 - value) / total)))


PARTS, ENOUGH = 10, 400
"""Parts that the classes of a cell are cut into, in their order, and the tests that one must have to be shown."""


def worst_part(hits: Array, counted: Array | None, sense: Literal["most", "least"]) -> float | None:
    """The largest (``most``) or smallest share of ``hits`` (A, K) in any of `PARTS` parts of the classes.

    Up to ten classes are each a part; of more, neighbours are, whose sizes and recalls are alike. None where some part
    has fewer than `ENOUGH` tests, so that the worst would be luck.
    """
    use = np.ones(hits.shape, bool) if counted is None else counted
    found = []
    for part in np.array_split(np.arange(hits.shape[1]), min(hits.shape[1], PARTS)):
        total = int(use[:, part].sum())
        if 0 < total < ENOUGH:
            return None
        if total:
            found.append(float((hits & use)[:, part].sum() / total))
    if not found:
        return None
    return max(found) if sense == "most" else min(found)


def mean(values: Array) -> tuple[float, float]:
    """Mean of ``values`` (A,), one per audit, and its standard error."""
    return float(values.mean()), float(values.std() / np.sqrt(len(values)))


MEANING = {
    "McNemar 5 %": "p of no change at or below .05 in classes where nothing changed",
    "McNemar .1 %": "the same at or below .001",
    "McNemar 5 %, clusters ignored": "the first in samples that come in clusters, without --cluster",
    "margin test 5 %": "p of a drop beyond 2 points at or below .05 in classes where nothing changed",
    "at the margin 5 %": "the same in classes that lost exactly 2 points",
    "at the margin .1 %": "the same at or below .001",
    "convicted at the margin": "classes that lost exactly 2 points and would be `regressed` without correction: "
    "interval and p agree",
    "falsely fine": "classes that lost exactly 5 points and read `fine`; nominal 2.5 %, so the bar is scaled to 3.5 %",
    "retention 5 %": "two-sided score test of equal retention rejects at .05 in classes that kept their place",
    "retention .1 %": "the same at .001",
    "harm 5 %": "one-sided test of retention below .95 at or below .05 in classes whose retention is not below .95",
    "harm .1 %": "the same at or below .001",
    "interval of change": "95 % interval of the change of recall holds the truth",
    "interval of retention": "95 % interval of relative retention holds the truth",
    "interval of change, clusters ignored": "coverage in samples that come in clusters, without --cluster",
    "interval of balance": "95 % interval of the dense balance, on which a class's standing rests, holds the truth",
    "interval of accuracy": "95 % interval of the change of accuracy holds the truth",
    "interval of weighted accuracy, dense": "95 % interval of the dense accuracy under --weights holds the truth",
    "interval of weighted accuracy, pruned": "the same of the pruned accuracy",
    "interval of weighted change": "95 % interval of the change of accuracy under --weights holds the truth",
    "interval of excess drop": "95 % interval of the excess drop holds the truth",
    "interval of precision": "95 % interval of the change of precision holds the truth",
    "interval of F1": "95 % interval of the change of F1 holds the truth",
    "interval of alpha": "95 % interval of corrected alpha holds the truth, over the audits that print one",
    "interval of tau": "95 % interval of the spread of true drops holds the truth",
    "worst drop, simultaneous": "the worst plausible drop of the model is at least the largest true drop",
    "largest excess, simultaneous": "the interval of the largest excess drop holds the largest true one",
    "alpha printed": "audits in which corrected alpha is estimable",
    "alpha bounded": "of those, audits in which its interval has an upper limit",
    "lambda": "true share of the observed spread of balances that is no noise",
    "alpha corrected / truth": "median of corrected alpha over all draws, printed or not, over the truth",
    "alpha naive / truth": "the same of the uncorrected slope",
    "alpha = 1, 5 %": "p of alpha = 1 at or below .05 where it is 1",
    "gaps printed": "audits in which the ratio of spreads is estimable",
    "gaps bounded": "of those, audits in which its interval has an upper limit",
    "interval of gaps": "95 % interval of the ratio of spreads holds the truth, over the audits that print one",
    "gaps / truth": "median of the ratio that is printed over the truth",
    "gaps told where none": "audits that say gaps grew or shrank where the ratio is 1",
    "gaps told": "audits that say gaps grew, or shrank, where they did",
    "tau = 0, 5 %": "p of no spread at or below .05 where all classes lost the same",
    "tau = 0 rejected": "p of no spread at or below .05 where true drops differ",
    "tau / truth": "median of the estimated spread over the truth",
    "FDR of q": "false discovery rate of McNemar's q at .05; false: nothing changed",
    "FDR of regressed": "false discovery rate of the verdict; false: lost 2 points or less",
    "FDR of harmed": "false discovery rate of the verdict; false: retention of .95 or more",
    "FWER of regressed, Holm": "audits with any false `regressed` under --correction holm",
    "FWER of harmed, Holm": "audits with any false harm verdict under --correction holm",
    "FWER of q, Holm": "audits with any McNemar q at or below .05 under --correction holm, where nothing changed",
    "found regressed": "classes with a drop that truly exceeds 2 points and read `regressed`",
    "found harmed": "classes whose retention truly is below .95 and read as harmed",
    "found fine": "unchanged classes that read `fine`",
    "regressed by ties, said": "classes that read `regressed` by exact ties alone, where nothing is lost if they are "
    "drawn, and say so",
    "regressed by ties, unsaid": "the same, but nothing is said of ties",
    "delta method 5 %": "rival of the retention test: delta-method z on the change of balance rejects at .05",
    "delta method .1 %": "the same at .001",
    "unpaired 5 %": "rival of McNemar: two-proportion z-test rejects at .05 where nothing changed",
    "naive rule": "rival of the harm verdict: |new balance| > |old balance|, where nothing changed",
    "FDR of delta method": "rival: Benjamini-Hochberg on the delta method, flags that fell; "
    "false: retention of 1 or more",
    "found by McNemar's q": "the same classes by McNemar's q at .05: any change at all",
    "found by unpaired test": "rival of McNemar's q: Benjamini-Hochberg on the two-proportion test of any change",
    "found by naive rule": "rival of harmed: |new balance| > |old balance|",
    "collapsed": "audits that say so",
    "gate fails": "audits in which a check of the default policy fails",
    "no relative verdict": "classes without a distortion, with the reason given",
    "identical pair fails": "audits of a pair without flips in which any check fails",
}
"""Every quantity, in one line."""
