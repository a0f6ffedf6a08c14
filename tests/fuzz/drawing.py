"""An input by its number: a seed, a command, and a few changes, all drawn from the number alone."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from prune_audit.files import sealed
from tests.fuzz import mutate
from tests.fuzz.seeds import Command, Seed

GITHUB = {"GITHUB_ACTIONS": "true"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """An input: ``changes`` are the numbers that each change is drawn from, in their order."""

    seed: Seed
    command: Command
    changes: tuple[str, ...]
    environment: dict[str, str]

    def without(self, at: int) -> Drawn:
        """The input without its change ``at``."""
        return replace(self, changes=self.changes[:at] + self.changes[at + 1 :])

    def write(self, base: Path, folder: Path) -> list[str]:
        """Put the input into ``folder``, and say what was changed. What stays as it is leads to ``base``."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in self.seed.needs:
            (folder / name).symlink_to(base / name)
        for name in self.seed.targets:
            if (base / name).is_dir():
                shutil.copytree(base / name, folder / name)
            else:
                shutil.copyfile(base / name, folder / name)
        return [self._change(random.Random(change), folder) for change in self.changes]

    def _change(self, rng: random.Random, folder: Path) -> str:
        said = " ".join(self.command)
        asked = [name for name in self.seed.targets if name in said] or list(self.seed.targets)
        target = folder / rng.choice(asked)
        if not target.is_dir():
            _rewrite(rng, target, self.seed)
            return target.name
        files = sorted(path for path in target.rglob("*") if path.is_file())
        if not files:
            return "nothing is left"
        path = rng.choice(files)
        name = str(path.relative_to(folder))
        how = rng.randrange(40)
        if how == 0:
            path.unlink()
            return f"{name} is removed"
        if how == 1:
            other = rng.choice(("x" * 200 + path.suffix, "\x1b[31m" + path.name, f"a\n{mutate.PLANTED}.png", "é\u202e"))
            path.rename(path.with_name(other))
            return f"{name} is called {other!r}"
        if how == 2:
            path.write_bytes(rng.choice(files).read_bytes())
            return f"{name} is another one"
        if how == 3:
            path.unlink()
            path.symlink_to(rng.choice((*mutate.LED, "nowhere", path.name, "..")))
            return f"{name} leads elsewhere"
        _rewrite(rng, path, self.seed)
        return name


def _rewrite(rng: random.Random, path: Path, seed: Seed) -> None:
    content = path.read_bytes() if path.exists() and path.is_file() and not path.is_symlink() else b""
    if not content:
        return
    of = seed.proven and mutate.belongs(path)
    if of and rng.random() < 0.8:  # whoever may write there can make a right digest, too
        sealed.write(path, mutate.change(rng, sealed.read(path, of)), of)
        return
    made = mutate.change(rng, content, path.name)
    while seed.bounded and mutate.asks_much(made):
        made = mutate.change(rng, content, path.name)
    path.write_bytes(made)


def draw(seeds: Sequence[Seed], of: int, number: int, *, briefly: bool) -> Drawn:
    """The input ``number`` of the run ``of``; ``briefly`` stops most audits after what is looked at first."""
    rng = random.Random(f"{of}/{number}")
    seed = rng.choices(seeds, [each.share for each in seeds])[0]
    command = rng.choice(seed.commands)
    many = 1 + sum(rng.random() < 0.3 for _ in range(3))
    changes = tuple(f"{of}/{number}/{at}" for at in range(many))
    environment = GITHUB if rng.random() < 0.25 else {}
    if briefly and command[0] == "compare" and rng.random() < 0.9:
        command = (*command, "--dry-run")
    return Drawn(seed=seed, command=command, changes=changes, environment=environment)


def keep(drawn: Drawn, base: Path, folder: Path, about: dict[str, object]) -> None:
    """Write the input where it stays, with all that it needs, what differs from its seed, and how to see it again."""
    drawn.write(base, folder)
    names, seed = _names(folder, drawn.seed), _names(base, drawn.seed)
    differs = [name for name in names if name not in seed or (folder / name).read_bytes() != (base / name).read_bytes()]
    for link in folder.iterdir():
        if link.is_symlink() and link.name in drawn.seed.needs:
            source = link.resolve()
            link.unlink()
            shutil.copytree(source, link) if source.is_dir() else shutil.copyfile(source, link)
    about |= {"kind": drawn.seed.kind, "arguments": drawn.command, "environment": drawn.environment}
    about |= {"differs": differs, "without": sorted(set(seed) - set(names)), "changes": drawn.changes}
    (folder / "about.json").write_text(json.dumps(about, indent=1))


def _names(folder: Path, seed: Seed) -> list[str]:
    """The files of what is changed; where they lead elsewhere, they are none."""
    found = (path for name in seed.targets for path in [folder / name, *(folder / name).rglob("*")])
    return sorted(str(path.relative_to(folder)) for path in found if path.is_file() and not path.is_symlink())
