"""Parts of an image that boxes cover, as arrays of their own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def crop_boxes(image: NDArray[np.uint8], boxes: NDArray[np.float32], *, margin: float) -> list[NDArray[np.uint8]]:
    """Copy the pixels under each box; pixels that a box touches are whole, and the image's edge clips it.

    Args:
        image: (H, W, 3) RGB.
        boxes: (N, 4) xyxy.
        margin: addition on every side of a box, as a fraction of its width and height.

    Returns:
        N arrays (h, w, 3); one of a box outside of the image has no pixels.
    """
    height, width = image.shape[:2]
    sides = boxes[:, 2:] - boxes[:, :2]
    low = np.floor(boxes[:, :2] - margin * sides)
    high = np.ceil(boxes[:, 2:] + margin * sides)
    limits = np.clip(np.concatenate([low, high], axis=1), 0, [width, height, width, height]).astype(int)
    return [image[y1:y2, x1:x2].copy() for x1, y1, x2, y2 in limits.tolist()]
