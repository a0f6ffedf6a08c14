"""The picture of the terminal is what the command prints now, and asks nothing of the web."""

from __future__ import annotations

from tests import pictures


def test_the_picture_is_up_to_date() -> None:
    assert pictures.FILE.read_text(encoding="utf-8") == pictures.terminal(), (
        "`python -m tests.pictures` draws it anew; look at it before committing it"
    )


def test_it_fetches_nothing() -> None:
    text = pictures.FILE.read_text(encoding="utf-8")
    assert "@font-face" not in text
    assert "url(http" not in text
