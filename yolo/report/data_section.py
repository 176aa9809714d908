"""Sections of a report about its data: health, statistics, anchors over the boxes' shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.anchors import canvas_shapes, measure_anchors
from yolo.config import LetterboxMode
from yolo.datasets.statistics import describe_boxes
from yolo.doctor.check import CANVAS, cheap_findings
from yolo.doctor.findings import Parts
from yolo.report.charts import Figure, shapes_chart, share_bar
from yolo.report.content import Content
from yolo.report.sections import DASH
from yolo.structs import Size

TIMES = "\N{MULTIPLICATION SIGN}"
MOST_CLASSES = 200
"""Classes that the table of numbers lists."""
MOST_SHAPES = 200_000
"""Boxes whose shapes are counted; of more, a random part."""


def data_health(parts: Parts, canvas: Size | None) -> dict[str, Any]:
    """Findings of the doctor that need no pictures, and statistics of each split."""
    size = canvas or CANVAS
    findings = [
        {
            "severity": each.kind.severity,
            "title": each.kind.title,
            "count": f"{each.count:,}",
            "remedy": each.kind.remedy,
            "examples": [shortened(str(spot)) for spot in each.spots[:3]],
        }
        for each in cheap_findings(parts, size=size)
    ]
    splits = [{**describe_boxes(part, size), "split": name} for name, part in parts.items()]
    return {"findings": findings, "splits": [split_rows(each) for each in splits], "classes": class_counts(splits)}


def shortened(text: str, most: int = 120) -> str:
    return text if len(text) <= most else f"…{text[-most:]}"


def split_rows(described: Mapping[str, Any]) -> dict[str, Any]:
    """Column of a split in the table of statistics."""
    shares, number = described["sizes"], described["boxes_per_picture"]
    width, height = described["picture_width"], described["picture_height"]
    return {
        "name": described["split"] or "all",
        "pictures": f"{described['pictures']:,}",
        "without boxes": f"{described['pictures_without_boxes']:,}",
        "boxes": f"{described['boxes']:,}",
        "ignored boxes": f"{described['ignored']:,}",
        "boxes per picture": DASH if number is None else f"{number['median']:g} (most {number['max']:g})",
        "picture size": DASH if width is None else f"{width['median']:.0f} {TIMES} {height['median']:.0f} px",
        "small boxes": f"{shares['small']:.0%}",
        "medium boxes": f"{shares['medium']:.0%}",
        "large boxes": f"{shares['large']:.0%}",
        "thinner than 8 px": f"{shares['thinner_than_8_px']:.1%}",
    }


def class_counts(splits: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Boxes of each class in each split, the commonest first."""
    names = list(dict.fromkeys(name for each in splits for name in each["classes"]))
    totals = {name: sum(each["classes"].get(name, {"boxes": 0})["boxes"] for each in splits) for name in names}
    most = max(totals.values(), default=0) or 1
    return [
        {
            "name": name,
            "counts": [f"{each['classes'].get(name, {'boxes': 0})['boxes']:,}" for each in splits],
            "bar": share_bar(totals[name] / most),
        }
        for name in sorted(names, key=lambda name: -totals[name])[:MOST_CLASSES]
    ]


def anchor_figure(content: Content, *, mode: LetterboxMode = "letterbox") -> Figure | None:
    """Anchors over the shapes of the first split's boxes, with how well they fit; None without either."""
    part = next(iter(content.parts.values()), None)
    if part is None or content.canvas is None or not content.anchors or part.ignore.all():
        return None
    shapes = np.asarray(canvas_shapes(part, content.canvas, mode=mode), np.float64)
    if len(shapes) > MOST_SHAPES:
        shapes = shapes[np.random.default_rng(0).choice(len(shapes), MOST_SHAPES, replace=False)]
    quality = {name: measure_anchors(shapes, np.asarray(each)) for name, each in content.anchors.items()}
    height, width = content.canvas
    fits = "; ".join(
        f"{name}: " * (len(quality) > 1)
        + f"mean IoU {each.mean_iou:.3f}, best possible recall {each.best_possible_recall:.3f}"
        for name, each in quality.items()
    )
    note = f"Sizes on the canvas of {width} {TIMES} {height} px. {fits}."
    anchors: dict[str, NDArray[np.float64]] = {
        name: np.asarray(each, np.float64) for name, each in content.anchors.items()
    }
    return shapes_chart(shapes, anchors, note=note)


def named_parts(**parts: Any) -> dict[str | None, Any]:
    """Splits by name, without those that are None."""
    return {name: part for name, part in parts.items() if part is not None}
