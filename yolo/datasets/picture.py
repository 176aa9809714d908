"""One image as augmentation and batching pass it on: its pixels on the scale of the canvas, with its boxes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.structs import Boxes, Size


class Picture(NamedTuple):
    """One picture as large as it is on a canvas, without the bars, with N boxes."""

    image: NDArray[np.uint8]
    """(h, w, 3) RGB, one side as long as the canvas' (both with ``stretch``). A cache may hold it: read-only."""
    boxes: Boxes
    """(N, 4) xyxy in pixels of ``image``."""
    labels: NDArray[np.int32]
    """(N,)"""
    ignore: NDArray[np.bool_]
    """(N,)"""
    index: int  # type: ignore[assignment]  # hides a tuple's own `index`
    """Which picture of the Dataset."""
    size: Size
    """Height and width of the picture as read."""
