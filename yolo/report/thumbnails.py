"""Small pictures as parts of a page, of bounded size."""

from __future__ import annotations

import base64
import logging
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.datasets.annotations.sizes import was_resized
from yolo.errors import MediaError
from yolo.structs import Dataset, Size

logger = logging.getLogger(__name__)

SIDE = 480
"""Longer side of a picture, in pixels."""
LARGEST = 80_000
"""Bytes of an encoded picture: 24 of them stay under 2.6 MB as text."""
QUALITIES = (78, 66, 52, 38, 24, 12)
SMALLEST_SIDE = 64


@dataclass(frozen=True)
class Thumbnail:
    """Encoded picture and the part of the original that it shows."""

    uri: str
    """``data:`` address."""
    width: int
    height: int
    left: float
    """Left edge in the frame of the boxes."""
    top: float
    span: tuple[float, float]
    """Width and height of the part in the frame of the boxes."""


def thumbnail(
    dataset: Dataset, index: int, *, side: int = SIDE, around: NDArray[np.float64] | None = None
) -> Thumbnail | None:
    """Make a small picture; None, which is logged, if the image cannot be read.

    Args:
        dataset: the dataset.
        index: which of its images.
        side: longer side of the result, which is never enlarged.
        around: (4,) box in the frame of the boxes, with whose surroundings the result is content; None: all of it.
    """
    try:
        image = dataset.image(index)
    except MediaError as error:
        logger.debug("%s", error)
        return None
    height, width = image.shape[:2]
    stretch = frame_stretch(dataset, index, (height, width))
    whole = (0, 0, width, height)
    left, top, right, bottom = whole if around is None else surroundings(around * np.tile(stretch, 2), width, height)
    part = image[top:bottom, left:right]
    scale = min(1.0, side / max(part.shape[:2]))
    size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    small = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    return Thumbnail(
        uri="data:image/jpeg;base64," + base64.b64encode(encoded(np.asarray(small, np.uint8))).decode(),
        width=size[0],
        height=size[1],
        left=left / stretch[0],
        top=top / stretch[1],
        span=((right - left) / stretch[0], (bottom - top) / stretch[1]),
    )


def frame_stretch(dataset: Dataset, index: int, size: Size) -> tuple[float, float]:
    """Pixels of an image's file, of (height, width), to one of the frame of its boxes, along x and y."""
    height, width = (int(side) for side in dataset.sizes[index])
    return (size[1] / width, size[0] / height) if was_resized((height, width), size) else (1.0, 1.0)


def surroundings(box: NDArray[np.float64], width: int, height: int) -> tuple[int, int, int, int]:
    """Part of an image around a box: a square half as large again as its longer side, if the image is so large."""
    centre = (box[:2] + box[2:]) / 2
    half = max(float((box[2:] - box[:2]).max()) * 0.75, 24.0)
    sides = np.minimum(2 * half, [width, height])
    corner = np.clip(centre - sides / 2, 0, [width, height] - sides)
    left, top = (int(each) for each in np.floor(corner))
    right, bottom = (int(each) for each in np.ceil(corner + sides))
    return left, top, max(min(right, width), left + 1), max(min(bottom, height), top + 1)


def encoded(image: NDArray[np.uint8]) -> bytes:
    """Encode as JPEG in at most `LARGEST` bytes, by lower quality and then by halving."""
    bgr = np.ascontiguousarray(image[..., ::-1])
    while True:
        for quality in QUALITIES:
            data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
            if len(data) <= LARGEST or max(bgr.shape[:2]) < SMALLEST_SIDE:
                return data
        bgr = cv2.resize(bgr, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
