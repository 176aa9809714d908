"""Canvas sizes of multi-scale training, one per batch (YOLOv3, section 2.5; YOLO9000, section 2)."""

from __future__ import annotations

import math

import numpy as np

from yolo.config import STRIDE
from yolo.datasets.pipeline.shuffle import CANVAS_DRAWS
from yolo.structs import Size


def canvases(canvas: Size, multi_scale: float) -> list[Size]:
    """Canvas sizes that can occur, small to large.

    The longer side takes every multiple of 32 between 1 - multi_scale and 1 + multi_scale times its own length; the
    shorter one is the multiple of 32 that keeps the aspect ratio best.

    Args:
        canvas: (height, width), multiples of 32.
        multi_scale: largest change, as a fraction; 0: only the canvas itself.
    """
    longest = max(canvas)
    # Tolerance for rounding: 0.3 as a float may miss the multiple it means.
    first = max(1, math.ceil(longest * (1 - multi_scale) / STRIDE - 1e-9))
    last = math.floor(longest * (1 + multi_scale) / STRIDE + 1e-9)
    height, width = canvas
    return [(_near(height * steps / longest), _near(width * steps / longest)) for steps in range(first, last + 1)]


def canvas_of_batch(canvas: Size, multi_scale: float, seed: int, number: int) -> Size:
    """Canvas size of one batch: uniform over `canvases`, a pure function of (seed, number)."""
    sizes = canvases(canvas, multi_scale)
    return sizes[int(np.random.default_rng([seed, CANVAS_DRAWS, number]).integers(len(sizes)))]


def _near(steps: float) -> int:
    """Multiple of 32 nearest to ``times`` x 32, at least 32."""
    return STRIDE * max(1, math.floor(steps + 0.5))
