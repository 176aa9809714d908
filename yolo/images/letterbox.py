"""Mapping between an image and the network's canvas; the only module that knows both frames.

``letterbox`` keeps the aspect ratio and pads with grey; ``stretch`` is Darknet's plain resize, number for number. Both
are affine maps of continuous pixels, so boxes go there and back without loss.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.config import LetterboxMode

Pixels = TypeVar("Pixels", NDArray[np.uint8], NDArray[np.float32])

REMAP_LIMIT = 2**15 - 2
"""Longest side that OpenCV's remap accepts."""
CANVAS_GREY = 127
"""Grey of the padding, Darknet's 0.5."""


@dataclass(frozen=True)
class Letterbox:
    """Map from an image of ``image_size`` to a canvas of ``canvas_size``, both (height, width)."""

    image_size: tuple[int, int]
    canvas_size: tuple[int, int]
    mode: LetterboxMode = "letterbox"
    whole: tuple[int, int] | None = None
    """(height, width) of the canvas that gives the scale; None: ``canvas_size``."""

    def trimmed(self, stride: int) -> Letterbox:
        """Map to the smallest canvas, of multiples of ``stride``, that holds the image at the same scale."""
        rows, columns = (-(-side // stride) * stride for side in self.inner_size)
        size = (min(rows, self.canvas_size[0]), min(columns, self.canvas_size[1]))
        return replace(self, canvas_size=size, whole=self.whole or self.canvas_size)

    @property
    def inner_size(self) -> tuple[int, int]:
        """Size (height, width) of the image on the canvas, in whole pixels, at least one."""
        if self.mode == "stretch":
            return self.canvas_size
        (height, width), (rows, columns) = self.image_size, self.whole or self.canvas_size
        scale = min(rows / height, columns / width)
        return max(1, round(height * scale)), max(1, round(width * scale))

    @property
    def offset(self) -> tuple[int, int]:
        """Position (top, left) of the image on the canvas."""
        inner = self.inner_size
        return (self.canvas_size[0] - inner[0]) // 2, (self.canvas_size[1] - inner[1]) // 2

    @property
    def scale(self) -> tuple[float, float]:
        """Canvas pixels per image pixel, (vertical, horizontal); they differ by rounding only."""
        inner = self.inner_size
        return inner[0] / self.image_size[0], inner[1] / self.image_size[1]

    def resize(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize the image (H, W, 3) uint8 to `inner_size`, without padding."""
        if image.shape[:2] != self.image_size:
            raise ValueError(f"expected a picture of {self.image_size}, got {image.shape[:2]}")
        if self.mode == "stretch":
            return stretch(image, self.canvas_size)
        rows, columns = self.inner_size
        # Average when shrinking a lot: bilinear interpolation would skip pixels and alias.
        shrinks = min(self.scale) < 0.5
        interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return cv2.resize(image, (columns, rows), interpolation=interpolation).astype(np.uint8, copy=False)

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Put the image (H, W, 3) uint8 on its canvas, (rows, columns, 3) uint8."""
        return self.add_bars(self.resize(image))

    def add_bars(self, inner: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Centre the resized image (`resize`) on its canvas, (rows, columns, 3) uint8."""
        rows, columns = self.inner_size
        if (rows, columns) == self.canvas_size:
            return inner
        canvas = np.full((*self.canvas_size, 3), CANVAS_GREY, np.uint8)
        top, left = self.offset
        canvas[top : top + rows, left : left + columns] = inner
        return canvas

    def apply_exactly(self, image: NDArray[np.uint8]) -> NDArray[np.uint8] | NDArray[np.float32]:
        """Put the image on its canvas with the values of `apply_unrounded`, in uint8 where all of them are whole."""
        return self.apply(image) if self.mode == "letterbox" else self.apply_unrounded(image)

    def apply_unrounded(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Put the image on its canvas as `apply` does, but with ``stretch`` unrounded: scores match Darknet's."""
        if self.mode == "stretch":
            return stretch(image.astype(np.float32), self.canvas_size)
        return self.apply(image).astype(np.float32)

    def boxes_to_canvas(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map boxes (N, 4) xyxy from image to canvas pixels."""
        scale, offset = self._corners()
        return (boxes * scale + offset).astype(np.float32)

    def boxes_to_image(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map boxes (N, 4) xyxy from canvas to image pixels; not clipped."""
        scale, offset = self._corners()
        return ((boxes - offset) / scale).astype(np.float32)

    def _corners(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        (vertical, horizontal), (top, left) = self.scale, self.offset
        return (
            np.array([horizontal, vertical, horizontal, vertical]),
            np.array([left, top, left, top], np.float64),
        )


def stretch(image: Pixels, size: tuple[int, int]) -> Pixels:
    """Resize an image (H, W, 3) to (height, width) as the Darknet program does.

    Bilinear, with the corner pixels kept and no averaging when shrinking (resize_image in Darknet's image.c): networks
    trained there have seen nothing else.
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
    """Scales (N, 2), vertical and horizontal, of `Letterbox` for N image sizes (height, width) at once.

    Without the rounding to whole pixels: for statistics of many boxes.
    """
    scales = np.asarray(canvas_size, np.float64) / sizes
    if mode == "letterbox":
        scales[:] = scales.min(axis=1, keepdims=True)
    return scales
