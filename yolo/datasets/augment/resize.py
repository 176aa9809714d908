"""Pictures onto a canvas by zoom, shift and flip: one resize, straight into the canvas' memory.

This is what most training pictures need. A general warp costs several times as much (`yolo.datasets.augment.warp`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.datasets.augment.labelled_boxes import Objects, Window, cut
from yolo.structs import Size

LARGEST_BILINEAR_SHRINK = 0.5
"""Below this zoom pixels are averaged: bilinear interpolation would skip some."""


class Axis(NamedTuple):
    """How one axis of a picture comes onto the canvas, in whole pixels on both sides."""

    first: int
    """The first pixel of the picture that is needed."""
    last: int
    """The last one, exclusive."""
    start: int
    """Where on the canvas the first one goes; may lie before the window."""
    length: int
    """How long the needed part is on the canvas."""
    low: int
    """First canvas pixel that is written."""
    high: int
    """The last one, exclusive; no more than ``low``: nothing is seen."""

    @property
    def scale(self) -> float:
        """Canvas pixels for one of the picture."""
        return self.length / (self.last - self.first)

    @property
    def shift(self) -> float:
        """Where the picture's own zero lies on the canvas."""
        return self.start - self.first * self.scale


def axis(length: int, *, zoom: float, start: float, window: tuple[int, int]) -> Axis:
    """The part of an axis that is seen in a window of the canvas.

    Whole pixels of the picture become whole pixels of the canvas, so zoom and start are met up to
    the rounding of one pixel; `Axis.scale` and `Axis.shift` are what it really comes to.

    Args:
        length: of the picture, in its pixels.
        zoom: canvas pixels for one of the picture.
        start: where on the canvas the picture begins.
        window: (low, high) the canvas pixels that may be written.
    """
    low, high = window
    first = min(length - 1, max(0, math.floor((low - start) / zoom)))
    last = max(first + 1, min(length, math.ceil((high - start) / zoom)))
    begin = math.floor(start + first * zoom + 0.5)
    span = max(1, math.floor(start + last * zoom + 0.5) - begin)
    return Axis(first, last, begin, span, max(low, begin), min(high, begin + span))


def place(
    canvas: NDArray[np.uint8],
    image: NDArray[np.uint8],
    objects: Objects,
    *,
    flip: bool,
    zoom: float,
    start: tuple[float, float],
    window: Window,
) -> Objects:
    """Write a picture onto the canvas, and say where its objects are then.

    Args:
        canvas: (H, W, 3), is changed where the picture is seen and nowhere else.
        image: (h, w, 3), stays as it is.
        objects: in the pixels of the picture, of the mirrored one with ``flip``.
        flip: mirror the picture.
        zoom: canvas pixels for one of the picture.
        start: (y, x) where on the canvas the picture begins.
        window: the part of the canvas that may be written.

    Returns:
        The objects in canvas pixels, cut at what is seen of the picture.
    """
    top, left, bottom, right = window
    rows = axis(image.shape[0], zoom=zoom, start=start[0], window=(top, bottom))
    columns = axis(image.shape[1], zoom=zoom, start=start[1], window=(left, right))
    if rows.low >= rows.high or columns.low >= columns.high:
        return objects.chosen(np.zeros(len(objects.boxes), np.bool_))
    _write(canvas, image, rows=rows, columns=columns, flip=flip)
    scale = np.array([columns.scale, rows.scale] * 2, np.float32)
    moved = objects._replace(boxes=objects.boxes * scale + np.array([columns.shift, rows.shift] * 2, np.float32))
    return cut(moved, (rows.low, columns.low, rows.high, columns.high))


def _write(canvas: NDArray[np.uint8], image: NDArray[np.uint8], *, rows: Axis, columns: Axis, flip: bool) -> None:
    """Resize what is seen of the picture into the canvas; ``columns`` are those of the mirrored one with ``flip``."""
    first, last = columns.first, columns.last
    left, right = columns.low - columns.start, columns.high - columns.start
    if flip:
        first, last = image.shape[1] - last, image.shape[1] - first
        left, right = columns.length - right, columns.length - left
    resized = _resized(image[rows.first : rows.last, first:last], (rows.length, columns.length))
    seen = resized[rows.low - rows.start : rows.high - rows.start, left:right]
    target = canvas[rows.low : rows.high, columns.low : columns.high]
    if flip:
        cv2.flip(seen, 1, dst=target)
    else:
        target[...] = seen


def _resized(image: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """The picture at (height, width); the very same array where it has that size."""
    if image.shape[:2] == size:
        return image
    rows, columns = size
    shrinks = min(rows / image.shape[0], columns / image.shape[1]) < LARGEST_BILINEAR_SHRINK
    return cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
