"""Zoom, shift and flip of an image onto a canvas: one resize, straight into the canvas' memory.

This suffices for most training images; a general warp (`yolo.datasets.augment.warp`) costs several times as much.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.datasets.augment.labelled_boxes import LabelledBoxes, Window, clip
from yolo.structs import Size

LARGEST_BILINEAR_SHRINK = 0.5
"""Zoom below which pixels are averaged, because bilinear interpolation would skip some."""


class Axis(NamedTuple):
    """Mapping of one image axis to the canvas, in whole pixels on both sides."""

    first: int
    """First image pixel needed."""
    last: int
    """Last image pixel needed, exclusive."""
    start: int
    """Canvas position of the first pixel; may lie before the window."""
    length: int
    """Length of the needed part on the canvas."""
    low: int
    """First canvas pixel written."""
    high: int
    """Last canvas pixel written, exclusive; at most ``low`` if nothing is visible."""

    @property
    def scale(self) -> float:
        """Canvas pixels per image pixel."""
        return self.length / (self.last - self.first)

    @property
    def shift(self) -> float:
        """Canvas position of the image's origin."""
        return self.start - self.first * self.scale


def axis(length: int, *, zoom: float, start: float, window: tuple[int, int]) -> Axis:
    """Compute which part of an axis is visible in a window of the canvas.

    Whole image pixels become whole canvas pixels, so zoom and start are met up to one pixel of rounding; `Axis.scale`
    and `Axis.shift` are the resulting values.

    Args:
        length: length of the image axis in pixels.
        zoom: canvas pixels per image pixel.
        start: canvas position where the image begins.
        window: (low, high) canvas pixels that may be written.
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
    objects: LabelledBoxes,
    *,
    flip: bool,
    zoom: float,
    start: tuple[float, float],
    window: Window,
) -> LabelledBoxes:
    """Write an image onto the canvas, and return its boxes there.

    Args:
        canvas: (H, W, 3), changed only where the image is visible.
        image: (h, w, 3), not changed.
        objects: boxes in pixels of the image, of the mirrored image with ``flip``.
        flip: mirror the image.
        zoom: canvas pixels per image pixel.
        start: (y, x) canvas position where the image begins.
        window: part of the canvas that may be written.

    Returns:
        Boxes in canvas pixels, clipped to the visible part of the image.
    """
    top, left, bottom, right = window
    rows = axis(image.shape[0], zoom=zoom, start=start[0], window=(top, bottom))
    columns = axis(image.shape[1], zoom=zoom, start=start[1], window=(left, right))
    if rows.low >= rows.high or columns.low >= columns.high:
        return objects.select(np.zeros(len(objects.boxes), np.bool_))
    _write(canvas, image, rows=rows, columns=columns, flip=flip)
    scale = np.array([columns.scale, rows.scale] * 2, np.float32)
    moved = objects._replace(boxes=objects.boxes * scale + np.array([columns.shift, rows.shift] * 2, np.float32))
    return clip(moved, (rows.low, columns.low, rows.high, columns.high))


def _write(canvas: NDArray[np.uint8], image: NDArray[np.uint8], *, rows: Axis, columns: Axis, flip: bool) -> None:
    """Resize the visible part into the canvas; ``columns`` are those of the mirrored image with ``flip``."""
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
    """Image at (height, width); the same array if it has that size."""
    if image.shape[:2] == size:
        return image
    rows, columns = size
    shrinks = min(rows / image.shape[0], columns / image.shape[1]) < LARGEST_BILINEAR_SHRINK
    return cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
