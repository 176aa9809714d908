"""Mosaics of four pictures, and pictures blended with another.

Four neighbours of the stream are one group. Each of the four can be a mosaic of the same four
pictures, with its own arrangement, crossing, zooms and crops: four mosaics for four decoded files.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.config import AugmentConfig
from yolo.datasets.augment.flip import FlipRules
from yolo.datasets.augment.labelled_boxes import Objects, joined
from yolo.datasets.augment.resize import place
from yolo.datasets.picture import Picture

GROUP = 4
"""Pictures of a mosaic."""

CROSSING = (0.25, 0.75)
"""Where the four meet, as a share of each side."""

MIXUP_CONCENTRATION = 32.0
"""The blend ratio is Beta(32, 32), as in Ultralytics' YOLO: both pictures stay well visible."""


def mosaic(
    canvas: NDArray[np.uint8],
    pictures: Sequence[Picture],
    *,
    config: AugmentConfig,
    flips: FlipRules,
    random: np.random.Generator,
) -> Objects:
    """Write four pictures around a random point of the canvas (H, W, 3), each mirrored or not by itself.

    A picture that is larger than its quarter is cropped at random; a smaller one touches the point.

    Returns:
        The objects of all four, cut at the edges of the quarters.
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
    return joined(parts)


def _start(length: float, low: int, high: int, *, random: np.random.Generator, meets_high: bool) -> float:
    """Where an axis of so many canvas pixels begins, in its quarter from ``low`` to ``high``."""
    side = high - low
    room = side - length
    if room < 0:
        # Drawn from beyond the edges and held there: else what lies at an edge would hardly ever be seen.
        return low + min(0.0, max(room, random.uniform(room - side, side)))
    return low + room if meets_high else low


def mixup(canvas: NDArray[np.uint8], other: NDArray[np.uint8], random: np.random.Generator) -> None:
    """Blend the canvas (H, W, 3), in place, with another as large (Zhang et al. 2018)."""
    share = random.beta(MIXUP_CONCENTRATION, MIXUP_CONCENTRATION)
    cv2.addWeighted(canvas, share, other, 1 - share, 0, dst=canvas)
