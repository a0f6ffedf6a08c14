"""``python -m tests.fuzz.corpus FOLDER ...``: take what `tests.fuzz` saved into the corpus, less its seed."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    """Copy the files that differ from those of the seed, and what is told of them."""
    for saved in map(Path, sys.argv[1:]):
        about = json.loads((saved / "about.json").read_text())
        own = HERE / saved.name
        shutil.rmtree(own, ignore_errors=True)
        own.mkdir()
        for name in about["differs"]:
            (own / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(saved / name, own / name)
        told = {name: about[name] for name in ("kind", "why", "arguments", "environment", "without")}
        (own / "about.json").write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
