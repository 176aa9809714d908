"""Between a picture and the network's canvas: the only place that crosses the two frames.

``letterbox`` keeps the picture's shape and fills the rest with grey; ``stretch`` is
Darknet's plain resize, number for number. Both are an affine map of continuous pixels, so boxes go there and
back without loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.config import LetterboxMode

Pixels = TypeVar("Pixels", NDArray[np.uint8], NDArray[np.float32])

REMAP_LIMIT = 2**15 - 2
"""OpenCV's remap takes no longer sides."""
GREY = 127
"""Darknet fills with 0.5."""


@dataclass(frozen=True)
class Letterbox:
    """The map from a picture of ``image_size`` onto a canvas of ``canvas_size``, (height, width) both."""

    image_size: tuple[int, int]
    canvas_size: tuple[int, int]
    mode: LetterboxMode = "letterbox"

    @property
    def inner_size(self) -> tuple[int, int]:
        """(height, width) of the picture on the canvas, whole pixels, at least one."""
        if self.mode == "stretch":
            return self.canvas_size
        (height, width), (rows, columns) = self.image_size, self.canvas_size
        scale = min(rows / height, columns / width)
        return max(1, round(height * scale)), max(1, round(width * scale))

    @property
    def offset(self) -> tuple[int, int]:
        """(top, left) of the picture on the canvas."""
        inner = self.inner_size
        return (self.canvas_size[0] - inner[0]) // 2, (self.canvas_size[1] - inner[1]) // 2

    @property
    def scale(self) -> tuple[float, float]:
        """(vertical, horizontal) canvas pixels for one picture pixel; they differ by rounding alone."""
        inner = self.inner_size
        return inner[0] / self.image_size[0], inner[1] / self.image_size[1]

    def resize(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The (H, W, 3) uint8 picture as large as it is on its canvas, without the bars: `inner_size`."""
        if image.shape[:2] != self.image_size:
            raise ValueError(f"expected a picture of {self.image_size}, got {image.shape[:2]}")
        if self.mode == "stretch":
            return stretch(image, self.canvas_size)
        rows, columns = self.inner_size
        # Averaging when shrinking much: bilinear would skip pixels and alias.
        shrinks = min(self.scale) < 0.5
        interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return cv2.resize(image, (columns, rows), interpolation=interpolation).astype(np.uint8, copy=False)

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The (H, W, 3) uint8 picture on its canvas, (rows, columns, 3) uint8."""
        return self.add_bars(self.resize(image))

    def add_bars(self, inner: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The resized picture (`resize`) in the middle of its canvas, (rows, columns, 3) uint8."""
        rows, columns = self.inner_size
        if (rows, columns) == self.canvas_size:
            return inner
        canvas = np.full((*self.canvas_size, 3), GREY, np.uint8)
        top, left = self.offset
        canvas[top : top + rows, left : left + columns] = inner
        return canvas

    def apply_unrounded(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """As `apply`, but ``stretch`` is not rounded to whole numbers: scores come out as Darknet's do."""
        if self.mode == "stretch":
            return stretch(image.astype(np.float32), self.canvas_size)
        return self.apply(image).astype(np.float32)

    def boxes_to_canvas(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 4) xyxy from the picture's pixels to the canvas'."""
        scale, offset = self._corners()
        return (boxes * scale + offset).astype(np.float32)

    def boxes_to_image(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 4) xyxy from the canvas' pixels to the picture's; not clipped."""
        scale, offset = self._corners()
        return ((boxes - offset) / scale).astype(np.float32)

    def _corners(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        (vertical, horizontal), (top, left) = self.scale, self.offset
        return (
            np.array([horizontal, vertical, horizontal, vertical]),
            np.array([left, top, left, top], np.float64),
        )


def stretch(image: Pixels, size: tuple[int, int]) -> Pixels:
    """A picture (H, W, 3) resized to (height, width) as the Darknet program does.

    Bilinear between corner pixels that stay corner pixels, without averaging when shrinking
    (resize_image in Darknet's image.c): networks trained there have seen nothing else.
    """
    if max(image.shape[:2]) > REMAP_LIMIT:
        image = cv2.resize(image, [min(side, REMAP_LIMIT) for side in image.shape[1::-1]], interpolation=cv2.INTER_AREA)
    down, across = (
        np.arange(new, dtype=np.float32) * np.float32((old - 1) / max(1, new - 1))
        for old, new in zip(image.shape[:2], size, strict=True)
    )
    columns, rows = np.meshgrid(across, down)
    return cv2.remap(image, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def letterbox_scales(
    sizes: NDArray[np.int32], canvas_size: tuple[int, int], mode: LetterboxMode = "letterbox"
) -> NDArray[np.float64]:
    """(N, 2) vertical and horizontal scale of `Letterbox` for N pictures' (height, width) at once.

    Without the rounding to whole pixels: for statistics of many boxes.
    """
    scales = np.asarray(canvas_size, np.float64) / sizes
    if mode == "letterbox":
        scales[:] = scales.min(axis=1, keepdims=True)
    return scales
