"""prune-audit guide: how to read an audit, in the terminal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from prune_audit.render.guide import Section

READABLE = 102  # columns: what commands print in the guide is 100 wide, and longer lines of prose lose the eye

WHOLE = "all"
SPOKEN = 4  # sections that a hint names
Topic = Annotated[
    str | None,
    typer.Argument(
        metavar="[TOPIC]",
        help="What to read about: a topic of the list, or how it begins, as `alpha` or `cannot-tell`; `all` of it.",
    ),
]


def run(topic: Topic = None) -> None:
    """Read the guide to audits: what the verdicts mean, and what to do about them.

    Without a topic the topics are listed. Each statistic of `list stats` is one, too.

    Example: prune-audit guide cannot-tell
    """
    from rich.markdown import Markdown

    from prune_audit import shipped
    from prune_audit.cli import _terminal
    from prune_audit.errors import UsageError
    from prune_audit.render import guide

    if topic in (None, WHOLE):
        texts = [shipped.guide() if topic else guide.opening()]
    else:
        found = guide.find(topic)
        if not found:
            raise UsageError(f"the guide has no topic {topic!r}", hint=_hint(topic, guide.sections()))
        texts = [f"{'#' * each.level} {each.title}\n\n{each.text}" for each in found]
    with _terminal.printing() as out:
        for text in texts:
            shown = Markdown(guide.without_links(text), code_theme="bw", hyperlinks=False)
            out.print(shown, width=min(out.width, READABLE))
            out.print()
        if topic is None:
            for line in _listed(guide.sections()):
                out.print(line, soft_wrap=True)


def _listed(sections: tuple[Section, ...]) -> list[str]:
    """The topics, one a line, with what a section of many is made of behind it."""
    top = [each for each in sections if each.level == 2]
    width = max(len(each.anchor) for each in top)
    lines = [f"  {each.anchor:{width}}  {each.title}" for each in top]
    columns = [each.anchor for each in sections if each.above == "every-column"]
    return ["Topics, of which the beginning is enough:", *lines, "", f"and of columns: {', '.join(columns)}"]


def _hint(topic: str, sections: tuple[Section, ...]) -> str:
    """Which topic was meant, or which sections speak of the word."""
    from prune_audit import spelling

    names = {name: each.anchor for each in sections for name in _beginnings(each.anchor) if len(name) > 3}
    if near := spelling.near(topic, names):
        return f"did you mean {names[near[0]]}?"
    text = {each.anchor: f"{each.title} {each.text}".casefold() for each in sections}
    words = {word for each in text.values() for word in re.findall(r"[a-z]{4,}", each)}
    word = topic.casefold().replace("-", " ")
    if not any(re.search(rf"\b{re.escape(word)}\b", each) for each in text.values()):
        word = next(iter(spelling.near(word, sorted(words))), "")
    if not word:
        return "`prune-audit guide` lists the topics"
    spoken = [name for name, each in text.items() if re.search(rf"\b{re.escape(word)}\b", each)]
    return f"no section is called that; of {word!r} these speak: {', '.join(spoken[:SPOKEN])}"


def _beginnings(anchor: str) -> list[str]:
    """What a topic may be called by: each of its words, and how it begins."""
    words = anchor.split("-")
    return [*("-".join(words[:end]) for end in range(len(words), 0, -1)), *words]
