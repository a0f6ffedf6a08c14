"""What a study is to run, read from a TOML file; everything in it that is not understood is an error.

Keys are those of the command line of `prune-audit prune`, and what is left out is what is left out there. A key that
was misspelt would start hours of another study than was meant, so unknown keys and impossible values are refused with
the file, the line and the key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType, UnionType
from typing import Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

from prune_audit import data, models, plugins, spelling
from prune_audit.choices import Scope
from prune_audit.core import DataSource, ModelSource, Preprocess
from prune_audit.errors import AuditError, StudyError
from prune_audit.files import elsewhere, parse, regular
from prune_audit.files.toml_lines import Key, line_of, lines
from prune_audit.mitigate import CONTROLS
from prune_audit.nets.train_loop import Training
from prune_audit.prune import Recipe
from prune_audit.pruning import schedules
from prune_audit.study.contrasts import Contrasts

T = TypeVar("T")

SEEDS = 10_000
"""More are a slip of the hand: each is a training."""
SEED = "{seed}"  # what stands for it in the path of a checkpoint
HINT = "docs/study.md shows a whole file"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_KEYS = ("title", "seeds", "densities", "methods", "networks", "data", "training", "tuning", "pruning", "contrasts")
# What people type, as on the command line -> the field that it is.
_TYPED = {"hold-out": "held_out", "steps": "rounds", "score-samples": "samples"}
_OF_METHOD = ("name", "densities", "mitigate")
_DATA = ("train", "audit", "long-tail")


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One level of the factor network: a ``factory``, whose networks are trained, or a ``model`` as the command line
    takes it, with ``{seed}`` in the path, for checkpoints that are there."""

    name: str
    factory: str | None = None
    model: str | None = None

    def checkpoint(self, seed: int) -> ModelSource:
        """Where the dense network of ``seed`` is, if it is given."""
        assert self.model is not None  # asked only of such
        place, at, factory = self.model.partition("@")
        return models.parse(f"{place.replace(SEED, str(seed))}{at}{factory}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One level of the factor method: a ``recipe``, whose density and seed each run sets, at ``densities``, the
    densest first. What comes of it is mended by ``mitigate``, a mitigation or one of its controls, where one is named.
    """

    name: str
    recipe: Recipe
    densities: tuple[float, ...]
    mitigate: str | None = None

    def at(self, density: float, seed: int) -> Recipe:
        """How the run at ``density`` and ``seed`` prunes."""
        return replace(self.recipe, density=density, training=replace(self.recipe.training, seed=seed))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All runs of a study, and the ``contrasts`` it announces. ``long_tail`` is how many times as many training samples
    the first class keeps as the last one."""

    title: str
    seeds: tuple[int, ...]
    methods: tuple[Method, ...]
    networks: tuple[Network, ...]
    train: DataSource
    audit: DataSource
    long_tail: float | None = None
    training: Training = field(default_factory=Training)
    contrasts: Contrasts | None = None

    def cells(self) -> set[tuple[str, int, str, float]]:
        """Network, seed, method and density of every run."""
        return {
            (network.name, seed, method.name, density)
            for network in self.networks
            for seed in self.seeds
            for method in self.methods
            for density in method.densities
        }


def read(path: Path, *, train: Path | None = None, audit: Path | None = None) -> Plan:
    """The study that the TOML file at ``path`` plans. Its paths are relative to its folder; ``train`` and ``audit``
    take the place of those that it names.

    Raises:
        StudyError: the file is missing, is no TOML, or holds what is not understood.
    """
    file = _File.read(path)
    file.known((), _KEYS)
    if not file.table.get("networks"):
        file.refuse("a study needs networks, as a table of names and factories; found none", "networks")
    title = file.table.get("title", path.stem)
    if not isinstance(title, str):
        file.refuse(f"expected text, found {title!r}", "title")
    networks = tuple(_network(file, name) for name in file.under("networks"))
    training = file.filled(Training, ("training",), leaves=("seed",))
    if not training.epochs and any(network.factory for network in networks):
        file.refuse(
            "networks of a factory start from nothing and have to be trained: expected epochs, found none", "training"
        )
    long_tail = file.table.get("data", {}).get("long-tail")
    if long_tail is not None and not (_is(float, long_tail) and long_tail >= 1):
        file.refuse(f"expected a number from 1 on, found {long_tail!r}", "data", "long-tail")
    methods = _methods(file)
    return Plan(
        title=title,
        seeds=_seeds(file),
        methods=methods,
        networks=networks,
        train=_source(file, "train", train),
        audit=_source(file, "audit", audit),
        long_tail=long_tail,
        training=training,
        contrasts=_contrasts(file, methods),
    )


@dataclass(frozen=True, slots=True)
class _File:
    """A plan: what it holds, and where."""

    path: Path
    table: Mapping[str, Any]
    lines: Mapping[Key, int]

    @classmethod
    def read(cls, path: Path) -> _File:
        try:
            text = regular.text(path)
            return cls(path, parse.toml(text), lines(text))
        except OSError as fault:
            hint = f"{elsewhere.meant(path)}name a TOML file"
            raise StudyError(f"{path} cannot be read: {fault.strerror}", hint=hint) from fault
        except ValueError as fault:  # no TOML, or no text
            raise StudyError(f"{path}: expected TOML, found an error: {fault}", hint=HINT) from fault

    def refuse(self, what: str, *key: str | int, hint: str = HINT) -> NoReturn:
        line = line_of(self.lines, key)
        at = str(self.path) if line is None else f"{self.path}:{line}"
        named = ".".join(map(str, key))
        raise StudyError(f"{at}: {named}: {what}" if named else f"{at}: {what}", hint=hint)

    def known(self, key: tuple[str | int, ...], names: tuple[str, ...], table: Mapping[str, Any] | None = None) -> None:
        """Refuse what is none of ``names`` in ``table``, or in the whole file."""
        for name in self.table if table is None else table:
            if name not in names:
                said = f"unknown; known are {', '.join(names)}"
                self.refuse(said, *key, name, hint=f"{spelling.meant(name, names)}{HINT}")

    def under(self, name: str) -> Mapping[str, Any]:
        """The table called ``name``, empty where there is none."""
        found = self.table.get(name, {})
        if not isinstance(found, dict):
            self.refuse(f"expected a table [{name}], found {found!r}", name)
        return found

    def filled(
        self,
        cls: Callable[..., T],
        key: tuple[str | int, ...],
        *,
        table: Mapping[str, Any] | None = None,
        leaves: tuple[str, ...] = (),
        others: tuple[str, ...] = (),
        given: Mapping[str, object] = MappingProxyType({}),
    ) -> T:
        """The dataclass ``cls`` from ``table``, or from the table at ``key``, whose keys are the names of its fields.

        Fields in ``leaves`` cannot be set, ``others`` are keys that somebody else reads, and ``given`` is set already.
        """
        table = self.under(str(key[0])) if table is None else table
        hints = get_type_hints(cls)
        back = {name: typed for typed, name in _TYPED.items()}
        typed = {back.get(f.name, f.name.replace("_", "-")): f.name for f in fields(cls)}  # type: ignore[arg-type]
        names = tuple(t for t, name in typed.items() if name not in leaves)
        self.known(key, (*names, *others), table)
        values = dict(given)
        for name in names:
            if name in table:
                try:
                    values[typed[name]] = _value(hints[typed[name]], table[name], self.path.parent)
                except TypeError:
                    said = f"expected {_called(hints[typed[name]])}, found {table[name]!r}"
                    self.refuse(said, *key, name)
        try:
            return cls(**values)
        except AuditError as fault:
            self.refuse(fault.message, *key, hint=fault.hint)


# ---------------------------------------------------------------------------------------------------------- its parts


def _seeds(file: _File) -> tuple[int, ...]:
    found = file.table.get("seeds", 5)
    seeds = range(min(found, SEEDS + 1)) if _is(int, found) else found
    wrong = not isinstance(seeds, list | range) or not all(_is(int, seed) and seed >= 0 for seed in seeds)
    if wrong or not seeds or len(seeds) > SEEDS or len({*seeds}) < len(seeds):
        file.refuse(
            f"expected how many, or a list of different numbers from 0 on, {SEEDS:,} at most, found {found!r}", "seeds"
        )
    return tuple(seeds)


def _densities(file: _File, found: object, *key: str | int) -> tuple[float, ...]:
    fine = isinstance(found, list) and all(_is(float, each) and 0 < each <= 1 for each in found)
    if not isinstance(found, list) or not found or not fine or len({*found}) < len(found):
        file.refuse(f"expected a list of different shares of weights to keep, in (0, 1], found {found!r}", *key)
    return tuple(sorted(map(float, found), reverse=True))


def _network(file: _File, name: str) -> Network:
    what = file.under("networks")[name]
    if not _NAME.fullmatch(name):
        file.refuse("expected a name of letters, digits, '.', '_' and '-'", "networks", name)
    place, at, factory = what.partition("@") if isinstance(what, str) else ("", "", "")
    if not isinstance(what, str) or not (SEED in place or models.is_factory(what)):
        file.refuse(
            f"expected package.module:factory(arguments), or a model with {SEED} in its path, found {what!r}",
            *("networks", name),
            hint='lenet5 = "prune_audit.networks:lenet5(10)", or mine = "dense/{seed}.pth@nets:mine"',
        )
    if SEED not in place:
        return Network(name=name, factory=what)
    return Network(name=name, model=f"{file.path.parent / place}{at}{factory}")


def _methods(file: _File) -> tuple[Method, ...]:
    of_all = _densities(file, file.table.get("densities"), "densities")
    found = file.table.get("methods")
    if not isinstance(found, list) or not found:
        file.refuse(f"expected a list of names or tables, found {found!r}", "methods")
    tuning = file.filled(Training, ("tuning",), leaves=("seed",))
    cuts = file.under("pruning")
    file.filled(_Cuts, ("pruning",))  # so that what is wrong there is said to be there
    _check_schedule(file, cuts, "pruning")
    methods: list[Method] = []
    for n, each in enumerate(found):
        table = {"name": each} if isinstance(each, str) else each
        if not isinstance(table, dict) or not isinstance(table.get("name"), str):
            file.refuse(f"expected a name, or a table with a name, found {each!r}", "methods", n)
        name = table["name"]
        if not _NAME.fullmatch(name) or name in [method.name for method in methods]:
            file.refuse(f"expected another name of letters, digits, '.', '_' and '-', found {name!r}", "methods", n)
        densities = of_all
        if "densities" in table:
            densities = _densities(file, table["densities"], "methods", n, "densities")
        _check_schedule(file, table, "methods", n)
        own = {"method": name} | dict(cuts) | table
        leaves, start = ("density", "training", "options", "allocate"), {"density": densities[0], "training": tuning}
        recipe = file.filled(Recipe, ("methods", n), table=own, leaves=leaves, others=_OF_METHOD, given=start)
        known = plugins.names("pruning")
        if recipe.method not in known:
            file.refuse(f"no method {recipe.method!r}", "methods", n, hint=spelling.hint(recipe.method, known))
        for density in densities:
            try:
                replace(recipe, density=density)
            except AuditError as fault:
                file.refuse(fault.message, "methods", n, hint=fault.hint)
        methods.append(Method(name=name, recipe=recipe, densities=densities, mitigate=_mitigation(file, table, n)))
    return tuple(methods)


def _contrasts(file: _File, methods: Sequence[Method]) -> Contrasts | None:
    """What is announced, of methods that are run at that density."""
    if "contrasts" not in file.table:
        return None
    found = file.under("contrasts")
    for name in ("outcome", "against", "methods", "density"):
        if name not in found:
            file.refuse(f"expected {name}, found none", "contrasts")
    asked = file.filled(Contrasts, ("contrasts",))
    run = {method.name for method in methods if asked.density in method.densities}
    for name in (asked.against, *asked.methods):
        if name not in run:
            said = f"no method {name!r} is run at {asked.density:g}"
            file.refuse(said, "contrasts", hint=spelling.hint(name, sorted(run)))
    return asked


def _mitigation(file: _File, table: Mapping[str, Any], n: int) -> str | None:
    """What the method ``n`` is mended by."""
    found, known = table.get("mitigate"), (*plugins.names("mitigations"), *CONTROLS)
    if found is not None and found not in known:
        hint = f"{spelling.meant(str(found), known)}{HINT}"
        file.refuse(f"expected one of {', '.join(known)}, found {found!r}", "methods", n, "mitigate", hint=hint)
    return found


def _check_schedule(file: _File, table: Mapping[str, Any], *key: str | int) -> None:
    found, known = table.get("schedule"), schedules()
    if isinstance(found, str) and found not in known:
        hint = f"{spelling.meant(found, known)}{HINT}"
        file.refuse(f"expected one of {', '.join(known)}, found {found!r}", *key, "schedule", hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cuts:
    """What [pruning] may say for all methods: fields of `Recipe`."""

    scope: Scope = "global"
    exempt: tuple[str, ...] = ()
    pattern: str | None = None
    schedule: str | None = None
    rounds: int = 10
    samples: int | None = None
    recalibrate: bool = False


def _source(file: _File, which: str, instead: Path | None) -> DataSource:
    table = dict(file.under("data"))
    path = instead
    if path is None:
        if not isinstance(table.get(which), str):
            option = {"train": "--data", "audit": "--audit"}[which]
            file.refuse(f"expected the path of labelled data, found {table.get(which)!r}", "data", which,
                        hint=f"name it in the file, or give {option}")  # fmt: skip
        path = file.path.parent / table[which]
    images = table.pop("preprocess", {})
    if not isinstance(images, dict):
        file.refuse(f"expected a table [data.preprocess], found {images!r}", "data", "preprocess")
    asked = file.filled(Preprocess, ("data", "preprocess"), table=images, leaves=("name",), others=("preset",))
    try:
        preprocess = data.preprocess(images.get("preset"), asked)
    except AuditError as fault:
        file.refuse(fault.message, "data", "preprocess", "preset", hint=fault.hint)
    given = {"path": path, "preprocess": preprocess}
    return file.filled(DataSource, ("data",), table=table, leaves=("path", "preprocess"), others=_DATA, given=given)


# --------------------------------------------------------------------------------------------------------------- types


def _is(hint: object, value: object) -> bool:
    """Whether a value of TOML is of a plain type; a whole number is a number, true and infinity are none."""
    if isinstance(value, bool):
        return hint is bool
    if isinstance(value, int | float) and not abs(value) <= parse.MOST:
        return False  # what no column holds, and NaN
    return isinstance(value, (int, float) if hint is float else hint)  # type: ignore[arg-type]


def _value(hint: Any, value: Any, folder: Path) -> Any:
    """``value`` of TOML as the type ``hint``, paths from ``folder`` on. Raises `TypeError` where it is none."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        for each in inner:
            try:
                return _value(each, value, folder)
            except TypeError:
                continue
        raise TypeError
    if origin is Literal:
        if value in inner:
            return value
        raise TypeError
    if origin is tuple:
        endless = inner[-1] is Ellipsis
        if not isinstance(value, list) or not (endless or len(value) == len(inner)):
            raise TypeError
        return tuple(_value(inner[0], each, folder) for each in value)
    if hint is Path and isinstance(value, str):
        return folder / value
    if hint in (int, float, str, bool) and _is(hint, value):
        return float(value) if hint is float else value
    raise TypeError


def _called(hint: Any) -> str:
    """A type in words."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_called(each) for each in inner if each is not type(None)))
    if origin is Literal:
        return f"one of {', '.join(map(str, inner))}"
    if origin is tuple:
        many = "a list of" if inner[-1] is Ellipsis else f"a list of {len(inner)}"
        plural = {int: "whole numbers", float: "numbers", str: "texts"}
        return f"{many} {plural.get(inner[0], str(inner[0]))}"
    return {int: "a whole number", float: "a number", str: "text", bool: "true or false", Path: "a path"}[hint]
