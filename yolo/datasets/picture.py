"""Image at the scale of the canvas with its boxes, as augmentation and batching exchange it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.structs import Boxes, Size


class Picture(NamedTuple):
    """Image resized for a canvas, without the padding, with N boxes."""

    image: NDArray[np.uint8]
    """(h, w, 3) RGB, one side as long as the canvas' (both with ``stretch``). Read-only, as a cache may share it."""
    boxes: Boxes
    """(N, 4) xyxy in pixels of ``image``."""
    labels: NDArray[np.int32]
    """(N,)"""
    ignore: NDArray[np.bool_]
    """(N,)"""
    index: int  # type: ignore[assignment]  # hides a tuple's own `index`
    """Index of the image in the Dataset."""
    size: Size
    """Height and width of the image as read."""
