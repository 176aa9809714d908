"""Charts of a report, each from plain data, as SVG markup for dark and light pages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from yolo.report.svg import Chart, add, markup, ticks

FIFTHS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
MOST_POINTS, MOST_THIN_POINTS = 700, 100
"""Points that are drawn of a line, and of one of many thin lines."""
COLOURS = 4
"""Colours of lines in the style sheet: c0 to c3."""
CELLS = 44
"""Cells of the shapes' chart along each side."""


@dataclass(frozen=True)
class Line:
    """Named line of a chart."""

    name: str
    x: Sequence[float] | NDArray[np.float64]
    y: Sequence[float] | NDArray[np.float64]
    cls: str = "c0"
    """Class of the style sheet: ``c0`` to ``c3``, ``thin``, or several."""


@dataclass(frozen=True)
class Figure:
    """Chart with its title, explanation and legend."""

    title: str
    svg: str
    note: str = ""
    legend: tuple[tuple[str, str], ...] = ()
    """Class of the style sheet and text of each entry."""


def unit_chart(
    title: str,
    lines: Sequence[Line],
    *,
    x_label: str,
    y_label: str,
    note: str = "",
    at: float | None = None,
    diagonal: bool = False,
) -> Figure:
    """Chart of lines whose both axes go from 0 to 1.

    Args:
        title: title of the figure.
        lines: the lines, the last one on top.
        x_label: name of the horizontal axis.
        y_label: name of the vertical axis.
        note: explanation below the chart.
        at: place of a vertical mark.
        diagonal: draw the line on which both are equal.
    """
    chart = Chart(f"{title}: {y_label} over {x_label}", (0, 1), (0, 1))
    chart.axes(x_label=x_label, y_label=y_label, x_ticks=FIFTHS, y_ticks=FIFTHS)
    if diagonal:
        chart.line((0, 1), (0, 1), "faint dashed")
    if at is not None:
        chart.line((at, at), (0, 1), "mark dashed", name=f"{at:.2f}")
    draw_lines(chart, lines)
    return Figure(title, chart.markup(), note, legend_of(lines))


def draw_lines(chart: Chart, lines: Sequence[Line]) -> None:
    for line in lines:
        most = MOST_THIN_POINTS if "thin" in line.cls else MOST_POINTS
        x, y = some_points(np.asarray(line.x, np.float64), np.asarray(line.y, np.float64), most)
        chart.line(x.tolist(), y.tolist(), line.cls, name=line.name)


def legend_of(lines: Sequence[Line]) -> tuple[tuple[str, str], ...]:
    """Entries of the lines that have a colour; none for a single line."""
    named = [(line.cls, line.name) for line in lines if "thin" not in line.cls]
    return tuple(named) if len(named) > 1 else ()


def some_points(
    x: NDArray[np.float64], y: NDArray[np.float64], most: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Keep at most so many points of a line, evenly by number, its ends among them."""
    if len(x) <= most:
        return x, y
    kept = np.unique(np.linspace(0, len(x) - 1, most).round().astype(int))
    return x[kept], y[kept]


def epochs_chart(
    title: str, lines: Sequence[Line], *, y_label: str, unit: bool = False, note: str = ""
) -> Figure | None:
    """Chart of values over epochs, which begin with 1; None without a value."""
    values = np.concatenate([np.asarray(line.y, np.float64) for line in lines]) if lines else np.zeros(0)
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    last = max(max((float(x) for x in line.x), default=1.0) for line in lines)
    top = 1.0 if unit else float(values.max()) * 1.05 or 1.0
    chart = Chart(f"{title} over the epochs", (1, max(last, 2.0)), (0, top))
    whole = [tick for tick in ticks(1, max(last, 2.0)) if tick == int(tick)]
    chart.axes(x_label="epoch", y_label=y_label, x_ticks=whole, y_ticks=FIFTHS if unit else ticks(0, top))
    draw_lines(chart, lines)
    return Figure(title, chart.markup(), note, legend_of(lines))


def reliability_chart(
    edges: NDArray[np.float64],
    counts: NDArray[np.int64],
    confidence: NDArray[np.float64],
    accuracy: NDArray[np.float64],
    *,
    title: str,
    note: str,
) -> Figure:
    """Reliability diagram: the share of right detections over their score, with the number of detections below.

    Args:
        edges: (B + 1,) borders of the bins.
        counts: (B,) number of detections.
        confidence: (B,) mean score.
        accuracy: (B,) share that is right.
        title: title of the figure.
        note: explanation below the chart.
    """
    chart = Chart("share of right detections over the score", (0, 1), (0, 1))
    chart.axes(x_label="score", y_label="share that is right", x_ticks=FIFTHS, y_ticks=FIFTHS)
    most = max(int(counts.max(initial=0)), 1)
    for low, high, count in zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True):
        # The square root shows bins of few detections beside the many of low scores.
        top = 0.28 * math.sqrt(count / most)
        chart.titled(
            "rect",
            f"{count:,} detections with scores of {low:.2f} to {high:.2f}",
            x=chart.x(low) + 0.5,
            y=chart.y(top),
            width=max(chart.x(high) - chart.x(low) - 1, 0.5),
            height=chart.y(0) - chart.y(top),
            cls="bars",
        )
    chart.line((0, 1), (0, 1), "faint dashed")
    full = np.flatnonzero(counts > 0)
    if len(full) > 1:
        chart.line(confidence[full].tolist(), accuracy[full].tolist(), "c0")
    for row in full.tolist():
        name = f"score {confidence[row]:.2f}: {accuracy[row]:.2f} right, {counts[row]:,} detections"
        chart.titled("circle", name, cx=chart.x(confidence[row]), cy=chart.y(accuracy[row]), r=3.2, cls="c0 dot")
    return Figure(title, chart.markup(), note)


def shapes_chart(shapes: NDArray[np.float64], anchors: Mapping[str, NDArray[np.float64]], *, note: str = "") -> Figure:
    """Chart of widths and heights of boxes in pixels of the canvas, on logarithmic axes, with anchors over them.

    Args:
        shapes: (K, 2) width and height.
        anchors: (N, 2) of each set by name.
        note: explanation below the chart.
    """
    shapes = np.maximum(shapes, 1.0)
    every = np.concatenate([shapes, *(np.asarray(each, np.float64) for each in anchors.values())])
    low, high = float(every.min(initial=16)) / 1.25, float(every.max(initial=64)) * 1.25
    chart = Chart("widths and heights of the boxes, and the anchors", (low, high), (low, high), True, True, height=370)
    powers = [2.0**power for power in range(11) if low <= 2.0**power <= high]
    chart.axes(x_label="width in px", y_label="height in px", x_ticks=powers, y_ticks=powers)
    edges = np.geomspace(low, high, CELLS + 1)
    cells = np.histogram2d(shapes[:, 0], shapes[:, 1], [edges, edges])[0]
    for column, row in np.argwhere(cells > 0).tolist():
        left, right = chart.x(edges[column]), chart.x(edges[column + 1])
        upper, lower = chart.y(edges[row + 1]), chart.y(edges[row])
        shade = 0.18 + 0.82 * math.sqrt(cells[column, row] / cells.max())
        add(
            chart.root,
            "rect",
            x=left,
            y=upper,
            width=right - left,
            height=lower - upper,
            cls="cell",
            fill_opacity=f"{shade:.2f}",
        )
    legend = [("cell", "boxes; darker: more of them")]
    for index, (name, each) in enumerate(anchors.items()):
        for width, height in np.asarray(each, np.float64).tolist():
            draw_anchor(chart, f"{name}: {width:.0f} x {height:.0f} px", chart.x(width), chart.y(height), index)
        legend.append((f"anchor{index}", f"{name} anchors" if "anchors" not in name else name))
    return Figure("Anchors over the boxes' shapes", chart.markup(), note, tuple(legend))


def draw_anchor(chart: Chart, name: str, x: float, y: float, index: int) -> None:
    """Draw an anchor: a diamond in the first set, a circle in others."""
    if index:
        chart.titled("circle", name, cx=x, cy=y, r=4.5, cls=f"anchor{index}")
    else:
        chart.titled("path", name, d=f"M{x:.1f} {y - 6.5:.1f}l6.5 6.5l-6.5 6.5l-6.5 -6.5z", cls="anchor0")


def interval_bar(value: float, low: float, high: float) -> str:
    """Small bar of a value in 0..1 with its interval, for a cell of a table."""
    root = cell_root("interval", f"{value:.3f}, {low:.3f} to {high:.3f}" if math.isfinite(low) else f"{value:.3f}")
    add(root, "line", x1=1, x2=99, y1=8, y2=8, cls="track")
    if math.isfinite(low) and math.isfinite(high):
        add(root, "line", x1=1 + 98 * low, x2=1 + 98 * high, y1=8, y2=8, cls="range")
    if math.isfinite(value):
        add(root, "circle", cx=1 + 98 * value, cy=8, r=3.4, cls="point")
    return markup(root)


def share_bar(value: float) -> str:
    """Small bar of a share in 0..1, for a cell of a table."""
    root = cell_root("share", f"{value:.3f}")
    if math.isfinite(value):
        add(root, "rect", x=1, y=3, width=max(98 * min(max(value, 0.0), 1.0), 0.6), height=10, rx=1.5, cls="fill")
    return markup(root)


def difference_bar(value: float, low: float, high: float, *, most: float) -> str:
    """Small bar of a difference with its interval around a zero in the middle; ``most`` reaches the ends."""
    root = cell_root("interval", f"{value:+.3f}, {low:+.3f} to {high:+.3f}" if math.isfinite(low) else f"{value:+.3f}")
    add(root, "line", x1=1, x2=99, y1=8, y2=8, cls="track")
    add(root, "line", x1=50, x2=50, y1=1, y2=15, cls="track")
    if math.isfinite(low) and math.isfinite(high):
        add(root, "line", x1=50 + 49 * low / most, x2=50 + 49 * high / most, y1=8, y2=8, cls="range")
    if math.isfinite(value):
        add(root, "circle", cx=50 + 49 * value / most, cy=8, r=3.4, cls="point")
    return markup(root)


def cell_root(cls: str, label: str) -> ElementTree.Element:
    """Root of a small picture in a cell of a table."""
    values = {"viewBox": "0 0 100 16", "class": f"cellbar {cls}", "role": "img", "aria-label": label}
    return ElementTree.Element("svg", values)
