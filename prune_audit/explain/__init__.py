"""The story of an explanation: audit, look through lenses, and say what of it explains who lost.

Networks were trained on ``data``, and all that predicts is computed there; they are judged on the ``audited`` data,
and nothing that explains may have seen these. What is called an explanation, `rule` decides; what was shown by changing
the network and judging it again, the lens that did it says (`prune_audit.lenses.Seen.finds`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from prune_audit import audit, data, mitigations, models, plugins
from prune_audit.core import (
    HARMED,
    REGRESSED,
    Audit,
    Comparison,
    Counts,
    Dataset,
    DataSource,
    Field,
    Floats,
    Look,
    ModelSource,
    Outputs,
    Predictions,
    Recorded,
    Settings,
    Table,
    Things,
    lookup,
)
from prune_audit.errors import AlignmentError, ModelError, UsageError
from prune_audit.evaluate.cache import Store
from prune_audit.evaluate.cached_dataset import Remembered
from prune_audit.evaluate.loop import Progress
from prune_audit.explain import rule
from prune_audit.lenses import FACTORY, CannotLook, Network, Part, Seen, Subject, loss
from prune_audit.nets.editable import Editable
from prune_audit.render import rounded
from prune_audit.tasks import classification

Stages = Callable[[str], Progress | None]
GENERAL = (
    "Nothing here says what to change. What may help all the same: `prune-audit mitigate`, which trains for the "
    "classes that lost most at the same density, or more weights or epochs of `prune-audit prune`; then compare again."
)
NOBODY = "No class is shown to have lost, so no measure is called an explanation, however it ranks their losses."
RULE = "rule"  # what the table of what was tried is called among the lenses
SAME = 0.5  # share of the training samples among those audited from which both are one set of data


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked for: ``lenses`` with their options, and so many ``samples`` of each class to predict by.

    Where ``same_data`` is set, the data may be those that are audited: what is predicted is then no prediction.
    ``thumbnails`` are kept as in `prune_audit.audit.run`.
    """

    lenses: Mapping[str, Any]
    samples: int = 200
    same_data: bool = False
    thumbnails: int = 0

    def __post_init__(self) -> None:
        if self.samples < 2:
            raise UsageError(f"--samples: expected 2 or more of each class, found {self.samples}", hint="see --help")
        if not self.lenses:
            raise UsageError("no lens was chosen", hint="prune-audit list lenses")


def usual() -> tuple[str, ...]:
    """The lenses that look where nobody chose any, in the order of their rank."""
    return ranked(name for name, module in plugins.loaded("lenses") if module.DEFAULT)


def ranked(names: Any) -> tuple[str, ...]:
    """Lenses in the order of their rank."""
    return tuple(sorted(names, key=lambda name: (plugins.load("lenses", name).RANK, name)))


def besides(asked: Asked) -> dict[str, tuple[str, ModelSource]]:
    """The models that lenses look at besides, by what was typed, each with the name of the lens.

    Raises:
        UsageError: what was typed is no model.
    """
    found = {}
    for name, options in asked.lenses.items():
        module = plugins.load("lenses", name)
        for typed in module.besides(options) if hasattr(module, "besides") else ():
            found[typed] = name, models.parse(typed)
    return found


def run(
    dense: ModelSource,
    pruned: Sequence[ModelSource],
    source: DataSource,
    audited: DataSource,
    settings: Settings,
    asked: Asked,
    *,
    store: Store | None = None,
    made: Path | None = None,
    progress: Stages | None = None,
) -> Audit:
    """Audit ``pruned`` models on the ``audited`` data, and say of each why its classes suffer.

    ``source`` are the data that the networks were trained on. What ``store`` knows is not computed again. ``made`` is
    where a network is written that a lens was asked to make.

    Raises:
        UsageError: both data are the same, or there is nothing that could be looked at.
        AuditError: as `prune_audit.audit.run`.
    """
    if settings.drop_class:
        raise UsageError("--drop-class: lenses look at every output", hint="leave it out, or use compare")
    with ExitStack() as stack:
        if store is None:  # within a run nothing is predicted twice, either
            store = Store(Path(stack.enter_context(TemporaryDirectory(prefix="prune-audit-"))))
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="prune-audit-")))
        story = _Story(dense, source, audited, settings, asked, store, folder, progress or (lambda _: None))
        return story.told(pruned, made)


class _Story:
    """One run: what is loaded once, for all variants."""

    def __init__(
        self,
        dense: ModelSource,
        source: DataSource,
        audited: DataSource,
        settings: Settings,
        asked: Asked,
        store: Store,
        folder: Path,
        progress: Stages,
    ) -> None:
        # What a lens writes holds the weights that were used and no others; and the dense model is tried once.
        keys = tuple(each if "=" in each else f"{dense.name}={each}" for each in settings.state_key)
        self._dense, self._source, self._audited = dense, source, audited
        self._settings, self._again = settings, replace(settings, state_key=keys, plausibility=False)
        self._asked, self._store, self._folder, self._progress = asked, store, folder, progress
        self._known: dict[tuple[str, ModelSource], Predictions] = {}
        self._others: dict[str, tuple[Network, Outputs]] = {}
        self._chosen = [(name, plugins.load("lenses", name)) for name in ranked(asked.lenses)]

    def told(self, pruned: Sequence[ModelSource], made: Path | None) -> Audit:
        """The audit with what lenses saw of each of its variants."""
        if self._settings.threads is not None:
            import torch

            torch.set_num_threads(self._settings.threads)
        given = [models.with_factory(each, self._dense, self._settings) for each in pruned]
        pruned, taken = [source for source, _ in given], [said for _, all_said in given for said in all_said]
        networks = [_network(each, self._settings, self._store) for each in (self._dense, *pruned)]
        self._check_needs(networks)
        others = {each: self._besides(*of, networks[0]) for each, of in besides(self._asked).items()}
        expects = audit.merge(
            [(each.card.name, each.expects) for each in (*networks, *(network for _, network in others.values()))]
        )
        judged = data.load(self._audited, expects, self._settings)
        learnt = data.load(self._source, expects, self._settings)
        for dataset in (learnt, judged):
            if isinstance(dataset, Things):
                raise UsageError(
                    f"{dataset.path} holds labels for the task {dataset.task}, and lenses look at samples of one class",
                    hint="compare audits such data",
                )
        if not self._asked.same_data and learnt.fingerprint(False) == judged.fingerprint(False):
            raise _same(self._source.path, self._audited.path)
        done = audit.run(
            self._dense,
            pruned,
            judged,
            self._settings,
            store=self._store,
            progress=lambda s: self._progress(s),
            thumbnails=self._asked.thumbnails,
        )
        classes = done.comparisons[0].view().strata
        _check_classes(learnt, judged, classes)
        rows = _drawn(learnt, len(classes), self._asked.samples, self._settings.seed)
        parts = Part(name="data", dataset=Remembered(learnt, rows)), Part(name="audit", dataset=Remembered(judged))
        notes = self._overlap(parts[0], self._predicted(parts[1], [self._dense])) if not self._asked.same_data else ()
        self._others = {
            typed: (network, self._predicted(parts[1], [source]).models[0])
            for typed, (source, network) in others.items()
        }
        told = []
        for at, comparison in enumerate(done.comparisons):
            subject = self._subject(networks[0], networks[at + 1], pruned[at], comparison, parts)
            told.append(self._explained(subject, comparison))
            if made is not None:
                self._write(subject, made)
        notes = (*done.provenance.notes, *taken, *notes)
        provenance = replace(done.provenance, notes=notes, trained_on=str(self._source.path))
        return replace(done, comparisons=tuple(told), provenance=provenance)

    def _check_needs(self, networks: Sequence[Network]) -> None:
        """Refuse, before a long run, what no lens could look at."""
        if all(_closed(module.NEEDS, networks[0], each) for _, module in self._chosen for each in networks[1:]):
            raise ModelError(
                f"{', '.join(name for name, _ in self._chosen)}: {FACTORY}",
                hint="give the weights with the factory of their network, or choose lenses that need none: "
                "prune-audit list lenses",
            )

    def _besides(self, lens: str, source: ModelSource, dense: Network) -> tuple[ModelSource, Network]:
        """What ``lens`` looks at besides, built as the dense network is where it names no factory.

        Raises:
            AuditError: as `models.load`; or it is the dense network, or the lens cannot look at it.
        """
        source, _ = models.with_factory(source, self._dense, self._settings)
        network = _network(source, self._settings, self._store)
        if network.card.digest == dense.card.digest:
            raise UsageError(
                f"{source.path} and {self._dense.path} are equal files: there is nothing to look at besides",
                hint="give another network, trained by itself",
            )
        if _closed(plugins.load("lenses", lens).NEEDS, network) is not None:
            raise ModelError(f"{lens}: {_why(network)}", hint=FACTORY)
        return source, network

    def _subject(
        self,
        dense: Network,
        pruned: Network,
        source: ModelSource,
        comparison: Comparison,
        parts: tuple[Part, Part],
    ) -> Subject:
        def judged(name: str, network: Editable) -> Outputs:
            path = self._folder / f"{source.name}-{name}{source.path.suffix}"
            if not path.exists():  # a name stands for one network
                network.save(path)
            changed = replace(source, name=path.stem, path=path, column=None)
            return self._predicted(parts[1], [changed]).models[0]

        return Subject(
            dense=dense,
            pruned=pruned,
            comparison=comparison,
            data=parts[0],
            audit=parts[1],
            settings=self._settings,
            seed=self._settings.seed,
            predicted=lambda part: self._predicted(part, [self._dense, source]),
            judged=judged,
            remember=lambda _, make: make(),
            common=lambda _, make: make(),
            progress=self._progress,
            others=self._others,
        )

    def _predicted(self, part: Part, sources: Sequence[ModelSource]) -> Predictions:
        made = [self._made(part, each) for each in sources]
        return replace(made[0], models=tuple(each.models[0] for each in made))

    def _made(self, part: Part, source: ModelSource) -> Predictions:
        """What one model predicts, once a run: where it may change without a trace, nothing is kept on disk."""
        key = part.name, source
        if key not in self._known:
            # A sample was drawn of what is audited alone.
            settings = self._again if part.name == "audit" else replace(self._again, limit=None)
            self._known[key] = audit.predict(
                source,
                part.dataset,
                settings,
                store=self._store,
                progress=lambda _: self._progress(f"predicting on --{part.name}"),
            )[0]
        return self._known[key]

    def _explained(self, subject: Subject, comparison: Comparison) -> Comparison:
        looks: list[Look] = []
        seen: dict[str, Seen] = {}
        blind: dict[str, Network] = {}
        view = comparison.view()
        shared = sorted(plugins.folder("lenses").glob("_*.py"))
        common = self._remember(subject, [], shared)
        for name, module in self._chosen:
            title = plugins.help_line("lenses", name)
            if (closed := _closed(module.NEEDS, subject.dense, subject.pruned)) is not None:
                blind[name] = closed
                looks.append(Look(lens=name, title=title, absent=_why(closed)))
                continue
            file, options = Path(str(module.__file__)), self._asked.lenses[name]
            typed = module.besides(options) if hasattr(module, "besides") else ()
            more = [self._others[each][0] for each in typed]
            own = replace(
                subject,
                remember=self._remember(subject, [name, repr(options)], [file, *shared], more),
                common=common,
            )
            try:
                with plugins.blamed("lenses", name):
                    found: Seen = module.look(own, options)
            except CannotLook as nothing:
                looks.append(Look(lens=name, title=title, absent=nothing.message))
                continue
            seen[name] = found
            view = view.beside(*found.measures)
            looks.append(Look(lens=name, title=title, sentences=found.sentences, tables=found.tables))
        look, sentences = _ruled(subject, list(seen.values()), blind, same_data=self._asked.same_data)
        others = tuple(each for each in comparison.views if each.by != "class")
        return replace(
            comparison,
            views=(view, *others),
            looks=(look, *looks),
            explained=sentences,
            remedy=_remedy(subject.pruned, seen),
        )

    def _remember(
        self, subject: Subject, asked: Sequence[str], code: Sequence[Path], others: Sequence[Network] = ()
    ) -> Callable[[Sequence[object], Callable[[], Any]], Any]:
        """What keeps results by all that decides them: the networks, the data, what is ``asked`` and the ``code``.

        Networks are both, and ``others`` that a lens looks at besides.
        """
        decided: list[object] = []
        once: dict[str, Any] = {}  # of this run

        def within(unit: Sequence[object], make: Callable[[], Any]) -> Any:
            key = repr(list(unit))
            if key not in once:
                once[key] = make()
            return once[key]

        for network in (subject.dense, subject.pruned, *others):
            for part in (subject.data, subject.audit):
                identity = self._store.identity(network.card, network.expects, part.dataset, self._settings)
                if identity is None:
                    return within
                decided.append(identity)
        made_by = [hashlib.sha256(file.read_bytes()).hexdigest() for file in code]
        of = [*asked, made_by, self._asked.samples, subject.seed]

        def remember(unit: Sequence[object], make: Callable[[], Any]) -> Any:
            return self._store.remembered({"models": decided, "lens": of, "unit": list(unit)}, make)

        return remember

    def _overlap(self, learnt: Part, judged: Predictions) -> tuple[str, ...]:
        """What is to be said of samples that are in both data. Raises `UsageError` where they are the same."""
        rows = np.arange(len(learnt.labels))
        digests = np.concatenate([learnt.dataset.read(some).digests for some in np.array_split(rows, _pieces(rows))])
        both = int(np.isin(digests, judged.digests).sum())
        if both > SAME * len(digests):
            raise _same(self._source.path, self._audited.path)
        if not both:
            return ()
        return (f"{both:,} of {len(digests):,} samples of --data are among those audited: they predict themselves",)

    def _write(self, subject: Subject, made: Path) -> None:
        """Write the network that a lens was asked to make."""
        for name, module in self._chosen:
            if hasattr(module, "make"):
                network: Editable | None = module.make(subject, self._asked.lenses[name])
                if network is not None:
                    network.save(made)
                    return
        raise UsageError(f"{made}: no lens was asked to make a network", hint="see the options of the lenses")


def _network(source: ModelSource, settings: Settings, store: Store) -> Network:
    """The network at ``source``, which cannot be looked into where its format cannot be changed."""
    loaded = models.load(source, settings, store)
    if isinstance(loaded, Recorded):
        raise UsageError(
            f"{source.path} holds predictions that were made elsewhere, and lenses look into networks",
            hint="give the model itself; predictions can be audited with compare",
        )
    editable = models.editable(source, settings) if models.can_be_edited(source) else None
    return Network(card=loaded.card, expects=loaded.expects, editable=editable)


def _remedy(pruned: Network, seen: Mapping[str, Seen]) -> tuple[str, ...]:
    """The options with which `prune-audit mitigate` is proposed for ``pruned``; none where it cannot change that."""
    if pruned.editable is None:
        return ()
    found = [name for name, each in seen.items() if each.finds]
    return mitigations.proposed(found, runs=pruned.editable.classifier is not None)


def _closed(need: str, *networks: Network) -> Network | None:
    """The first of ``networks`` that a lens with this ``need`` cannot look into, None where it can into all."""
    for network in networks:
        if need == "gradients" and (network.editable is None or network.editable.classifier is None):
            return network
    return None


def _why(closed: Network) -> str:
    return f"{closed.card.name} is {closed.card.format}, and this lens {FACTORY}"


def _same(source: Path, audited: Path) -> UsageError:
    return UsageError(
        f"--data {source} and --audit {audited} are the same samples: what is predicted on them would be no prediction",
        hint="give --data what the networks were trained on and --audit other samples, or --same-data to do it anyway",
    )


def _check_classes(learnt: Dataset, judged: Dataset, classes: tuple[str, ...]) -> None:
    if learnt.classes == judged.classes or (learnt.indexed and learnt.classes == classes[: len(learnt.classes)]):
        return
    raise AlignmentError(
        f"--data has the classes {rounded.listed(learnt.classes)}, --audit has {rounded.listed(judged.classes)}",
        hint="both must have the same classes, in the order of the model's outputs: --classes FILE",
    )


def _drawn(dataset: Dataset, classes: int, most: int, seed: int) -> Counts:
    """The rows of up to ``most`` samples of each class."""
    generator, whole = np.random.default_rng(seed), Part(name="data", dataset=dataset)
    rows = [generator.permutation(whole.of(position))[:most] for position in range(classes)]
    return np.sort(np.concatenate(rows))


def _pieces(rows: Counts) -> int:
    return max(1, len(rows) // 256)


# ------------------------------------------------------------------------------------------------- what explains it


def _ruled(
    subject: Subject, seen: Sequence[Seen], blind: Mapping[str, Network], *, same_data: bool
) -> tuple[Look, tuple[str, ...]]:
    """What was tried as an explanation, as a section of its own, and the sentences with which a report opens.

    ``blind`` are the lenses that could not look, by name, each with the network that is closed to it.
    """
    outcome, measured = _outcome(subject)
    # Which losses are ranked depends on all classes together and on no account, so that the p of `rule` holds.
    for left in (each.left for each in seen if each.left is not None):
        outcome, measured = np.array([np.nan if v is None else float(v) for v in left.values]), left.title
    # On the samples that are judged, what is predicted is known already.
    accounts = [a for each in seen for a in each.accounts if not (a.of_samples and same_data)]
    tried = rule.tried(accounts, outcome, subject.seed) if accounts else ()
    lost = _lost(subject)
    named = [each for each in tried if each.named and lost]  # what nobody lost needs no explanation
    finds = [said for each in seen for said in each.finds]
    excludes = [said for each in seen for said in each.excludes]
    steps = [said for each in seen for said in each.steps]
    steps += [each.account.step for each in named if each.account.step is not None][:1]
    who = _who(subject, lost)
    ranked = _ranked(named, tried, accounts, outcome, measured) if lost else NOBODY
    nothing = () if finds or named or not lost else ("Nothing that was measured here explains who lost.",)
    table = Table(
        name="tried",
        title="What was tried as an explanation",
        fields=(
            Field(name="measure", title="measure", unit="label"),
            Field(name="rho", title="rank correlation", unit="ratio", meaning=f"of its ranks with those of {measured}"),
            Field(
                name="p", title="p", unit="p", meaning="chance that any of these would rank the classes so well by luck"
            ),
            Field(name="verdict", title="verdict", unit="label"),
        ),
        rows=tuple(
            (each.account.title, each.rho, each.p, "explains" if each in named else _failed(each)) for each in tried
        ),
    )
    look = Look(
        lens=RULE,
        title="Does anything that was measured before rank the classes as they lost?",
        sentences=(ranked,),
        tables=(table,) if tried else (),
    )
    regressed = lookup.those(subject.view, "verdict", [REGRESSED])
    return look, (
        who,
        *finds,
        *([ranked] if named else nothing),
        *excludes,
        *_unseen(blind),
        *((steps or [GENERAL]) if regressed else ()),
    )


def _unseen(blind: Mapping[str, Network]) -> tuple[str, ...]:
    """Which lenses could not look, and in which form they could: what nobody looked at explains nothing."""
    if not blind:
        return ()
    formats = dict.fromkeys(f"{network.card.name} is {network.card.format}" for network in blind.values())
    return (
        f"Not looked through: {rounded.listed(list(blind))}, since {' and '.join(formats)}. What asks for gradients "
        "takes both networks as WEIGHTS@module:factory.",
    )


def _failed(tried: rule.Tried) -> str:
    return "explains nothing: those lost less" if tried.opposed else "explains nothing"


def _outcome(subject: Subject) -> tuple[Floats, str]:
    """What happened to each class (C,) on the audited samples, and what that is called; NaN where there are none."""
    predictions = subject.predicted(subject.audit)
    before, after = (loss(outputs) for outputs in predictions.models)
    if before is not None and after is not None:
        rose, measured = after - before, "their excess loss"
    else:
        right = [classification.right(each.predicted, predictions.labels).astype(float) for each in predictions.models]
        rose, measured = right[0] - right[1], "their drop of recall"
    sums = np.bincount(predictions.labels, rose, len(subject.classes))
    counts = np.bincount(predictions.labels, minlength=len(subject.classes))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(counts > 0, sums / counts, np.nan), measured


def _lost(subject: Subject) -> dict[int, float]:
    """The classes that are shown to have lost, each with the change of its recall, the largest loss first."""
    view = subject.view
    shown = (*lookup.those(view, "verdict", [REGRESSED]), *lookup.those(view, "distortion", HARMED))
    lost = {i: moved for i in shown if isinstance(moved := lookup.moves(view)[i], float | int)}
    return dict(sorted(lost.items(), key=lambda each: each[1]))


def _who(subject: Subject, lost: Mapping[int, float]) -> str:
    """Which classes lost, the most first."""
    view, order = subject.view, list(lost)
    if not order:
        return f"No class of {subject.pruned.card.name} is shown to have lost: there is little to explain."
    regressed = lookup.those(view, "verdict", [REGRESSED])
    told = rounded.listed([f"{view.strata[i]} ({rounded.points(lost[i])})" for i in order])
    return (
        f"{subject.pruned.card.name} lost {told}, in points of recall: "
        f"{len(regressed)} of {len(view.strata)} classes regressed."
    )


def _ranked(
    named: Sequence[rule.Tried],
    tried: Sequence[rule.Tried],
    accounts: Sequence[Any],
    outcome: Floats,
    measured: str,
) -> str:
    known = int(np.isfinite(outcome).sum())
    if known < rule.LEAST:
        return (
            f"With {known} classes no measure is called an explanation: ranks of fewer than {rule.LEAST} agree by luck."
        )
    if not accounts:
        return "No lens that looked gives a number for each class that could explain who lost."
    if not tried:
        return "No measure has a number for enough classes, or none differs between them: nothing can be ranked."
    best = tried[0]
    of = f"the best of {len(tried)} measures" if len(tried) > 1 else "the only measure"
    luck = f"rank correlation {best.rho:.2f}, p {rounded.probability(best.p)} for {of}"
    if not named:
        title = best.account.title[0].lower() + best.account.title[1:]
        which = "the best" if len(tried) > 1 else "all that was tried"
        return f"No measure ranks the classes by {measured} beyond luck: {which} is {title} ({luck})."
    which = "higher" if best.rho > 0 else "lower"
    return (
        f"{best.account.title} ranks the classes by {measured}: those with a {which} one lost more ({luck}). It was "
        f"computed without the samples that were audited; an order is no proof of a cause."
    )
