"""Options of the command line, each declared once: as an annotated field of a frozen dataclass, a group.

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Sound:
        PANEL: ClassVar[str] = "Sound"

        sample_rate: Annotated[int | None, typer.Option(metavar="HZ", help="Rate of the sounds.")] = None

A command takes groups as it takes values, ``run(data: Path, sound: Sound)``. `spread` shows Typer their fields in place
of them and hands the command the filled groups, so that an option which several commands share, its default and its
help are written down once. A field may be a group itself. ``PANEL`` heads the options of a group in ``--help``; a
command that takes ``Annotated[Sound, "Data"]`` puts them under another heading.

A plugin may bring a group, ``OPTIONS``. A command that takes ``Annotated[Mapping[str, Any], OfPlugins("pruning")]``
gets all groups of that room, filled, by the names of their plugins, which are their headings.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache, wraps
from types import ModuleType
from typing import Annotated, Any, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

from typer.models import OptionInfo

from prune_audit import plugins
from prune_audit.errors import UsageError

Returned = TypeVar("Returned")


@dataclass(frozen=True, slots=True)
class OfPlugins:
    """Marks a parameter that takes the groups which the plugins of ``room`` bring."""

    room: str


@dataclass(frozen=True, slots=True)
class Declared:
    """An option (or an argument) of a command: the parameter that Typer sees, with the Typer ``info`` as declared."""

    parameter: inspect.Parameter
    info: Any
    grouped: bool


def spread(command: Callable[..., Returned], *, brought: bool = True) -> Callable[..., Returned]:
    """``command`` as Typer is to see it: with the options of its groups in their place.

    Without those that plugins ``brought`` no plugin is imported; the command, if it were run, would get no such groups.
    """
    own = inspect.signature(command, eval_str=True).parameters
    groups = _brought(command) if brought else {}
    taken = [each.parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in _all(command, groups)]

    @wraps(command)
    def run(**values: Any) -> Returned:
        return command(**{name: _filled(each.annotation, name, values, groups) for name, each in own.items()})

    vars(run).update(
        __signature__=inspect.signature(command, eval_str=True).replace(parameters=taken),
        __annotations__={each.name: each.annotation for each in taken},
    )
    return run


def declared(command: Callable[..., Any]) -> tuple[Declared, ...]:
    """All that ``command`` takes, in the order of ``--help``, with the fields of groups in place of the groups."""
    return tuple(_all(command, _brought(command)))


def chosen(groups: Mapping[str, Any], plugin: str) -> Any:
    """Of the ``groups`` by plugin that a command was given, that of ``plugin``; None where this has no options.

    Raises:
        UsageError: an option of another plugin was given.
    """
    return chosen_of(groups, [plugin])[plugin]


def chosen_of(groups: Mapping[str, Any], chosen: Sequence[str]) -> dict[str, Any]:
    """Of the ``groups`` by plugin that a command was given, those of the plugins that were ``chosen``.

    Raises:
        UsageError: an option of another plugin was given.
    """
    for name, group in groups.items():
        given = _changed(group)
        if given and name not in chosen:
            raise UsageError(
                f"--{given[0].replace('_', '-')} is an option of {name}, and {', '.join(chosen)} was chosen",
                hint=f"leave it out, or choose {name}",
            )
    return {name: groups.get(name) for name in chosen}


def of_plugin(room: str, name: str) -> type[Any] | None:
    """The group that the plugin ``name`` of ``room`` brings, None where it has no options of its own."""
    found: type[Any] | None = getattr(plugins.load(room, name), "OPTIONS", None)
    return found


def described(group: type[Any]) -> tuple[tuple[str, str], ...]:
    """The options of ``group`` as (``--flag METAVAR``, help), in their order."""
    return tuple((f"{flags(each)[0]} {each.info.metavar or ''}".rstrip(), each.info.help) for each in _alone(group))


def flags(each: Declared) -> tuple[str, ...]:
    """What people type for an option, the long form first."""
    given = (each.info.default, *(each.info.param_decls or ())) if isinstance(each.info, OptionInfo) else ()
    return tuple(flag for flag in given if isinstance(flag, str)) or (f"--{each.parameter.name.replace('_', '-')}",)


def _changed(group: Any) -> list[str]:
    """The fields of ``group``, and of groups within, that are not as by default."""
    found = []
    for each in fields(group):
        value = getattr(group, each.name)
        found += _changed(value) if is_dataclass(value) else [each.name] if value != each.default else []
    return found


Brought: TypeAlias = Mapping[str, Mapping[str, type[Any]]]  # room -> plugin -> its group


def _brought(command: Callable[..., Any]) -> Brought:
    """The groups of plugins that ``command`` takes, without those of other packages that say what is said already."""
    annotations = [each.annotation for each in _parameters(command)]
    taken = {name for each in _all(command, {}) for name in (each.parameter.name, *flags(each))}
    return {room: _of_plugins(room, taken) for each in annotations for room in _rooms(each)}


def _of_plugins(room: str, taken: set[str]) -> dict[str, type[Any]]:
    def ask(_: str, module: ModuleType) -> type[Any] | None:
        group: type[Any] | None = getattr(module, "OPTIONS", None)
        if group is not None:
            names = {name for each in _alone(group) for name in (each.parameter.name, *flags(each))}
            if both := sorted(names & taken):
                raise ValueError(f"its option {both[0]} is another one already")
            taken.update(names)
        return group

    return {name: group for name, group in plugins.each(room, ask).items() if group is not None}


def _rooms(annotation: Any) -> Iterator[str]:
    """The rooms whose plugins may bring groups to a parameter."""
    kind, marks = _parts(annotation)
    if room := _room(marks):
        yield room
    elif isinstance(kind, type) and is_dataclass(kind):
        for each in _hints(kind).values():
            yield from _rooms(each)


def _parameters(command: Callable[..., Any]) -> Iterable[inspect.Parameter]:
    return inspect.signature(command, eval_str=True).parameters.values()


def _all(command: Callable[..., Any], brought: Brought) -> Iterator[Declared]:
    for parameter in _parameters(command):
        yield from _flat(parameter, None, None, brought, grouped=False)


def _alone(group: type[Any]) -> Iterator[Declared]:
    """The options of ``group``, by itself."""
    parameter = inspect.Parameter("group", inspect.Parameter.KEYWORD_ONLY, annotation=group)
    return _flat(parameter, None, None, {}, grouped=True)


def _flat(
    parameter: inspect.Parameter, moved: str | None, own: str | None, brought: Brought, *, grouped: bool
) -> Iterator[Declared]:
    """``parameter`` itself, or the fields of its group, under the heading ``moved``, else under their own."""
    kind, marks = _parts(parameter.annotation)
    moved = next((mark for mark in marks if isinstance(mark, str)), moved)
    if room := _room(marks):
        for name, group in brought.get(room, {}).items():
            under = f"{room.capitalize()}: {name}"
            yield from _flat(parameter.replace(annotation=group), under, None, brought, grouped=True)
    elif isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        for each in fields(kind):
            default = inspect.Parameter.empty if each.default is MISSING else each.default
            field = inspect.Parameter(each.name, parameter.kind, default=default, annotation=hints[each.name])
            yield from _flat(field, moved, getattr(kind, "PANEL", None), brought, grouped=True)
    else:
        info = next(iter(marks), None)
        if isinstance(info, OptionInfo) and (panel := moved or info.rich_help_panel or own):
            shown = copy(info)
            shown.rich_help_panel = panel
            parameter = parameter.replace(annotation=Annotated[kind, shown])
        yield Declared(parameter, info, grouped)


def _filled(annotation: Any, name: str, values: Mapping[str, Any], brought: Brought) -> Any:
    """What the command is given for its parameter ``name``: one of the ``values``, or a group of them."""
    kind, marks = _parts(annotation)
    if room := _room(marks):
        groups = brought.get(room, {}).items()
        return {plugin: _filled(group, plugin, values, brought) for plugin, group in groups}
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        return kind(**{each.name: _filled(hints[each.name], each.name, values, brought) for each in fields(kind)})
    return values[name]


@cache
def _hints(group: type[Any]) -> dict[str, Any]:
    """The annotations of ``group``, read once, so that an option is one object wherever it is taken."""
    return get_type_hints(group, include_extras=True)


def _parts(annotation: Any) -> tuple[Any, list[Any]]:
    """The type of ``annotation``, and what it is marked with."""
    kind, *marks = get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)
    return kind, marks


def _room(marks: list[Any]) -> str | None:
    return next((mark.room for mark in marks if isinstance(mark, OfPlugins)), None)
