"""Groups of options, spread into the signature that Typer sees."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import pytest
import typer
from typer.testing import CliRunner

from prune_audit import options, plugins
from prune_audit.errors import UsageError
from prune_audit.options import OfPlugins, declared, spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    PANEL: ClassVar[str] = "Sound"

    rate: Annotated[int | None, typer.Option(metavar="HZ", envvar="RATE_OF_TESTS", help="Rate.")] = None
    side: Annotated[Literal["left", "right"], typer.Option(help="Side.")] = "left"


@dataclass(frozen=True, slots=True, kw_only=True)
class Both:
    PANEL: ClassVar[str] = "Both"

    sound: Sound
    loud: Annotated[bool, typer.Option("--loud", help="Loud.")] = False
    own: Annotated[int, typer.Option(help="Own.", rich_help_panel="Its own")] = 1


SEEN: list[Any] = []


def took(context: typer.Context, name: Annotated[str, typer.Argument(help="Name.")], both: Both, last: int = 3) -> int:
    """A command."""
    SEEN[:] = [name, both, last, context.get_parameter_source("rate")]
    return 7


def ran(arguments: list[str]) -> int:
    app = typer.Typer()
    app.command()(spread(took))
    result = CliRunner().invoke(app, arguments, standalone_mode=False)
    return result.return_value if result.exception is None else 2


def test_the_command_gets_filled_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ran(["a"]) == 7
    assert SEEN[:3] == ["a", Both(sound=Sound()), 3]
    assert SEEN[3].name == "DEFAULT"
    assert ran(["a", "--rate", "5", "--side", "right", "--loud", "--own", "2", "--last", "4"]) == 7
    assert SEEN[:3] == ["a", Both(sound=Sound(rate=5, side="right"), loud=True, own=2), 4]
    assert SEEN[3].name == "COMMANDLINE"
    monkeypatch.setenv("RATE_OF_TESTS", "6")
    assert ran(["a"]) == 7
    assert SEEN[1].sound.rate == 6
    assert SEEN[3].name == "ENVIRONMENT"
    assert ran(["a", "--side", "top"]) == 2


def test_typer_sees_the_fields_in_their_place() -> None:
    assert list(inspect.signature(spread(took)).parameters) == [
        *("context", "name", "rate", "side", "loud", "own", "last"),
    ]
    assert [(each.parameter.name, each.grouped) for each in declared(took)][:3] == [
        *(("context", False), ("name", False), ("rate", True)),
    ]


def panels(command: Any) -> dict[str, Any]:
    shown = inspect.signature(spread(command)).parameters.values()
    return {each.name: each.annotation.__metadata__[0].rich_help_panel for each in shown if each.name in FLAGS}


FLAGS = ("rate", "side", "loud", "own")


def alone(sound: Annotated[Sound, "Elsewhere"]) -> None:
    """A command that shows a group elsewhere."""


def whole(both: Annotated[Both, "There"]) -> None:
    """Likewise, a group that holds another."""


def test_options_stand_under_the_heading_of_their_group_unless_a_command_moves_it() -> None:
    assert panels(took) == {"rate": "Sound", "side": "Sound", "loud": "Both", "own": "Its own"}
    assert panels(alone) == {"rate": "Elsewhere", "side": "Elsewhere"}
    assert panels(whole) == dict.fromkeys(FLAGS, "There")
    assert panels(took)["rate"] == "Sound"  # what one command moves stays where it was in others


def pruned(methods: Annotated[Mapping[str, Any], OfPlugins("pruning")]) -> None:
    """A command that takes what plugins bring."""
    SEEN[:] = [methods]


def test_plugins_bring_options_under_their_names() -> None:
    brought = {name: group for name in plugins.names("pruning") if (group := options.of_plugin("pruning", name))}
    assert brought
    shown = declared(pruned)
    assert {each.parameter.annotation.__metadata__[0].rich_help_panel for each in shown} == {
        f"Pruning: {name}" for name in brought
    }
    spread(pruned)(**{each.parameter.name: each.parameter.default for each in shown})
    assert [{name: group() for name, group in brought.items()}] == SEEN


def test_an_option_of_another_plugin_is_refused() -> None:
    groups = {"loud": Both(sound=Sound()), "quiet": Sound(rate=3)}
    assert options.chosen(groups, "quiet") == Sound(rate=3)
    assert options.chosen({"quiet": Sound()}, "none") is None
    with pytest.raises(UsageError, match="--rate is an option of quiet, and none was chosen") as told:
        options.chosen(groups, "none")
    assert told.value.hint == "leave it out, or choose quiet"
