"""Every plugin of every room keeps its room's contract, because it is in the folder.

A type checker cannot see modules that arrive at run time, so this is what makes a folder safe as a registry.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from typer.models import OptionInfo

from prune_audit import from_predictions, options, plugins, reports
from prune_audit.cli import _app
from prune_audit.core import DataSource, Distortion, Outputs, Predictions, RuleSetting, Settings, Verdict
from prune_audit.lenses import Need
from tests.conftest import ROOT

# room -> function -> parameter names
CONTRACTS: dict[str, dict[str, tuple[str, ...]]] = {
    "models": {"recognises": ("path",), "load": ("source", "settings")},
    "data": {"recognises": ("source",), "load": ("source", "expects", "settings")},
    "stats": {"measure": ("pair", "settings")},
    "rules": {"check": ("comparison", "setting")},
    "reports": {"render": ("audit",)},
    "charts": {"draw": ("audit",)},
    "lenses": {"look": ("subject", "options")},
    "pruning": {"score": ("model", "names", "batches", "settings")},  # or, in its place, `UPDATE`
    "mitigations": {"objective": ("known", "asked")},  # or, in its place, `MEND`
    "tasks": {"right_of": ("predictions", "model"), "samples": ("predictions", "by", "cluster")},
    "runners": {"run": ("parts", "read", "tasks", "take", "workers")},
    "logs": {"ready": (), "log": ("audit", "files")},
}
UPDATE: dict[str, tuple[str, ...]] = {"update": ("model", "masks", "density", "batches", "settings")}
MEND: dict[str, tuple[str, ...]] = {"mend": ("subject", "asked")}
PLUGINS = [(room, name) for room in plugins.ROOMS for name in plugins.names(room)]


def test_every_room_has_a_contract_and_plugins() -> None:
    assert set(CONTRACTS) == set(plugins.ROOMS)
    assert {room for room, _ in PLUGINS} == set(plugins.ROOMS)


@pytest.mark.parametrize(("room", "name"), PLUGINS)
def test_functions_and_signatures(room: str, name: str) -> None:
    module = plugins.load(room, name)
    functions = UPDATE if room == "pruning" and not hasattr(module, "score") else CONTRACTS[room]
    if room == "mitigations" and not hasattr(module, "objective"):
        functions = MEND
    if room == "runners" and hasattr(module, "OPTIONS"):
        functions = {"run": (*functions["run"], "options")}
    for function, parameters in functions.items():
        signature = inspect.signature(getattr(module, function))
        # What all tasks share takes the meaning of right behind these.
        assert tuple(signature.parameters)[: len(parameters) if room == "tasks" else None] == parameters
        assert signature.return_annotation is not inspect.Signature.empty


@pytest.mark.parametrize(("room", "name"), PLUGINS)
def test_first_docstring_line_is_a_help_line(room: str, name: str) -> None:
    line = plugins.help_line(room, name)
    assert 10 <= len(line) <= 120
    assert line[-1] in ".?"


@pytest.mark.parametrize(("room", "name"), PLUGINS)
def test_every_plugin_has_its_test(room: str, name: str) -> None:
    assert (ROOT / "tests" / room / f"test_{name.replace('-', '_')}.py").is_file()


def test_constants_of_the_rooms() -> None:
    for room in ("stats", "charts", "lenses"):
        ranks = [module.RANK for _, module in plugins.loaded(room)]
        assert all(isinstance(rank, int) for rank in ranks)
        assert len(set(ranks)) == len(ranks)
    for _, module in plugins.loaded("rules"):
        assert isinstance(module.DEFAULT, RuleSetting)
        assert getattr(module, "SETTING", "margin") in Settings.__dataclass_fields__
    for _, module in plugins.loaded("lenses"):
        assert module.NEEDS in get_args(Need)
        assert isinstance(module.DEFAULT, bool)
    for _, module in plugins.loaded("pruning"):
        assert isinstance(module.NEEDS_DATA, bool)
        assert hasattr(module, "score") != hasattr(module, "update")
        assert isinstance(getattr(module, "STRAIGHT_THROUGH", False), bool)
    for _, module in plugins.loaded("mitigations"):
        assert hasattr(module, "objective") != hasattr(module, "mend")
        assert all(getattr(module, name, 1.0) > 0 for name in ("STEP", "TOLERANCE"))
    suffixes = [suffix for _, module in plugins.loaded("reports") for suffix in module.SUFFIXES]
    assert all(suffix.startswith(".") for suffix in suffixes)
    assert len(set(suffixes)) == len(suffixes)


def test_a_model_file_is_recognised_by_exactly_one_plugin(sample_models: Path) -> None:
    files = [path for path in sorted(sample_models.iterdir()) if path.is_file() and path.suffix != ".py"]
    assert len(files) >= 9
    for path in files:
        assert len([name for name, module in plugins.loaded("models") if module.recognises(path)]) == 1, path


def test_data_are_recognised_by_exactly_one_plugin(sample_models: Path) -> None:
    assert [n for n, module in plugins.loaded("data") if module.recognises(DataSource(path=sample_models / "val"))] == [
        "image-folder"
    ]


COMMANDS = {name: importlib.import_module(f"prune_audit.cli.{name}").run for name in _app.commands()}
# What means another thing in another command, and in how many ways.
MEANINGS = {
    "--output": 8,
    "--method": 2,
    "--dialect": 2,
    "--data": 5,
    "--audit": 3,
    "--seed": 3,
    "--batch-size": 2,
    "--classes": 2,
    "--limit": 2,
    "--robust-samples": 2,
    "--by": 4,
}
OWN = 10  # options and arguments that a command may have beside those of its groups


def test_every_option_is_declared_once() -> None:
    declared = dict[str, set[int]]()
    for run in COMMANDS.values():
        for each in options.declared(run):
            if isinstance(each.info, OptionInfo):
                declared.setdefault(options.flags(each)[0], set()).add(id(each.info))
    assert {flag: len(times) for flag, times in declared.items() if len(times) > 1} == MEANINGS


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_in_plain_words_what_it_is(name: str) -> None:
    for each in options.declared(COMMANDS[name]):
        if each.info is not None:
            said = each.info.help or ""
            assert len(said) >= 15, each.parameter.name
            assert said.endswith("."), each.parameter.name
            assert said[0].isupper() or ":" in said or "-" in said.split()[0], each.parameter.name


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_few_options_of_its_own(name: str) -> None:
    """Of compare's 72 options 68 stand in groups; a command with more than a few of its own lacks a group."""
    shown = [each for each in options.declared(COMMANDS[name]) if each.info is not None]
    assert sum(not each.grouped for each in shown) <= OWN


def test_options_of_plugins_are_groups_that_help_can_show() -> None:
    for room, name in PLUGINS:
        group = getattr(plugins.load(room, name), "OPTIONS", None)
        if group is not None:
            assert dataclasses.is_dataclass(group)
            assert vars(group)["__dataclass_params__"].frozen
            assert all(field.default is not dataclasses.MISSING for field in dataclasses.fields(group))


# Where a method of pruning may be named: as a default, or as an example in a help text.
# Words of their own: looked for as whole texts alone, and "random" not at all, which is a kind of operator, too.
PLAIN = ("basis", "gradient", "magnitude", "random")
NAMING = {("prune_audit/cli/_pruning_options.py", "undecayed"), ("prune_audit/cli/_pruning_options.py", "magnitude")}


@cache
def texts() -> tuple[tuple[str, str, str], ...]:
    """Every text in the code, with the room and the file that it stands in."""
    return tuple(
        (file.parent.name, file.relative_to(ROOT).as_posix(), node.value)
        for file in (ROOT / "prune_audit").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def texts_outside(room: str) -> Iterator[tuple[str, str]]:
    """Every text in the code that is in no file of ``room``, with the file that it stands in."""
    return ((where, text) for own, where, text in texts() if own != room)


def test_no_method_of_pruning_is_named_outside_its_file() -> None:
    found = set()
    for where, text in texts_outside("pruning"):
        for name in plugins.names("pruning"):
            rare = name not in PLAIN and re.search(rf"\b{name}\b", text)
            if rare or text == name != "random":
                found.add((where, name))
    assert found <= NAMING, found - NAMING


def test_no_mitigation_is_named_outside_its_file_but_in_an_example() -> None:
    found = set()
    for where, text in texts_outside("mitigations"):
        for name in plugins.names("mitigations"):
            # Of words of their own the whole text alone; others are looked for within texts.
            if text == name or ("-" in name and name in text):
                found.add((where, name))
    assert found == {("prune_audit/cli/mitigate.py", "equal-loss")}


# Lenses that are called by words which mean other things elsewhere: options, columns, controls, what allocates.
WORDS = {"layers", "limit", "recalibrated", "regions", "weights"}
# The runner that is the default, and a number of threads.
STANDARD = {"prune_audit/cli/_options.py", "prune_audit/core/requests.py", "prune_audit/document/__init__.py"}


def test_no_lens_and_no_runner_is_named_outside_its_file_but_as_a_default() -> None:
    found = set()
    for room in ("lenses", "runners"):
        names = set(plugins.names(room)) - WORDS
        found |= {(where, text) for where, text in texts_outside(room) if text in names}
    library = ("prune_audit/models/_factory.py", "ray")  # among the libraries that no factory shadows
    assert found == {*((where, "threads") for where in STANDARD), library}


HEAVY = ("torch", "onnx", "onnxruntime", "pandas", "scipy", "pyarrow", "PIL", "vl_convert")


def modules_after(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    return set(done.stderr.split())


def private_imports(package: Path) -> set[str]:
    """Of the modules under ``package``, those that import a module of another room whose name begins with _."""
    found = set()
    for file in package.rglob("*.py"):
        inside = (package.name, *file.relative_to(package).parts[:-1])
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith(package.name):
                continue
            for parts in [(*str(node.module).split("."), alias.name) for alias in node.names]:
                hidden = next((i for i, part in enumerate(parts) if part.startswith("_") and part[1:2] != "_"), None)
                if hidden is not None and parts[:hidden] != inside[:hidden]:
                    found.add(f"{file.relative_to(package)}: {'.'.join(parts)}")
    return found


def test_no_module_imports_what_another_room_keeps_to_itself() -> None:
    assert not private_imports(ROOT / "prune_audit")


def test_an_import_of_what_another_room_keeps_to_itself_is_seen(tmp_path: Path) -> None:
    (tmp_path / "house" / "kitchen").mkdir(parents=True)
    (tmp_path / "house" / "kitchen" / "_oven.py").write_text("from house.kitchen._pans import PAN\n")
    (tmp_path / "house" / "bath.py").write_text("def wash():\n    from house.kitchen import _oven\n")
    assert private_imports(tmp_path / "house") == {"bath.py: house.kitchen._oven"}


def test_verdicts_are_named_once() -> None:
    """What measures, judges and draws takes the words from the nouns; only what explains them to people spells them."""
    words = {*get_args(Verdict), *get_args(Distortion)} - {"harmed", "flipped"}  # which are a rule and a count, too
    spelt = {
        (file.parent.name, file.name, node.value)
        for room in ("stats", "rules", "render", "charts")
        for file in (ROOT / "prune_audit" / room).glob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Constant) and node.value in words
    }
    own = {("stats", "distortion.py", word) for word in ("levelled down", "held better", "no harm shown")}
    assert spelt == own  # what describes and is no finding


# Commands whose options are those of plugins that compute with numpy as soon as they are imported.
COMPUTING = {"explain", "mitigate"}


def test_help_imports_nothing_heavy() -> None:
    """That of no command, those that are new among them; all of them in one process, since what is loaded stays."""
    light = sorted(COMMANDS.keys() - COMPUTING)
    asked = [["--help"], *([name, "--help"] for name in light)]
    loaded = modules_after(f"from prune_audit.cli import invoke\nfor each in {asked}: assert invoke(each) == 0")
    assert "typer" in loaded
    assert loaded.isdisjoint({*HEAVY, "numpy"})
    asked = [[name, "--help"] for name in COMPUTING]
    loaded = modules_after(f"from prune_audit.cli import invoke\nfor each in {asked}: assert invoke(each) == 0")
    assert loaded.isdisjoint({*HEAVY, "scipy.stats", "scipy.optimize"} - {"scipy"})


def test_what_judges_shows_and_lists_imports_only_what_it_needs(tmp_path: Path) -> None:
    """An audit that is measured already is judged and shown without what measures, and without other reports."""
    labels = np.arange(60) % 3
    outputs = (
        Outputs(name=name, predicted=np.where(np.arange(60) < at, 0, labels)) for name, at in (("a", 9), ("b", 6))
    )
    predictions = Predictions(
        classes=("x", "y", "z"), ids=tuple(map(str, labels)), labels=labels, models=tuple(outputs)
    )
    saved = str(tmp_path / "audit.json")
    reports.write(from_predictions(predictions, "a", ["b"], Settings()), Path(saved))
    run = "from prune_audit.cli import invoke\nassert invoke({}) == 0"
    for asked in (["check", saved, "--exit-zero"], ["report", saved], ["policy"]):
        loaded = modules_after(run.format(asked))
        assert "numpy" in loaded
        assert loaded.isdisjoint(
            {*HEAVY, "markdown_it", "numpy.testing", "prune_audit.stats", "prune_audit.reports.html"}
        )
    loaded = modules_after(run.format(["list"]))
    assert "rich" in loaded
    assert loaded.isdisjoint({*HEAVY, "numpy", "markdown_it"})
    assert not {name for name in loaded if any(name.startswith(f"prune_audit.{room}.") for room in plugins.ROOMS)}


def test_an_onnx_audit_never_imports_torch() -> None:
    loaded = modules_after(
        "from prune_audit.cli import invoke; assert invoke(['compare', 'sample_models/dense.onnx', "
        "'sample_models/pruned-90.onnx', '--data', 'sample_models/val', '--quiet', '--isolate', 'never']) == 0"
    )
    assert "onnxruntime" in loaded
    assert "torch" not in loaded


def test_loading_every_plugin_imports_nothing_heavy_but_numpy_and_scipy() -> None:
    loaded = modules_after("from prune_audit import plugins\nfor room in plugins.ROOMS: plugins.loaded(room)")
    assert loaded.isdisjoint({*HEAVY, "scipy.stats"} - {"scipy"})


# Who may write to standard output and error, and make what rich prints.
PRINTS = {
    "prune_audit/cli/_streams.py": {"sys.stdout", "sys.stderr"},
    "prune_audit/cli/_app.py": {"sys.stdout"},  # the version, before any console is imported
    "prune_audit/cli/_completion.py": {"sys.stdout"},  # what a shell reads
    "prune_audit/cli/__init__.py": {"sys.stdout", "sys.stderr", "os.write"},
    "prune_audit/cli/_interrupt.py": {"sys.stdout", "sys.stderr", "os.write"},
    "prune_audit/cli/_terminal.py": {"sys.stdout", "sys.stderr"},
    "prune_audit/sandbox/server.py": {"sys.stdout", "sys.stderr"},  # flushes those of a worker
    "prune_audit/sandbox/wire.py": {"os.write"},  # messages
    "prune_audit/render/consoles.py": {"rich.console.Console", "rich.text.Text"},
}
PRINTING = {
    "print",
    "input",
    *("sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__", "os.write", "rich.print", "rich.get_console"),
    *("rich.console.Console", "rich.text.Text", "rich.markup.render", "typer.echo", "typer.secho", "click.echo"),
    *("typer.confirm", "typer.prompt", "traceback.print_exc", "pprint.pprint", "pprint.pp", "logging.basicConfig"),
}


def printed_with(path: Path) -> set[str]:
    """Every name of `PRINTING` that the module at ``path`` uses, by whatever name it imported it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    named, hints = dict[str, str](), set[int]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            named |= {each.asname or each.name: each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            named |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
        for hint in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            hints |= {id(part) for part in ast.walk(hint)} if isinstance(hint, ast.AST) else set()
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and id(node) not in hints:
            first, dot, rest = ast.unparse(node).partition(".")
            found.add(f"{named.get(first, first)}{dot}{rest}")
    return found & PRINTING


def test_no_file_of_somebody_is_read_whole_another_way() -> None:
    """What leads to a device would be read without an end. Our own files and those of the system are known."""
    ours = {
        *("evaluate/cache_key.py", "explain/__init__.py", "files/regular.py", "models/_operators.py"),
        *("render/page.py", "sandbox/limits.py", "shipped.py"),
    }
    reads = {
        path.relative_to(ROOT / "prune_audit").as_posix()
        for path in (ROOT / "prune_audit").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("read_text", "read_bytes")
    }
    assert reads == ours


def test_nothing_prints_another_way() -> None:
    """What is foreign is spelled out by the streams and consoles, so nothing may go round these."""
    for path in sorted((ROOT / "prune_audit").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        assert printed_with(path) <= PRINTS.get(name, set()), name


def test_a_way_to_print_is_seen(tmp_path: Path) -> None:
    module = tmp_path / "m.py"
    module.write_text(
        "import sys as s\nimport typer\nfrom rich.console import Console as C\nfrom rich import print as p\n"
        "def f(c: C) -> C:\n    p(1); s.stdout.write('x'); typer.echo('x'); print(C())\n"
    )
    assert printed_with(module) == {"rich.print", "sys.stdout", "typer.echo", "print", "rich.console.Console"}
    module.write_text("from rich.console import Console\ndef f(c: Console) -> Console: return c\n")
    assert printed_with(module) == set()
