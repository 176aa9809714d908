"""Shapes as annotation tools write them, and the boxes around them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from yolo.structs import Size

Corners = tuple[float, float, float, float]
"""Two opposite corners x, y, x, y."""
Point = tuple[float, float]
FARTHEST = 1e9
"""Largest coordinate that is read as it is; products of larger ones could overflow."""


def text(value: Any) -> str:
    """A text; empty for anything else."""
    return value if isinstance(value, str) else ""


def number(value: Any) -> float | None:
    """A number, also one written as text; NaN for one that is no coordinate; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        converted = float(value)
    except OverflowError:
        return math.nan
    except ValueError:
        return None
    return converted if abs(converted) <= FARTHEST else math.nan


def numbers(values: Sequence[Any]) -> list[float] | None:
    """Several numbers; None if one of the values is none."""
    converted = [number(each) for each in values]
    known = [each for each in converted if each is not None]
    return known if len(known) == len(converted) else None


def size_in(holder: Any, height: str = "height", width: str = "width") -> Size | None:
    """Annotated (height, width) under two keys of an object; None if one is missing or no number of pixels."""
    sides = numbers([holder.get(height), holder.get(width)]) if isinstance(holder, dict) else None
    return (int(sides[0]), int(sides[1])) if sides and sides[0] >= 1 and sides[1] >= 1 else None


def points(value: Any) -> list[Point] | None:
    """Points of a list of pairs, or of objects with x and y; None if it is something else, or empty."""
    if not isinstance(value, list) or not value:
        return None
    found = []
    for each in value:
        pair = [each.get("x"), each.get("y")] if isinstance(each, dict) else each
        pair = numbers(pair[:2]) if isinstance(pair, list) and len(pair) >= 2 else None
        if pair is None:
            return None
        found.append((pair[0], pair[1]))
    return found


def bounds(found: Sequence[Point]) -> Corners:
    """Box around points; NaN if one of them is."""
    xs, ys = [x for x, _ in found], [y for _, y in found]
    if any(map(math.isnan, (*xs, *ys))):
        return (math.nan,) * 4
    return min(xs), min(ys), max(xs), max(ys)


def from_size(x: float, y: float, width: float, height: float) -> Corners:
    """Box of a corner and a size."""
    return x, y, x + width, y + height


def from_centre(x: float, y: float, width: float, height: float) -> Corners:
    """Box of a centre and a size."""
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def ellipse_bounds(x: float, y: float, radius_x: float, radius_y: float, angle: float = 0.0) -> Corners:
    """Box around an ellipse with its centre at x, y, turned by an angle in radians."""
    cos, sin = math.cos(angle), math.sin(angle)
    half_width = math.hypot(radius_x * cos, radius_y * sin)
    half_height = math.hypot(radius_x * sin, radius_y * cos)
    return x - half_width, y - half_height, x + half_width, y + half_height


def turned_bounds(x: float, y: float, width: float, height: float, angle: float) -> Corners:
    """Box around a rectangle that is turned clockwise, by an angle in radians, about its corner x, y."""
    cos, sin = math.cos(angle), math.sin(angle)
    sides = ((0.0, 0.0), (width, 0.0), (0.0, height), (width, height))
    return bounds([(x + right * cos - down * sin, y + right * sin + down * cos) for right, down in sides])
