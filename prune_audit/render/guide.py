"""The guide to reading an audit, by its sections: as Markdown, and as HTML within a page.

It is one file of ours (`prune_audit.shipped`), so its text is trusted as our own code is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any

from prune_audit import shipped

if TYPE_CHECKING:
    from markdown_it.token import Token

_SIGN = re.compile(r"(?<=\d) %")
_LINK = re.compile(r"\[([^\]]+)\]\([^)\s]+\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading of the guide and all that stands below it, up to the next one of its level.

    ``anchor`` is what the heading is called in a link, ``above`` that of the section which it is a part of, if any.
    """

    title: str
    anchor: str
    level: int
    above: str
    text: str


@cache
def opening() -> str:
    """What stands before the first section, without the list of these."""
    before = "\n".join(shipped.guide().splitlines()[: _headings()[1][0]])
    return re.sub(r"^- \[.*\n?", "", before, flags=re.M).strip()


@cache
def sections() -> tuple[Section, ...]:
    """The sections in their order; one of the second level holds those of the third that it is made of."""
    lines, found = shipped.guide().splitlines(), _headings()[1:]
    made: list[Section] = []
    above = ""
    for n, (at, level, title) in enumerate(found):
        end = next((line for line, other, _ in found[n + 1 :] if other <= level), len(lines))
        text = re.sub(r"<!--.*?-->", "", "\n".join(lines[at + 1 : end]), flags=re.S)
        above = "" if level == 2 else above
        made.append(Section(title=title, anchor=anchor(title), level=level, above=above, text=text.strip()))
        above = above or anchor(title)
    return tuple(made)


def anchor(title: str) -> str:
    """What a heading is called in a link, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def find(topic: str) -> tuple[Section, ...]:
    """The sections that ``topic`` names: by its anchor or how that begins, else by any part of it; () where none is."""
    asked = anchor(topic.strip())
    if not asked:
        return ()
    named = [each for each in sections() if f"{each.anchor}-".startswith(f"{asked}-")]
    named = named or [each for each in sections() if asked in each.anchor]
    whole = {each.anchor for each in named}
    return tuple(each for each in named if each.above not in whole)


def without_links(text: str) -> str:
    """Markdown whose links are their words alone."""
    return _LINK.sub(r"\1", text)


def embedded(anchors: Sequence[str]) -> Iterator[tuple[Section, str]]:
    """The sections called ``anchors`` with their content as HTML.

    A link from one to another of them leads to ``#guide-ANCHOR``; others are their words alone, since a page stands
    for itself. Headings within begin at the third level.
    """
    by_anchor = {each.anchor: each for each in sections()}
    for name in anchors:
        yield by_anchor[name], _html(by_anchor[name], anchors)


def _html(section: Section, known: Collection[str]) -> str:
    from markdown_it import MarkdownIt

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    rules: dict[str, Any] = markdown.renderer.rules  # type: ignore[attr-defined]
    tables = count(1)

    def opened(*_: Any) -> str:
        """Regions of a page need names of their own."""
        title = section.title if (n := next(tables)) == 1 else f"{section.title}, {n}"
        head = f'<div class="wide" tabindex="0" role="region" aria-label="{title}">\n<table class="words">'
        return f"{head}<caption>{title}</caption>\n"

    rules["table_open"] = opened
    rules["table_close"] = lambda *_: "</table></div>\n"
    rules["th_open"] = lambda *_: '<th scope="col">'
    shown = rules["fence"]
    rules["fence"] = lambda *given: shown(*given).replace("<pre>", '<pre tabindex="0">', 1)
    tokens = markdown.parse(section.text)
    for token in tokens:
        if token.children is not None:
            token.children = list(_kept(token.children, known))
    rendered: str = markdown.renderer.render(tokens, markdown.options, {})
    return rendered


def _kept(tokens: Sequence[Token], known: Collection[str]) -> Iterator[Token]:
    """``tokens`` of a line without links to what is not in the page, and the sign of a percentage with its number."""
    inside = False
    for token in tokens:
        token.content = _SIGN.sub("\N{NO-BREAK SPACE}%", token.content)
        if token.type == "link_open":
            name = str(token.attrs.get("href", "")).removeprefix("#")
            inside = name in known
            token.attrs["href"] = f"#guide-{name}"
        if inside or token.type not in ("link_open", "link_close"):
            yield token


@cache
def _headings() -> tuple[tuple[int, int, str], ...]:
    """The line, level and title of each heading, the title of the guide first; none within a block of code."""
    found, code = [], False
    for at, line in enumerate(shipped.guide().splitlines()):
        code ^= line.startswith("```")
        if not code and (told := re.fullmatch(r"(#+) (.*)", line)):
            found.append((at, len(told[1]), told[2]))
    return tuple(found)
