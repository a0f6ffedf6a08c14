"""Flipped bits in everything that a store of predictions keeps: how many are believed, which must be none.

    python -m tests.benchmarks.flips            20,000 flips over all kinds of files, in a few minutes
    python -m tests.benchmarks.flips --flips N

Each trial flips one random bit of one stored file, reads what the store holds as a run does, and asks two things: was
the damage said, and is what a run works with as it was? ``silent`` counts what was neither said nor harmless, ``wrong``
what was read with other content though it was said.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from prune_audit.core import Array, ModelCard, Settings
from prune_audit.evaluate.cache import Store
from prune_audit.evaluate.loop import evaluate
from tests.evaluate._models import ArrayData, FunctionModel

SAMPLES = 60
FLIPS = 20_000


@dataclass(frozen=True)
class Kept:
    """A store of one model on one set of data, and what it says undamaged."""

    root: Path
    card: ModelCard
    data: ArrayData
    whole: dict[str, Any]

    @classmethod
    def of(cls, root: Path, scores: Callable[[Array], Array]) -> Kept:
        """Predict ``SAMPLES`` samples by ``scores`` and keep that at ``root``."""
        x = np.random.default_rng(5).normal(size=(SAMPLES, 2))
        data = ArrayData({"x": x}, (x[:, 0] > 0).astype(int).tolist())
        model = FunctionModel("m", scores)
        model.card = replace(model.card, factory="prune_audit.networks:mlp(2)")
        store = Store(root)
        evaluate([model], data, np.arange(SAMPLES), Settings(workers=1), store=store)
        store.learn(model.card, model.expects)
        made = cls(root, model.card, data, {})
        made.whole.update(made.read([]))
        return made

    def files(self) -> list[Path]:
        """Everything that is kept."""
        return sorted(path for path in self.root.rglob("*") if path.is_file())

    def read(self, told: list[str]) -> dict[str, Any]:
        """All that a run reads, and the lines that are said meanwhile."""
        store = Store(self.root, told=told.append)
        model = FunctionModel("m", lambda x: x)
        entry = store.entry(self.card, model.expects, self.data, Settings())
        assert entry is not None
        rows = entry.read()
        columns = {} if rows is None else {f.name: getattr(rows, f.name) for f in fields(rows)}
        read = {name: values.tobytes() for name, values in columns.items() if values is not None}
        return {**read, "about": dict(entry.facts), "facts": store.facts(self.card.digest, self.card.factory)}

    def after_a_flip(self, path: Path, rng: np.random.Generator) -> str:
        """Flip a bit of ``path``, see what becomes of it, and put the file back."""
        content = path.read_bytes()
        flipped = bytearray(content)
        flipped[rng.integers(len(flipped))] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        told: list[str] = []
        found = self.read(told)
        path.write_bytes(content)
        if found == self.whole:
            return "harmless" if not told else "said, and used all the same"
        if not told:
            return "silent"
        # What is there of it is what was there: a file is dropped whole.
        kept = all(not value or value == self.whole[name] for name, value in found.items())
        return "dropped" if kept else "wrong"


def main() -> None:
    """Print a table of kinds of files and what became of flips in them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flips", type=int, default=FLIPS, help="flips over all files together")
    asked = parser.parse_args()
    rng = np.random.default_rng(20)
    kinds = {"scores": lambda x: x, "one column": lambda x: x[:, :1], "classes": lambda x: (x[:, 0] > 0).astype(int)}
    seen: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        stores = {kind: Kept.of(Path(folder, kind), scores) for kind, scores in kinds.items()}
        places = [(kind, path) for kind, kept in stores.items() for path in kept.files()]
        for trial in range(asked.flips):
            kind, path = places[trial % len(places)]
            of = "model" if path.parent.name == "models" else path.stem.partition("-")[0]
            name = f"{of} of {kind}"
            seen.setdefault(name, Counter())[stores[kind].after_a_flip(path, rng)] += 1
    for name, counts in seen.items():
        print(f"{name:24} {sum(counts.values()):6,} flips: " + ", ".join(f"{n:,} {what}" for what, n in counts.items()))


if __name__ == "__main__":
    main()
