"""Rich's console and text, in which foreign text is shown and never obeyed: everything that prints uses these two.

A `Text` spells out what does not show as soon as it is made, so that tables have room for it, and what a `Console`
prints is looked at once more where it becomes characters, whoever made it. Neither takes markup from a text. What is
printed as one text is one line: a name that holds the end of a line cannot begin one that looks like ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO

from rich.console import Console as RichConsole
from rich.console import ConsoleOptions, ConsoleRenderable, RenderableType, RenderHook
from rich.segment import Segment
from rich.text import Text as RichText

from prune_audit.printable import lines, printable


class Text(RichText):
    """Text in which whatever does not show is spelled out; ends of lines stay, for the cells of tables."""

    def __init__(self, text: str = "", style: str = "") -> None:
        super().__init__(lines(text), style)

    def also(self, text: str, style: str = "") -> Text:
        """The same text with ``text`` behind it."""
        self.append(lines(text), style or None)
        return self


class Console(RichConsole):
    """A console of fixed size, on which whatever is printed is shown and nothing is obeyed.

    ``colours`` are those that ``file`` is found to take, or none.
    """

    def __init__(self, file: IO[str], width: int, height: int, *, colours: bool = True) -> None:
        super().__init__(
            file=file,
            width=width,
            height=height,
            color_system="auto" if colours else None,
            markup=False,
            emoji=False,
            highlight=False,
        )
        self.push_render_hook(_OneLine(self))

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of ``renderable``, those that steer the terminal as they are, since no text makes one."""
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else lines(segment.text)
            yield segment if text == segment.text else Segment(text, segment.style)


class _OneLine(RenderHook):
    """Makes one line of each text that is printed."""

    def __init__(self, console: RichConsole) -> None:
        self._console = console

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [self._line(each) if isinstance(each, RichText) else each for each in renderables]

    def _line(self, text: RichText) -> RichText:
        if printable(text.plain) == text.plain:
            return text
        line = text.blank_copy()
        for segment in text.render(self._console):
            line.append(printable(segment.text), segment.style)
        return line
