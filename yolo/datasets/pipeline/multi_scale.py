"""Multi-scale training: each batch on a canvas of its own size (YOLOv3, section 2.5; YOLO9000, section 2)."""

from __future__ import annotations

import math

import numpy as np

from yolo.config import STRIDE
from yolo.datasets.pipeline.shuffle import CANVAS_DRAWS
from yolo.structs import Size


def canvases(canvas: Size, multi_scale: float) -> list[Size]:
    """Every size that can occur, small to large.

    The longer side takes every multiple of 32 between 1 - multi_scale and 1 + multi_scale times
    its own length; the shorter one is the multiple of 32 that keeps the shape best.

    Args:
        canvas: (height, width), multiples of 32.
        multi_scale: the largest change, as a share; 0: the canvas alone.
    """
    longest = max(canvas)
    # A share such as 0.3 may fall short of the multiple it means by a digit.
    first = max(1, math.ceil(longest * (1 - multi_scale) / STRIDE - 1e-9))
    last = math.floor(longest * (1 + multi_scale) / STRIDE + 1e-9)
    height, width = canvas
    return [(_near(height * steps / longest), _near(width * steps / longest)) for steps in range(first, last + 1)]


def canvas_of_batch(canvas: Size, multi_scale: float, seed: int, number: int) -> Size:
    """The size of one batch: each of `canvases` is as likely, a pure function of (seed, number)."""
    sizes = canvases(canvas, multi_scale)
    return sizes[int(np.random.default_rng([seed, CANVAS_DRAWS, number]).integers(len(sizes)))]


def _near(steps: float) -> int:
    """The multiple of 32 next to so many times 32, and no less than 32."""
    return STRIDE * max(1, math.floor(steps + 0.5))
