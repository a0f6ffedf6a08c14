"""prune-audit demo: two sample models, their data, the first audit, and what to type next."""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path
from typing import Annotated

import typer

MARK = "about-this-demo.txt"
ABOUT = """\
A demo of prune-audit, written by `prune-audit demo`; running it again writes these files anew.

dense.pt      a small network that reads handwritten digits; 8 and 9 were rare in its training
pruned-90.pt  the same network with a tenth of its weights left, tuned for a moment afterwards
val/          1,078 labelled images that neither of them was trained on, a folder a digit

The images are from "Optical Recognition of Handwritten Digits" by E. Alpaydin and C. Kaynak (1998), UCI Machine
Learning Repository, CC BY 4.0, as scikit-learn has them, saved as PNG.
"""
FIRST = ("compare", "dense.pt", "pruned-90.pt", "--data", "val", "-o", "audit.json")
NEXT = (
    ("report audit.json -o audit.html", "the same as a page: open audit.html in a browser"),
    ("check audit.json", "the gate: exit code 1, because two digits lost too much"),
    ("plan audit.json", "how many more images would settle what is undecided"),
)

Folder = Annotated[
    Path, typer.Argument(metavar="[FOLDER]", help="An empty or a new folder, or that of an earlier demo.")
]


def run(folder: Folder = Path("prune-audit-demo")) -> int:
    """Write two sample models and their data into a folder, audit them, and say what to type next.

    Nothing is fetched and nothing is opened; it takes less than a megabyte. A folder that holds anything else is left
    alone.

    Example: prune-audit demo
    """
    from prune_audit import shipped
    from prune_audit.cli import _app, _terminal
    from prune_audit.errors import OutputError
    from prune_audit.files import target as targets

    _free(folder)
    try:
        targets.folder(folder)
        # First, so that a demo that was interrupted here can be run again.
        for name, content in ((MARK, ABOUT.encode()), *shipped.demo()):
            path = folder / name
            targets.folder(path.parent, within=folder)
            with targets.replacing(path, named=False) as file:
                file.write(content)
    except OSError as error:
        told = f"{error.filename or folder}: {error.strerror or error}"
        raise OutputError(told, hint="give a folder that you may write to") from error
    with _terminal.printing() as out:
        out.print(f"wrote {folder}: two models and 1,078 labelled images", soft_wrap=True)
        out.print()
        if folder != Path():
            out.print(f"$ cd {shlex.quote(str(folder))}", soft_wrap=True)
        out.print(f"$ prune-audit {shlex.join(FIRST)}", soft_wrap=True)
    with contextlib.chdir(folder):
        code = int(_app.build(FIRST[0])(args=[*FIRST], prog_name="prune-audit", standalone_mode=False) or 0)
    width = max(len(command) for command, _ in NEXT)
    with _terminal.printing() as out:
        out.print()
        out.print("What to type next:", soft_wrap=True)
        if folder != Path():
            out.print(f"  cd {shlex.quote(str(folder))}", soft_wrap=True)
        for command, told in NEXT:
            out.print(f"  prune-audit {command:{width}}  # {told}", soft_wrap=True)
    return code


def _free(folder: Path) -> None:
    """Refuse a ``folder`` that holds what is not of a demo."""
    from prune_audit.errors import OutputError, UsageError

    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file; expected a folder", hint="give an empty or a new folder")
    if folder.is_dir() and not (folder / MARK).is_file() and any(folder.iterdir()):
        raise OutputError(
            f"{folder}: expected an empty folder or an earlier demo, found other files; nothing was written",
            hint="give an empty or a new folder: prune-audit demo FOLDER",
        )
