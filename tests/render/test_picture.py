"""SVG and PNG of the charts: the same bytes twice, text as text, names that bite stay text, no colour left unsaid."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from PIL import Image

from prune_audit.charts import charts, named, recalls
from prune_audit.errors import UsageError
from prune_audit.render import picture
from prune_audit.render.colors import DARK, LIGHT, color, literal
from prune_audit.render.picture import Chart
from tests.reports import audits

SVG = "{http://www.w3.org/2000/svg}"
BITES = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a & b", "url(#clip0)", "var(--bad)", "datum.x")


def biting() -> Chart:
    rows: list[audits.Row] = [(name, (30, 50, 1, 9), "regressed", "harmed") for name in BITES]
    return recalls.draw(audits.audit(rows))[0]


def texts(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("name", ["ten", "several", "thousand", "everything"])
def test_every_chart_becomes_the_same_drawing_twice(name: str) -> None:
    for chart in (chart for drawn in charts(getattr(audits, name)()).values() for chart in drawn):
        once = picture.inline(chart, "a")
        assert once == picture.inline(chart, "a")
        root = ElementTree.fromstring(once)
        assert root.find(f"{SVG}title") is not None
        assert root.findtext(f"{SVG}desc") == chart.shows
        assert root.get("role") == "img"
        assert texts(once)


def test_identifiers_are_of_one_chart_and_are_all_there() -> None:
    chart = next(iter(charts(audits.ten())["balances"]))  # its lines are clipped
    drawn = picture.inline(chart, "x-0")
    ids = re.findall(r' id="([^"]+)"', drawn)
    assert len(ids) == len(set(ids)) > 2
    assert all(name.startswith("x-0-") for name in ids)
    assert set(re.findall(r"url\(#([^)]+)\)", drawn)) <= set(ids)
    assert set(ids).isdisjoint(re.findall(r' id="([^"]+)"', picture.inline(chart, "x-1")))


def test_names_that_bite_stay_text() -> None:
    for drawn in (picture.inline(biting(), "a"), picture.svg([biting()])):
        assert "<script" not in drawn
        assert "<img" not in drawn
        shown = texts(drawn)
        for name in BITES:
            assert any(name.startswith(text.rstrip("…")) for text in shown if len(text) > 4), name
        tips = [element.text or "" for element in ElementTree.fromstring(drawn).iter(f"{SVG}title")]
        assert all(any(tip.startswith(f"{name}: ") for tip in tips) for name in BITES)


def test_in_a_page_colours_are_names_and_in_a_file_they_are_colours() -> None:
    used = set(re.findall(r'(?:fill|stroke)="([^"]+)"', picture.inline(biting(), "a"))) - {"none", "transparent"}
    assert used
    assert all(name.startswith("var(--") and name[6:-1] in LIGHT for name in used)
    plain = picture.svg([biting()])
    assert "var(--" not in re.sub(r">[^<]*<", "><", plain)
    assert LIGHT["bad"] in plain


def test_colours_are_told_in_both_themes_and_never_taken_from_data() -> None:
    assert LIGHT.keys() == DARK.keys()
    spec = {"mark": {"color": color("bad")}, "data": {"values": [{"name": "var(--bad)"}]}, "range": [color("good")]}
    assert literal(spec, DARK) == {
        "mark": {"color": DARK["bad"]}, "data": {"values": [{"name": "var(--bad)"}]}, "range": [DARK["good"]],
    }  # fmt: skip
    with pytest.raises(KeyError):
        color("mauve")


def luminance(value: str) -> float:
    """Relative luminance of a colour (WCAG 2.2)."""
    channels = [int(value[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_text_can_be_read(theme: dict[str, str]) -> None:
    pairs = [(ink, on) for ink in ("ink", "muted", "bad", "unsure", "good", "accent") for on in ("paper", "card")]
    pairs += [(name, f"{name}-soft") for name in ("bad", "good")]
    pairs += [("ink", shade) for shade in ("loss-1", "loss-2", "loss-3", "still", "gain-1", "gain-2", "unsure-soft")]
    pairs += [("on-dark", "loss-4")]
    for ink, on in pairs:
        light, dark = sorted((luminance(theme[ink]), luminance(theme[on])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, on)


def test_pixels() -> None:
    drawn = picture.png(recalls.draw(audits.ten()))
    with Image.open(io.BytesIO(drawn)) as image:
        assert image.format == "PNG"
        assert image.size[0] == 2 * picture.WIDTH  # twice as sharp
        seen = {color for _, color in image.convert("RGB").getcolors(1 << 20) or ()}
    assert tuple(int(LIGHT["bad"][i : i + 2], 16) for i in (1, 3, 5)) in seen
    assert (255, 255, 255) in seen


def test_a_notebook_shows_the_file() -> None:
    (chart,) = recalls.draw(audits.ten())
    assert chart._repr_svg_() == picture.svg([chart])


def test_what_there_is_no_chart_of() -> None:
    with pytest.raises(UsageError, match="nothing for the chart 'changes'") as raised:
        named(audits.ten(), "changes")
    assert raised.value.hint == "it has recalls, balances"
    with pytest.raises(UsageError, match="no plugin 'pie' in charts"):
        named(audits.ten(), "pie")
    empty = replace(audits.ten(), comparisons=())
    with pytest.raises(UsageError, match="no chart"):
        picture.svg([chart for drawn in charts(empty).values() for chart in drawn])
