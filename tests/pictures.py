"""The picture of the terminal for the README, made from the sample models: ``python -m tests.pictures``.

Time is left out, because no two runs have it in common and the picture is under version control.
"""

from __future__ import annotations

import contextlib
import io
import re
from dataclasses import replace
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import TerminalTheme

from prune_audit import audit
from prune_audit.core import DataSource, ModelSource, Settings
from prune_audit.reports import table
from tests.conftest import ROOT

FILE = ROOT / "docs" / "terminal.svg"
WIDTH = 100
# Rich's own form without the fonts that it would fetch from the web: any monospaced one does, as every run of text
# says how long it is.
FORM = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.S).replace("Fira Code", "DejaVu Sans Mono")
COMMAND = "prune-audit compare sample_models/dense.pt sample_models/pruned-90.pt --data sample_models/val"
THEME = TerminalTheme(
    (22, 27, 34),
    (201, 209, 217),
    [(22, 27, 34), (255, 123, 114), (86, 211, 100), (227, 179, 65), (121, 192, 255), (210, 168, 255), (86, 212, 221),
     (201, 209, 217)],
)  # fmt: skip


def terminal() -> str:
    """The SVG of what the first command of the README prints, in the folder in which the README says so."""
    models = Path("sample_models")
    dense, pruned = (ModelSource(name=name, path=models / f"{name}.pt") for name in ("dense", "pruned-90"))
    with contextlib.chdir(ROOT):
        done = audit.run(dense, [pruned], DataSource(path=models / "val"), Settings())
    shown = replace(done, provenance=replace(done.provenance, run={}))
    console = Console(
        file=io.StringIO(), width=WIDTH, height=50, record=True, force_terminal=True, color_system="truecolor",
        markup=False, highlight=False, emoji=False,
    )  # fmt: skip
    console.print(f"$ {COMMAND}", style="bold")
    console.print(table.renderable(shown))
    drawn = console.export_svg(title="prune-audit", theme=THEME, code_format=FORM, unique_id="prune-audit")
    return "".join(f"{line.rstrip()}\n" for line in drawn.splitlines())


def main() -> None:
    """Write the picture."""
    FILE.write_text(terminal(), encoding="utf-8")
    print(FILE.relative_to(ROOT))


if __name__ == "__main__":
    main()
