"""prune-audit list."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from prune_audit import options, plugins
from prune_audit.cli import invoke
from prune_audit.cli.list import columns
from prune_audit.core import Counted, FalseCounts, Pair, Settings


def test_every_plugin_of_every_kind_with_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["list"]) == 0
    told = capsys.readouterr()
    lines = [" ".join(line.split()) for line in told.out.splitlines()]
    for room in plugins.ROOMS:
        assert room in lines
        for name in plugins.names(room):
            start = " ".join(f"{name} {plugins.help_line(room, name)}"[:60].split()[:-1])
            assert any(line.startswith(start) for line in lines), name
    assert told.err == ""


@pytest.mark.parametrize("width", [60, 120])
def test_no_line_ends_in_blanks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert invoke(["list"]) == 0
    assert not [line for line in capsys.readouterr().out.splitlines() if line.endswith(" ")]


def test_one_kind_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["list", "reports"]) == 0
    told = capsys.readouterr().out.split()
    assert {"reports", "csv", "json", "table"} <= set(told)
    assert "stats" not in told


def test_options_of_plugins_are_listed_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["list", "pruning", "--long"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    brought = [group for name in plugins.names("pruning") if (group := options.of_plugin("pruning", name)) is not None]
    assert brought
    for group in brought:
        for flag, said in options.described(group):
            assert f"option {flag}: {said}" in told


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("room", plugins.ROOMS)
def test_in_full(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, room: str, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert invoke(["list", room, "--long"]) == 0
    told = capsys.readouterr().out
    words = " ".join(told.split())
    for name in plugins.names(room):
        docstring = plugins.docstring(room, name)
        assert f"\n\n  {name}\n    {docstring[:20]}" in told
        assert " ".join(docstring.split()) in words
        for line in docstring.splitlines():  # formulas keep their lines, where there is room
            fits = len(line) + 4 <= min(width, 100)
            assert not fits or not line.startswith("    ") or f"\n    {line}\n" in told
    assert max(map(len, told.splitlines())) <= min(width, 100)
    assert not [line for line in told.splitlines() if line.endswith(" ")]


def test_statistics_in_full_name_their_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["list", "stats", "-l"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "columns: verdict, reason, q_regressed, worst_plausible_drop, samples_needed" in words
    assert words.count("columns: ") == len(plugins.names("stats"))


def test_all_kinds_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["list", "--long"]) == 0
    told = capsys.readouterr().out
    assert [line for line in told.splitlines() if line and line[0] != " "] == list(plugins.ROOMS)


@pytest.mark.parametrize("pair", [Pair.of([]), Pair.of([(0, 0, 0, 0)]), Pair.of([(9, 1, 1, 1)], by="accent")])
def test_a_statistic_gives_the_same_columns_whatever_the_pair(pair: Pair) -> None:
    """Or none of them, where it is of classes alone and these are groups."""
    if pair.by == "class":  # what is found where there is nothing, as detectors do, stands in further columns
        at = np.arange(len(pair.strata))
        others = Counted(both=pair.both, lost=pair.lost, gained=pair.gained, neither=pair.neither)
        false = FalseCounts.of(len(at), 5 * [(at, at)], np.full((len(at), 2), 0.5))
        pair = replace(pair, false=false, negatives=others)
    for name, module in plugins.loaded("stats"):
        found = tuple(measure.name for measure in module.measure(pair, Settings()))
        assert found == columns(name) or (pair.by != "class" and not found), name


def test_one_is_told_in_full_and_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["list", "rules", "harmed"]) == 0
    one = capsys.readouterr().out
    assert invoke(["list", "rules", "--long"]) == 0
    assert one in capsys.readouterr().out
    assert one.startswith("  harmed\n    Fails if a class is shown to pay")
    assert "recall-drop" not in one


@pytest.mark.parametrize("how", [[], ["--long"]])
def test_an_unknown_kind(capsys: pytest.CaptureFixture[str], how: list[str]) -> None:
    assert invoke(["list", "glasses", *how]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == (
        "error: there is no kind of plugin 'glasses'\n"
        "hint: known: models, data, stats, rules, reports, charts, lenses, pruning, mitigations, tasks, "
        "runners, logs\n"
    )


def test_nothing_is_imported_to_list(tmp_path: object) -> None:
    script = (
        "import sys\nfrom prune_audit.cli import invoke\nassert invoke(['list']) == 0\n"
        "print(*sorted({'torch', 'onnx', 'onnxruntime', 'pandas', 'scipy', 'PIL', 'pyarrow'} & set(sys.modules)), "
        "file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == ""
