"""SVG elements of the charts: a plot area with axes, lines, points and bars, coloured by the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

WIDTH, HEIGHT = 400, 280
"""Size of a chart in its own units, of which one is about a pixel, on a telephone too."""
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 14, 38
"""Margins around the plot area."""

Range = tuple[float, float]


@dataclass
class Chart:
    """Plot area with two axes."""

    label: str
    """Description for those who do not see the chart."""
    x_range: Range
    y_range: Range
    x_log: bool = False
    y_log: bool = False
    height: int = HEIGHT
    left: int = LEFT
    root: ElementTree.Element = field(init=False)

    def __post_init__(self) -> None:
        self.root = ElementTree.Element(
            "svg",
            {"viewBox": f"0 0 {WIDTH} {self.height}", "role": "img", "aria-label": self.label, "class": "chart"},
        )

    def x(self, value: float) -> float:
        """Horizontal place of a value."""
        return self.left + share(value, self.x_range, log=self.x_log) * (WIDTH - self.left - RIGHT)

    def y(self, value: float) -> float:
        """Vertical place of a value."""
        return self.height - BOTTOM - share(value, self.y_range, log=self.y_log) * (self.height - BOTTOM - TOP)

    def axes(
        self,
        *,
        x_label: str,
        y_label: str,
        x_ticks: Sequence[float],
        y_ticks: Sequence[float],
        form: Callable[[float], str] = "{:g}".format,
    ) -> None:
        """Draw grid, numbers and labels, before anything else is drawn: wide numbers move the left edge."""
        self.left = max(self.left, 24 + math.ceil(6.6 * max((len(form(tick)) for tick in y_ticks), default=0)))
        right, floor = WIDTH - RIGHT, self.height - BOTTOM
        for tick in y_ticks:
            add(self.root, "line", x1=self.left, x2=right, y1=self.y(tick), y2=self.y(tick), cls="grid")
            add(self.root, "text", form(tick), x=self.left - 6, y=self.y(tick) + 4, cls="tick end")
        for tick in x_ticks:
            add(self.root, "line", x1=self.x(tick), x2=self.x(tick), y1=TOP, y2=floor, cls="grid")
            add(self.root, "text", form(tick), x=self.x(tick), y=floor + 15, cls="tick middle")
        add(self.root, "text", x_label, x=(self.left + right) / 2, y=self.height - 5, cls="axis middle")
        middle = (TOP + floor) / 2
        add(self.root, "text", y_label, x=11, y=middle, cls="axis middle", transform=f"rotate(-90 11 {number(middle)})")

    def line(self, xs: Iterable[float], ys: Iterable[float], cls: str, *, name: str = "", step: bool = False) -> None:
        """Draw a line through points; those that are not finite are left out."""
        places = [(self.x(x), self.y(y)) for x, y in zip(xs, ys, strict=True) if math.isfinite(x) and math.isfinite(y)]
        if not places:
            return
        if len(places) == 1:
            self.titled("circle", name, cx=places[0][0], cy=places[0][1], r=3, cls=f"{cls} dot")
            return
        path = f"M{number(places[0][0])} {number(places[0][1])}"
        for x, y in places[1:]:
            path += f"H{number(x)}V{number(y)}" if step else f"L{number(x)} {number(y)}"
        self.titled("path", name, d=path, cls=f"{cls} line")

    def titled(self, tag: str, name: str, **attributes: Any) -> None:
        """Add an element that shows its name under the pointer."""
        element = add(self.root, tag, **attributes)
        if name:
            add(element, "title", name)

    def markup(self) -> str:
        """Return the chart as markup, with all texts escaped."""
        return markup(self.root)


def share(value: float, span: Range, *, log: bool = False) -> float:
    """Place of a value between the ends of a range, 0 to 1; outside values are put on the nearer end."""
    low, high = span
    if log:
        value, low, high = (math.log(max(each, 1e-12)) for each in (value, low, high))
    return min(max((value - low) / (high - low), 0.0), 1.0) if high > low else 0.0


def add(
    parent: ElementTree.Element, tag: str, text: str = "", *, cls: str = "", **attributes: Any
) -> ElementTree.Element:
    """Add an element; numbers are written with a tenth of a unit, which no eye tells from more."""
    values = {
        name.replace("_", "-"): number(value) if isinstance(value, int | float) else str(value)
        for name, value in attributes.items()
    }
    element = ElementTree.SubElement(parent, tag, values | ({"class": cls} if cls else {}))
    element.text = text or None
    return element


def number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def markup(element: ElementTree.Element) -> str:
    return ElementTree.tostring(element, encoding="unicode")


def ticks(low: float, high: float, *, about: int = 5) -> list[float]:
    """Round numbers between two values, at steps of 1, 2 or 5 times a power of ten."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return [low] if math.isfinite(low) else []
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 12) for number in range(first, math.floor(high / step + 1e-9) + 1)]
