"""The site of docs/: ``sphinx-build -W -n docs FOLDER``; every link is checked, and nothing is fetched by its reader.

A page for each command and each plugin is written into docs/reference/ from its options and its docstring, anew in
each build. What links to files of the repository leads to PRUNE_AUDIT_REPOSITORY, or is words alone without it.
"""

from __future__ import annotations

import os
import re
import shutil
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
REFERENCE = HERE / "reference"
HOME = os.environ.get("PRUNE_AUDIT_REPOSITORY", "").rstrip("/")

project, author = "prune-audit", "prune-audit contributors"
copyright = author  # noqa: A001  # Sphinx's name for it
version = release = installed("prune-audit")
extensions = ["myst_parser"]
exclude_patterns = ["studies/*/runs/*", "_build"]
html_theme = "furo"
html_title = f"prune-audit {version}"
html_copy_source, html_show_sourcelink, html_show_sphinx = False, False, False
myst_heading_anchors = 4
myst_enable_extensions: list[str] = []
pygments_style = "default"
highlight_language = "none"
smartquotes = False  # --option is no dash


def _source(app: object, name: str, source: list[str]) -> None:
    """Markdown as GitHub shows it, to Markdown whose links and pictures Sphinx follows."""
    text = source[0]
    if name == "index":
        readme = (HERE.parent / "README.md").read_text("utf-8")
        text = re.sub(r'(\]\(|src=")(?!docs/|[a-z]+:|#)', r"\1../", readme).replace("](docs/", "](") + "\n" + text
        text = text.replace('src="docs/', 'src="')
    if name.startswith("studies/"):
        text = f"# {name.split('/')[1]}\n\n## Analysis\n\n{text}"
    text = re.sub(r"<picture>.*?(<img [^>]*>).*?</picture>", r"\1", text, flags=re.S)
    text = re.sub(r'<img src="([^"]+)" alt="([^"]+)">', r"![\2](\1)", text)
    source[0] = re.sub(r"(?<!!)\[([^\]]+)\]\((\.\./[^)\s#]+)(#[^)\s]*)?\)", lambda m: _outside(name, m), text)


def _outside(name: str, link: re.Match[str]) -> str:
    """A link to what lies outside of docs/, seen from the document ``name``."""
    path = ((HERE / name).parent / link[2]).resolve()
    if path.is_relative_to(HERE):
        return link[0]
    return f"[{link[1]}]({HOME}/blob/main/{path.relative_to(HERE.parent).as_posix()})" if HOME else link[1]


def _reference(app: object) -> None:
    from prune_audit import plugins
    from prune_audit.cli import _app

    shutil.rmtree(REFERENCE, ignore_errors=True)
    commands = _app.commands()
    for name in commands:
        _write(f"commands/{name}", _command(name))
    _write("commands/index", _listed("Commands", {name: f"prune-audit {name}" for name in commands}))
    for room in plugins.ROOMS:
        for name in plugins.names(room):
            _write(f"{room}/{name}", _plugin(room, name))
        told = {name: f"{name}: {plugins.help_line(room, name).rstrip('.')}" for name in plugins.names(room)}
        _write(f"{room}/index", _listed(room.capitalize(), told))
    _write("plugins", _listed("Plugins that come with it", {f"{room}/index": "" for room in plugins.ROOMS}))


def _write(name: str, text: str) -> None:
    path = REFERENCE / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def _listed(title: str, pages: dict[str, str]) -> str:
    entries = "\n".join(f"{_plain(told)} <{page}>" if told else page for page, told in pages.items())
    return f"# {title}\n\n```{{toctree}}\n:maxdepth: 1\n\n{entries}\n```\n"


def _plain(told: str) -> str:
    """A title of a table of contents, which a sign for an address would end."""
    return told.replace("<", "").replace(">", "").replace("`", "")


def _command(name: str) -> str:
    """The page of a command: its docstring, its arguments, and its options by group."""
    import typer

    from prune_audit.cli import _app

    command: Any = typer.main.get_command(_app.build(name)).commands[name]  # type: ignore[attr-defined]
    said = command.help.replace("Example: ", "    ").replace("\n\n    ", "\n\nFor example:\n\n    ")
    groups: dict[str, list[str]] = {}
    for each in command.params:
        panel = getattr(each, "rich_help_panel", None) or (
            "Options" if any(name.startswith("-") for name in each.opts) else "Arguments"
        )
        names = each.metavar or each.name if panel == "Arguments" else ", ".join((*each.opts, *each.secondary_opts))
        value = each.metavar or ("" if getattr(each, "is_flag", False) else _kind(each.type_descriptor.annotation))
        shown = f"`{names}`" + (f" `{value}`" if value and panel != "Arguments" else "")
        default = each.default
        plain = isinstance(default, str | int | float) and not isinstance(default, bool) and each.show_default
        told = (each.help or "").replace("|", "\\|").replace("<", "\\<")
        groups.setdefault(panel, []).append(
            f"| {shown.replace('|', chr(92) + '|')} | {told} | {f'`{default}`' if plain else ''} |"
        )
    tables = (
        f"## {panel}\n\n| option | meaning | default |\n|---|---|---|\n" + "\n".join(rows)
        for panel, rows in groups.items()
    )
    return f"# prune-audit {name}\n\n{said}\n\n" + "\n\n".join(tables) + "\n"


def _kind(annotation: Any) -> str:
    """What a value is, in the words of --help."""
    return {Path: "PATH", int: "INTEGER", float: "FLOAT"}.get(annotation, "TEXT")


def _plugin(room: str, name: str) -> str:
    """The page of a plugin: its docstring, and the options that it brings."""
    from prune_audit import options, plugins

    first, _, rest = plugins.docstring(room, name).partition("\n")
    text = f"# {name}\n\n**{first}**\n\n{_escaped(rest.strip())}\n"
    if (group := options.of_plugin(room, name)) is not None:
        text += "\n## Options\n\n| option | meaning |\n|---|---|\n"
        text += (
            "\n".join(f"| `{flag}` | {told} |" for flag, told in options.described(group)).replace("<", "\\<") + "\n"
        )
    return text


def _escaped(text: str) -> str:
    """A docstring as Markdown: what is indented is a block of code already; names in angle brackets are no HTML."""
    return "\n".join(line if line.startswith("    ") else re.sub(r"<(?=[a-zA-Z/!])", r"\\<", line)
                     for line in text.splitlines())  # fmt: skip


def setup(app: Any) -> None:
    """What Sphinx is told."""
    app.connect("builder-inited", _reference)
    app.connect("source-read", _source)
