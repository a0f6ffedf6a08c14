"""Audits that end once every class is settled: from recorded predictions and from models, and added to later."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from prune_audit import audit, baseline, gate, rules
from prune_audit.core import FINE, REGRESSED, Audit, DataSource, ModelSource, Outputs, Predictions, Settings, View
from prune_audit.document import read_audit
from prune_audit.errors import AlignmentError, UsageError
from prune_audit.evaluate.cache import Store
from prune_audit.render import wording
from prune_audit.sequential import seen
from prune_audit.stats import measures
from tests.cli._run import here

SETTLED = Settings(until_settled=True)
DROPS = (0.0, 0.0, 0.01, 0.3)


def recorded(
    folder: Path,
    name: str,
    n: int,
    *,
    seed: int = 0,
    drops: Sequence[float] = DROPS,
    at: int = 0,
    sizes: Mapping[int, int] | None = None,
) -> Path:
    """A table of ``n`` samples a class of which the pruned model loses a share of ``drops``, and both flip 2 %."""
    rng, path = np.random.default_rng(seed), folder / f"{name}.csv"
    rows = []
    for c, drop in enumerate(drops):
        for _ in range((sizes or {}).get(c, n)):
            right = rng.random() < 0.95
            pruned = right != (rng.random() < 0.02)
            if right and rng.random() < drop:
                pruned = False
            other = (c + 1) % len(drops)
            rows.append([f"class {c}", f"class {c if right else other}", f"class {c if pruned else other}"])
    order = rng.permutation(len(rows))
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["id", "label", "dense", "pruned"])
        out.writerows([f"s{at + i}", *rows[j]] for i, j in enumerate(order))
    return path


def audited(
    path: Path, settings: Settings = SETTLED, *, earlier: Audit | None = None, variants: Sequence[str] = ("pruned",)
) -> Audit:
    columns = {"same": "dense"}
    dense, *pruned = (ModelSource(name=n, path=path, column=columns.get(n, n)) for n in ("dense", *variants))
    return audit.run(dense, pruned, DataSource(path=path), settings, earlier=earlier)


def view(found: Audit) -> View:
    return found.comparisons[0].view()


def verdicts(found: Audit) -> tuple[object, ...]:
    return view(found).measure("verdict").by_stratum


def test_it_stops_once_every_class_is_settled(tmp_path: Path) -> None:
    path = recorded(tmp_path, "data", 3000)
    found = audited(path)
    assert verdicts(found) == (FINE, FINE, FINE, REGRESSED)
    p, spared = found.provenance, view(found).measure("samples_spared")
    assert p.samples < 3000
    assert p.samples + int(str(spared.overall)) == p.available == 12_000
    assert view(found).pair.support.tolist() == [3000 - int(str(s)) for s in spared.by_stratum]
    assert not p.limited
    # What every sample says, in the order of a fixed number of samples: the same.
    assert verdicts(audited(path, Settings())) == verdicts(found)


def test_no_class_is_run_much_beyond_the_sample_that_settles_it(tmp_path: Path) -> None:
    """The evidence a tenth earlier was not enough: of the last round all samples but one could be spared at most."""
    found = view(audited(recorded(tmp_path, "data", 3000)))
    e = [found.measure(name).by_stratum for name in ("e_fine", "e_regressed")]
    assert all(isinstance(x, float) and 40 <= x < 40 * 50 for x in e[0][:3])
    assert isinstance(e[1][3], float)


def test_it_ends_with_the_data_where_nothing_settles(tmp_path: Path) -> None:
    found = audited(recorded(tmp_path, "data", 40))
    assert verdicts(found)[:3] == ("cannot tell",) * 3
    assert view(found).pair.support[:3].tolist() == [40] * 3


def test_the_seed_and_the_order_of_the_data_decide_nothing_but_the_draw(tmp_path: Path) -> None:
    path = recorded(tmp_path, "data", 3000)
    first, again, other = audited(path), audited(path), audited(path, replace(SETTLED, seed=5))
    assert first.comparisons == again.comparisons
    assert first.provenance.data_digest != other.provenance.data_digest
    assert verdicts(first) == verdicts(other)


def test_a_class_is_run_until_it_is_settled_for_every_variant(tmp_path: Path) -> None:
    path = recorded(tmp_path, "data", 3000)
    both = audited(path, variants=("pruned", "same"))
    alone = audited(path)
    assert (view(both).pair.support >= view(alone).pair.support).all()
    for comparison in both.comparisons:
        assert "cannot tell" not in comparison.view().measure("verdict").by_stratum
    assert len({tuple(c.view().pair.support.tolist()) for c in both.comparisons}) == 1


def test_a_limit_is_the_most_that_is_run_and_gates_all_the_same(tmp_path: Path) -> None:
    path = recorded(tmp_path, "data", 3000)
    found = audited(path, replace(SETTLED, limit=400))
    assert found.provenance.samples == 400
    assert not found.provenance.limited
    assert gate.judge(found, rules.preset("default")).outcome == "failed"
    # The class that is settled leaves its share to the others.
    support = view(found).pair.support
    assert support[3] < 100 < support[:3].min()
    assert audited(path, replace(SETTLED, limit=40)).provenance.samples == 40


def test_what_the_settings_say_decides_when_it_ends(tmp_path: Path) -> None:
    path = recorded(tmp_path, "data", 3000)
    wide, narrow = (audited(path, replace(SETTLED, margin=m, assure=a)) for m, a in ((0.02, 0.1), (0.02, 0.04)))
    assert wide.provenance.samples < narrow.provenance.samples


def test_a_policy_says_beforehand_what_settles(tmp_path: Path) -> None:
    path = recorded(tmp_path, "data", 3000)
    dense, pruned = (ModelSource(name=name, path=path, column=name) for name in ("dense", "pruned"))
    policy = replace(rules.preset("default"), settings={"margin": 0.02, "assure": 0.1})
    judged = audit.run(dense, [pruned], DataSource(path=path), SETTLED, policy=policy)
    assert judged.provenance.settings.assure == 0.1
    assert judged.provenance.samples == audited(path, replace(SETTLED, assure=0.1)).provenance.samples
    strict = replace(policy, settings={"correction": "holm"})
    with pytest.raises(UsageError, match="--correction holm cannot be had with --until-settled"):
        audit.run(dense, [pruned], DataSource(path=path), SETTLED, policy=strict)


def test_models_are_run_on_what_is_drawn_alone_and_the_store_keeps_it(sample_models: Path, tmp_path: Path) -> None:
    dense, pruned = (ModelSource(name=n, path=sample_models / f"{n}.onnx") for n in ("dense", "pruned-90"))
    source, store = DataSource(path=sample_models / "val"), Store(tmp_path)
    wide = replace(SETTLED, margin=0.1, assure=0.2)
    found = audit.run(dense, [pruned], source, wide, store=store)
    n, available = found.provenance.samples, found.provenance.available
    assert n < available
    again = audit.run(dense, [pruned], source, wide, store=store)
    assert again.comparisons == found.comparisons
    assert again.provenance.run["known before, dense"] == n
    # A run of all data goes on from there, and what it finds is what it finds from nothing.
    whole = audit.run(dense, [pruned], source, Settings(), store=store)
    assert whole.provenance.run["known before, dense"] == n
    fresh = audit.run(dense, [pruned], source, Settings())
    assert [c.views for c in whole.comparisons] == [c.views for c in fresh.comparisons]


def test_rules_that_need_a_fixed_number_of_samples_are_inconclusive(tmp_path: Path) -> None:
    found = audited(recorded(tmp_path, "data", 3000, drops=(0, 0)))
    judged = gate.judge(found, rules.preset("default"))
    told = {check.rule: check.outcome for check in judged.comparisons[0].checks}
    assert told.pop("recall-drop") == "passed"
    assert told.pop("plausible") == "passed"
    assert told
    assert set(told.values()) == {"inconclusive"}
    assert judged.outcome == "inconclusive"
    assert judged.exit_code == 0
    assert gate.judge(found, rules.preset("strict")).exit_code == 3
    [harmed] = [check for check in judged.comparisons[0].checks if check.rule == "harmed"]
    assert "run all data for it" in harmed.message


def test_another_margin_is_measured_from_the_counts(tmp_path: Path) -> None:
    found = audited(recorded(tmp_path, "data", 3000))
    policy = replace(rules.preset("default"), settings={"margin": 0.25, "assure": 0.5})
    again = gate.judge(found, policy)
    assert again.comparisons[0].views[0].measures == measures(view(found).pair, again.provenance.settings)
    assert verdicts(again)[3] != REGRESSED


def test_no_baseline_can_be_one_that_stopped(tmp_path: Path) -> None:
    path = recorded(tmp_path, "data", 3000)
    some, whole = audited(path), audited(path, Settings())
    for one, other, which in ((some, whole, "this audit"), (whole, some, "the baseline")):
        with pytest.raises(AlignmentError, match=f"{which} ended once classes were settled"):
            baseline.judge(one, other, rules.preset("default"), "last.json")


def test_fresh_data_are_known_by_their_samples(tmp_path: Path) -> None:
    """The same data, drawn in another order, are not fresh."""
    path = recorded(tmp_path, "data", 3000)
    some, again = audited(path), audited(path, replace(SETTLED, seed=3))
    assert some.provenance.data_digest != again.provenance.data_digest
    with pytest.raises(AlignmentError, match="holds the samples"):
        gate.check_fresh(some, again)
    gate.check_fresh(some, audited(recorded(tmp_path, "new", 3000, at=10**6)))


def test_predictions_that_are_all_there_spare_nothing() -> None:
    same = [Outputs(name=name, predicted=np.zeros(3, np.int64)) for name in ("dense", "pruned")]
    predictions = Predictions(classes=("a",), ids=("1", "2", "3"), labels=np.zeros(3, np.int64), models=tuple(same))
    with pytest.raises(UsageError, match="spare nothing"):
        audit.from_predictions(predictions, "dense", ["pruned"], SETTLED)


# ----------------------------------------------------------------------------------------------------- added to later


def test_adding_is_as_if_all_had_been_one_audit(tmp_path: Path) -> None:
    """Of classes that stay open, the evidence after both is that of all samples together."""
    first, then = recorded(tmp_path, "one", 60), recorded(tmp_path, "two", 50, seed=1, at=10**6)
    before, new = audited(first), audited(then)
    after = audited(then, earlier=before)
    some = view(before).measure("verdict").by_stratum.index("cannot tell")
    pairs = [view(each).pair for each in (before, new, after)]
    for kind in ("both", "lost", "gained", "neither"):
        one, two, both = (int(getattr(pair, kind)[some]) for pair in pairs)
        assert one + two == both
    assert view(after).measures == measures(pairs[2], after.provenance.settings)
    p = after.provenance
    assert (p.samples, p.available) == (int(pairs[2].support.sum()), 60 * 4 + 50 * 4)
    assert any(f"{before.provenance.samples:,} samples are of an earlier audit" in note for note in p.notes)
    assert any("nothing shows that the predictions of pruned are by the model" in note for note in p.notes)
    assert after.samples is not None
    assert len(after.samples.right["dense"]) == p.samples
    assert pairs[2].labelled.sum() == p.samples
    assert pairs[2].moves[:, 3].sum() == sum(int(pair.moves[:, 3].sum()) for pair in pairs[:2]) or pairs[1] != pairs[2]


def test_what_is_settled_already_is_not_run(tmp_path: Path) -> None:
    before = audited(recorded(tmp_path, "one", 60))
    assert verdicts(before)[3] == REGRESSED
    after = audited(recorded(tmp_path, "two", 3000, seed=1, at=10**6), earlier=before)
    assert verdicts(after) == (FINE, FINE, FINE, REGRESSED)
    assert view(after).pair.support[3] == view(before).pair.support[3]
    assert view(after).measure("samples_spared").by_stratum[3] == 3000 + 60 - view(before).pair.support[3]


def test_it_can_be_added_to_again_and_read_back_in_between(tmp_path: Path) -> None:
    paths = [recorded(tmp_path, f"part-{i}", 50, seed=i, at=10**6 * i) for i in range(4)]
    now = audited(paths[0])
    for path in paths[1:]:
        now = audited(path, earlier=now)
    out, models = str(tmp_path / "now.json"), [f"dense={paths[0]}#dense", f"pruned={paths[0]}#pruned"]
    assert here(["compare", *models, "--data", paths[0], "--until-settled", "-o", out]).returncode == 0
    for path in paths[1:]:
        models = [f"dense={path}#dense", f"pruned={path}#pruned"]
        done = here(["compare", *models, "--data", path, "--append", out, "-o", out])
        assert done.returncode == 0, done.stderr
    again = read_audit(out)
    assert again.comparisons == now.comparisons
    assert again.provenance.data_digest == now.provenance.data_digest


def refused(tmp_path: Path, path: Path, *options: str, earlier: str = "one") -> str:
    """What is said where ``path`` cannot be added to the audit of 60 samples a class."""
    first = recorded(tmp_path, earlier, 60)
    out = str(tmp_path / "audit.json")
    stop = [] if "--whole" in options else ["--until-settled"]
    given = [f"dense={first}#dense", f"pruned={first}#pruned", "--data", str(first), *stop]
    assert here(["compare", *given, "-o", out]).returncode == 0
    before = Path(out).read_bytes()
    more = [option for option in options if option != "--whole"]
    names = ["dense", "other" if "--renamed" in more else "pruned"]
    more = [option for option in more if option != "--renamed"]
    models = [f"{name}={path}#{column}" for name, column in zip(names, ("dense", "pruned"), strict=True)]
    done = here(["compare", *models, "--data", path, "--append", out, "-o", out, *more])
    assert done.returncode == 2
    assert Path(out).read_bytes() == before
    return done.stderr


def test_no_sample_counts_twice(tmp_path: Path) -> None:
    """One sample of the new data that the earlier audit drew is enough."""
    first = audited(recorded(tmp_path, "one", 60))
    assert first.samples is not None
    drawn = next(i for i in range(240) if int(seen([f"s{i}"])[0]) in set(first.samples.seen.tolist()))  # type: ignore[union-attr]  # it is there
    said = refused(tmp_path, recorded(tmp_path, "two", 60, seed=1, at=drawn))
    assert "samples of" in said
    assert "no sample may count twice" in said
    assert f"(first: s{drawn})" in said


def test_other_limits_models_and_classes_are_refused(tmp_path: Path) -> None:
    new = recorded(tmp_path, "two", 60, seed=1, at=10**6)
    assert "margin in points: expected 2, found 3" in refused(tmp_path, new, "--margin", "3")
    assert "assurance limit in points: expected 5, found 7.5" in refused(tmp_path, new, "--assure", "7.5")
    assert "confidence in percent: expected 95, found 90" in refused(tmp_path, new, "--confidence", ".9")
    assert "models: expected dense, pruned, found dense, other" in refused(tmp_path, new, "--renamed")
    assert "did not stop by itself" in refused(tmp_path, new, "--whole")
    five = recorded(tmp_path, "five", 60, seed=1, at=10**6, drops=(0,) * 5)
    said = refused(tmp_path, five)
    assert "classes: expected class 0, class 1, class 2, class 3, found" in said
    assert "--classes" not in said
    three = recorded(tmp_path, "three", 60, seed=1, at=10**6, drops=(0,) * 3)
    said = refused(tmp_path, three)
    assert "found class 0, class 1, class 2" in said
    assert "name every class in a file, one a line, with --classes FILE" in said


def test_another_file_of_a_model_is_refused(sample_models: Path, tmp_path: Path) -> None:
    def of(pruned: str, earlier: Audit | None = None) -> Audit:
        dense = ModelSource(name="dense", path=sample_models / "dense.onnx")
        variant = ModelSource(name="pruned", path=sample_models / f"{pruned}.onnx")
        return audit.run(dense, [variant], DataSource(path=sample_models / "val"), SETTLED, earlier=earlier)

    before = of("pruned-90")
    with pytest.raises(AlignmentError, match="file of pruned"):
        of("pruned-50", before)
    with pytest.raises(AlignmentError, match="no sample may count twice"):
        of("pruned-90", before)
    # The same file, of which something else is read, or which is fed otherwise.
    p = before.provenance
    other = replace(before, provenance=replace(p, settings=replace(p.settings, state_key=("ema",))))
    with pytest.raises(AlignmentError, match="differs in its state key"):
        of("pruned-90", other)
    assert p.preprocess is not None
    fed = replace(before, provenance=replace(p, preprocess=replace(p.preprocess, mean=(0.5,), std=(0.5,))))
    with pytest.raises(AlignmentError, match="differs in its preprocessing"):
        of("pruned-90", fed)


def test_nothing_is_run_where_all_is_settled(tmp_path: Path) -> None:
    before = audited(recorded(tmp_path, "one", 3000))
    with pytest.raises(UsageError, match=r"every class of .* is settled"):
        audited(recorded(tmp_path, "two", 100, seed=1, at=10**6), earlier=before)


def test_ids_are_known_again_by_63_bits() -> None:
    hashes = seen(["a", "b", "a", "ä", "\udcff"])
    assert hashes[0] == hashes[2]
    assert len(set(hashes.tolist())) == 4
    assert (hashes >= 0).all()
    assert len(set(seen([str(i) for i in range(10_000)]).tolist())) == 10_000


def test_what_ended_the_drawing_is_said(tmp_path: Path) -> None:
    """Only where every class is settled is that why the run ended."""

    def said(found: Audit) -> str:
        return wording.sequential(found)[0]

    assert "until its verdict was settled: " in said(audited(recorded(tmp_path, "all", 3000)))
    few = recorded(tmp_path, "few", 60)
    assert "until its verdict was settled, or its samples ended: " in said(audited(few))
    short = audited(few, replace(SETTLED, limit=40))
    assert "until its verdict was settled, or the limit of 40 was reached: 40 of 240 " in said(short)
    unlimited = replace(short, provenance=replace(short.provenance, settings=SETTLED))
    assert "until its verdict was settled, or the run ended: 40 of 240 " in said(unlimited)
