"""Labels beside the points of a plot that cover neither each other nor the points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from yolo.images.plots import INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FONT = 9
POINT = 7.0
"""Half the side of a point and its surroundings, in typographic points."""
STEPS = 16
"""Number of distances that are tried around a point."""

Rectangle = tuple[float, float, float, float]
"""x0, y0, x1, y1."""


def place_labels(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], texts: Sequence[str]) -> None:
    """Write a text beside each point (x, y), as near as there is room; a thin line leads to those further away.

    The limits of the axes must be final.
    """
    figure: Any = axes.figure
    figure.canvas.draw()  # the layout is known from here on
    scale = figure.dpi / 72
    points = axes.transData.transform(np.stack([x, y], axis=1))
    taken: list[Rectangle] = [around(px, py, POINT * scale) for px, py in points]
    frame = axes.get_window_extent()
    inside = (frame.x0, frame.y0, frame.x1, frame.y1)
    for (px, py), at, text in zip(points, zip(x, y, strict=True), texts, strict=True):
        note = axes.annotate(text, at, (0, 0), textcoords="offset points", fontsize=FONT, color=INK)
        size = note.get_window_extent()
        dx, dy = free_place((px, py), (size.width, size.height), taken, inside, step=POINT * scale)
        margin = POINT * scale / 2  # else neighbours read as one word
        taken.append((px + dx - margin, py + dy, px + dx + size.width + margin, py + dy + size.height))
        note.remove()
        near = max(abs(dx + size.width / 2), abs(dy + size.height / 2)) < 3 * POINT * scale
        axes.annotate(
            text,
            at,
            (dx / scale, dy / scale),
            textcoords="offset points",
            fontsize=FONT,
            color=INK,
            va="bottom",
            arrowprops=None if near else {"arrowstyle": "-", "color": "#999999", "linewidth": 0.7, "shrinkB": 5},
        )


def around(x: float, y: float, half: float) -> Rectangle:
    return x - half, y - half, x + half, y + half


def free_place(
    point: tuple[float, float],
    size: tuple[float, float],
    taken: Sequence[Rectangle],
    inside: Rectangle,
    *,
    step: float,
) -> tuple[float, float]:
    """Nearest place for a label, tried above, below, to the right and to the left, further and further away.

    Args:
        point: (x, y) of the point.
        size: (width, height) of the label.
        taken: what must not be covered.
        inside: frame that the label must not leave.
        step: distance between two tries, all in one unit.

    Returns:
        (x, y) of the label's lower left corner from the point; above the point if no place is free.
    """
    (px, py), (width, height) = point, size
    tries = [
        place
        for distance in (1.3 * step * number for number in range(1, STEPS))
        for place in (
            (-width / 2, distance),
            (-width / 2, -distance - height),
            (distance, -height / 2),
            (-distance - width, -height / 2),
        )
    ]
    for dx, dy in tries:
        place = (px + dx, py + dy, px + dx + width, py + dy + height)
        if within(place, inside) and not any(overlap(place, other) for other in taken):
            return dx, dy
    return tries[0]


def within(inner: Rectangle, outer: Rectangle) -> bool:
    return inner[0] >= outer[0] and inner[1] >= outer[1] and inner[2] <= outer[2] and inner[3] <= outer[3]


def overlap(a: Rectangle, b: Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
