"""Mosaic of four images, and mixup of two.

Four neighbours of the stream form a group. Each of the four can become a mosaic of the same four images, with its own
arrangement, centre, zooms and crops: four mosaics for four decoded files.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.config import AugmentConfig
from yolo.datasets.augment.flip import FlipRules
from yolo.datasets.augment.labelled_boxes import LabelledBoxes, concatenate
from yolo.datasets.augment.resize import place
from yolo.datasets.picture import Picture

GROUP = 4
"""Number of images in a mosaic."""

CROSSING = (0.25, 0.75)
"""Range of the point where the four images meet, as a fraction of each side."""

MIXUP_CONCENTRATION = 32.0
"""Parameter of the blend ratio's Beta(32, 32), as in Ultralytics' YOLO: both images stay well visible."""


def mosaic(
    canvas: NDArray[np.uint8],
    pictures: Sequence[Picture],
    *,
    config: AugmentConfig,
    flips: FlipRules,
    random: np.random.Generator,
) -> LabelledBoxes:
    """Put four images around a random point of the canvas (H, W, 3), each flipped or not on its own.

    An image larger than its quarter is cropped at random; a smaller one touches the point.

    Returns:
        Boxes of all four, clipped at the edges of the quarters.
    """
    height, width = canvas.shape[:2]
    y, x = (round(share * side) for share, side in zip(random.uniform(*CROSSING, 2), (height, width), strict=True))
    quarters = ((0, 0, y, x), (0, x, y, width), (y, 0, height, x), (y, x, height, width))
    parts = []
    for quarter, window in zip(random.permutation(GROUP), quarters, strict=True):
        picture = pictures[quarter]
        objects, flip = flips.draw(picture, random)
        zoom = random.uniform(1 - config.scale, 1 + config.scale)
        start = (
            _start(picture.image.shape[0] * zoom, window[0], window[2], random=random, meets_high=window[0] == 0),
            _start(picture.image.shape[1] * zoom, window[1], window[3], random=random, meets_high=window[1] == 0),
        )
        parts.append(place(canvas, picture.image, objects, flip=flip, zoom=zoom, start=start, window=window))
    return concatenate(parts)


def _start(length: float, low: int, high: int, *, random: np.random.Generator, meets_high: bool) -> float:
    """Start of an image axis of a given length in canvas pixels, in its quarter from ``low`` to ``high``."""
    side = high - low
    room = side - length
    if room < 0:
        # Sample past the edges and clamp, so that objects at the border are shown as often as others.
        return low + min(0.0, max(room, random.uniform(room - side, side)))
    return low + room if meets_high else low


def mixup(canvas: NDArray[np.uint8], other: NDArray[np.uint8], random: np.random.Generator) -> None:
    """Blend another image of the same size into the canvas (H, W, 3), in place (Zhang et al. 2018)."""
    share = random.beta(MIXUP_CONCENTRATION, MIXUP_CONCENTRATION)
    cv2.addWeighted(canvas, share, other, 1 - share, 0, dst=canvas)
