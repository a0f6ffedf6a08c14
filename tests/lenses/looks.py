"""Audits with what lenses saw, made by hand for the tests of documents, reports and charts."""

from __future__ import annotations

from dataclasses import replace

from prune_audit.core import Audit, Drawing, Drawn, Field, Look, Table
from tests.reports import audits


def table(kind: Drawing = "grid") -> Table:
    """Two layers by two classes; one value is absent."""
    axes = {"grid": ("class", "layer"), "scatter": ("change", "loss"), "dots": ("change", "layer")}
    x, y = axes.get(kind, ("layer", "change"))
    return Table(
        name="cells",
        title="Layers and classes",
        fields=(
            Field(name="layer", title="layer", unit="label"),
            Field(name="class", title="class", unit="label"),
            Field(name="change", title="change", unit="points", meaning="given back less newly lost"),
            Field(name="low", title="low", unit="points"),
            Field(name="high", title="high", unit="points"),
            Field(name="loss", title="loss", unit="nats"),
        ),
        rows=(
            ("conv1", "7", -0.2, -0.3, -0.1, 1.5),
            ("conv1", "=8", 0.1, 0.05, 0.15, 0.25),
            ("conv2", "7", 0.004, -0.01, 0.02, 0.125),
            ("conv2", "=8", None, None, None, None),
        ),
        notes=("=8 was not tried in conv2",),
        drawn=(
            Drawn(
                kind=kind,
                title="A drawing",
                shows="conv1 costs 7 most.",
                reading="Each cell is a class.",
                x=x,
                y=y,
                value="change" if kind == "grid" else "",
                low="low" if kind in ("dots", "lines") else "",
                high="high" if kind in ("dots", "lines") else "",
                group="" if kind == "grid" else "class",
            ),
        ),
    )


def looked(kind: Drawing = "grid") -> Audit:
    """An audit of ten classes with what two lenses saw, one of which could not look."""
    audit = audits.ten()
    seen = Look(
        lens="layers", title="Which layer?", sentences=("No single layer <explains> this.",), tables=(table(kind),)
    )
    blind = Look(lens="loss-shift", title="Why?", absent="pruned-90 is ONNX, and this lens needs gradients")
    comparison = replace(
        audit.comparisons[0], looks=(seen, blind), explained=("Nothing explains who lost.", "Try `mitigate`.")
    )
    return replace(audit, comparisons=(comparison,))
