"""A chart as SVG or PNG, through Vega-Lite (vl-convert): one wheel without further dependencies, and no network.

The SVG is tidied so that several can stand in one page and a second run gives the same bytes: identifiers get a prefix
of their own, what is told of a mark becomes its tooltip, and the whole is one image with a title and a description.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from prune_audit.errors import UsageError
from prune_audit.render.colors import color, literal

VERSION = "5.21"  # of Vega-Lite: the pictures change when this does, not when vl-convert is updated
# Of the same widths as those that it measures with, as far as there is one; the last that has a name is the narrower
# sister of what Linux has for sans-serif without them, whose names would run over the edge.
FONT = "Arial, Liberation Sans, Arimo, Helvetica, Nimbus Sans, DejaVu Sans Condensed, sans-serif"
WIDTH = 420  # pixels, labels included: half a page, and still legible on a telephone
SCALE = 2.0  # of PNG: sharp on the screens of today
_SVG = "http://www.w3.org/2000/svg"
_CONFIG: dict[str, Any] = {
    "font": FONT,
    "background": None,
    "view": {"stroke": None},
    "axis": {
        "labelColor": color("ink"), "titleColor": color("muted"), "gridColor": color("line"),
        "domainColor": color("line"), "tickColor": color("line"), "labelFontSize": 12, "titleFontSize": 12,
        "titleFontWeight": "normal", "labelLimit": 120, "titlePadding": 8,
    },
    "legend": {
        "labelColor": color("ink"), "titleColor": color("muted"), "labelFontSize": 12, "orient": "top",
        "symbolSize": 70, "symbolOpacity": 1, "offset": 8, "padding": 0, "columnPadding": 14,
    },
    "title": {
        "color": color("ink"), "subtitleColor": color("muted"), "anchor": "start", "fontSize": 15,
        "subtitleFontSize": 12, "offset": 10, "frame": "bounds",
    },
    "text": {"color": color("ink"), "fontSize": 12},
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One picture: its title, what it is of, what it shows in words, how to read it, its Vega-Lite specification.

    ``of`` names the models. ``shows`` is the finding, for whoever cannot see the picture. ``variant`` is the position
    of the comparison that it is of, None where it is of the whole audit; ``by`` names the view where it is not that by
    class, and ``look`` the lens that saw it, if one did. One of
    several that are read beside one another, by one reading, is ``small``.
    """

    title: str
    of: str
    shows: str
    reading: str
    spec: Mapping[str, Any]
    variant: int | None = None
    by: str = "class"
    look: str | None = None
    small: bool = False

    def _repr_svg_(self) -> str:
        """What a notebook shows."""
        return svg([self])


_EACH_ITS_OWN = dict.fromkeys(("color", "shape"), "independent")


def inline(chart: Chart, name: str) -> str:
    """``chart`` as an ``<svg>`` element for a page that defines the colours; identifiers begin with ``name``."""
    return _tidy(_svg(_whole(chart.spec)), f"{chart.title}, {chart.of}", chart.shows, name)


def svg(charts: Sequence[Chart]) -> str:
    """``charts`` below one another as a file of its own, in the light theme."""
    spec, titles = _file(charts), [f"{chart.title}, {chart.of}" for chart in charts]
    return _tidy(_svg(spec), "; ".join(titles), " ".join(chart.shows for chart in charts), "chart") + "\n"


def png(charts: Sequence[Chart]) -> bytes:
    """The same as pixels."""
    import vl_convert

    return vl_convert.vegalite_to_png(json.dumps(_file(charts)), vl_version=VERSION, scale=SCALE, allowed_base_urls=[])


def _svg(spec: Mapping[str, Any]) -> str:
    import vl_convert

    return vl_convert.vegalite_to_svg(json.dumps(spec), vl_version=VERSION, allowed_base_urls=[])


def _whole(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"$schema": f"https://vega.github.io/schema/vega-lite/v{VERSION[0]}.json", "config": _CONFIG, **spec}


def _file(charts: Sequence[Chart]) -> Any:
    """One specification of all ``charts``, on paper, with their titles."""
    if not charts:
        raise UsageError("a picture of no chart", hint="ask for a chart that the audit has something for")
    titled = [{**chart.spec, "title": {"text": chart.title, "subtitle": chart.of}} for chart in charts]
    spec = titled[0] if len(titled) == 1 else {"vconcat": titled, "spacing": 36, "resolve": {"scale": _EACH_ITS_OWN}}
    return literal({**_whole(spec), "background": color("paper"), "padding": 16})


def _tidy(text: str, title: str, shows: str, name: str) -> str:
    ElementTree.register_namespace("", _SVG)
    root = ElementTree.fromstring(text)
    found = sorted({e.attrib["id"] for e in root.iter() if "id" in e.attrib}, key=lambda i: (len(i), i))
    ids = {old: f"{name}-{n}" for n, old in enumerate(found)}
    for element in root.iter():
        for child in [c for c in element if c.get("class") in ("background", "foreground") and not c.get("fill")]:
            element.remove(child)
        said = element.get("aria-label")
        if said is not None and element.get("aria-roledescription") == "mark":
            tip = ElementTree.Element(f"{{{_SVG}}}title")
            tip.text = said
            element.insert(0, tip)
        element.attrib = {key: _value(key, value, ids) for key, value in element.attrib.items() if _kept(key, value)}
    for n, (tag, said) in enumerate((("title", title), ("desc", shows))):
        head = ElementTree.Element(f"{{{_SVG}}}{tag}", {"id": f"{name}-{tag}"})
        head.text = said
        root.insert(n, head)
    root.attrib |= {"role": "img", "aria-labelledby": f"{name}-title {name}-desc", "font-family": FONT}
    return ElementTree.tostring(root, encoding="unicode")


def _kept(key: str, value: str) -> bool:
    """Whether an attribute says anything that the whole picture does not."""
    said = key in ("role", "class", "pointer-events", "font-family") or key.startswith("aria-")
    return not said and (key, value) not in (("opacity", "1"), ("font-weight", "normal"))


def _value(key: str, value: str, ids: Mapping[str, str]) -> str:
    """An attribute with identifiers of this picture, and no digits that nobody sees."""
    if key == "id":
        return ids[value]
    if key in ("d", "transform"):
        return re.sub(r"\d+\.\d{3,}", lambda m: f"{float(m[0]):.2f}", value)
    return re.sub(r"^url\(#([^)]+)\)$", lambda m: f"url(#{ids[m[1]]})", value)
