"""Rotation, shear and perspective: one general warp from an image, or a finished mosaic, to the canvas.

A warp is a 3 x 3 matrix on homogeneous (x, y, 1) in continuous pixels, pixel (0, 0) spanning 0..1.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.config import AugmentConfig
from yolo.images.letterbox import CANVAS_GREY
from yolo.structs import Boxes, Size

Matrix = NDArray[np.float64]
"""(3, 3)"""


def needs_warp(config: AugmentConfig) -> bool:
    """Whether the augmentation needs more than zoom, shift and flip (`yolo.datasets.augment.resize`)."""
    return bool(config.rotate or config.shear or config.perspective)


def shift(x: float, y: float) -> Matrix:
    """Translation by (x, y) pixels."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)


def zoom(factor: float) -> Matrix:
    """Scaling about (0, 0)."""
    return np.diag([factor, factor, 1.0])


def mirror(width: float) -> Matrix:
    """Horizontal flip of an image of a given width."""
    return np.array([[-1, 0, width], [0, 1, 0], [0, 0, 1]], np.float64)


def tilt(config: AugmentConfig, size: Size, random: np.random.Generator) -> Matrix:
    """Random perspective, shear and rotation about (0, 0), the centre of a canvas of ``size``.

    Perspective comes first, while the image lies within the canvas: there its denominator 1 + a x / W + b y / H, with a
    and b within ± ``perspective``, stays above 1 - ``perspective``.
    """
    a, b = random.uniform(-config.perspective, config.perspective, 2)
    across, down = np.tan(np.radians(random.uniform(-config.shear, config.shear, 2)))
    angle = math.radians(random.uniform(-config.rotate, config.rotate))
    cosine, sine = math.cos(angle), math.sin(angle)
    rotation = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    shear = np.array([[1, across, 0], [down, 1, 0], [0, 0, 1]])
    perspective = np.array([[1, 0, 0], [0, 1, 0], [a / size[1], b / size[0], 1]])
    return rotation @ shear @ perspective


def warp(canvas: NDArray[np.uint8], image: NDArray[np.uint8], matrix: Matrix) -> None:
    """Fill the canvas (H, W, 3) with the image (h, w, 3) moved by ``matrix``, grey around it."""
    # OpenCV's origin is the centre of the first pixel.
    centres = shift(-0.5, -0.5) @ matrix @ shift(0.5, 0.5)
    # OpenCV's warps are twice as fast on four channels as on three.
    padded = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)
    size, fill = canvas.shape[1::-1], (CANVAS_GREY, CANVAS_GREY, CANVAS_GREY, 0)
    if np.array_equal(matrix[2], [0, 0, 1]):
        moved = cv2.warpAffine(padded, centres[:2], size, flags=cv2.INTER_LINEAR, borderValue=fill)
    else:
        moved = cv2.warpPerspective(padded, centres, size, flags=cv2.INTER_LINEAR, borderValue=fill)
    cv2.cvtColor(moved, cv2.COLOR_RGBA2RGB, dst=canvas)


def warp_boxes(boxes: Boxes, matrix: Matrix) -> Boxes:
    """Boxes (N, 4) xyxy around the four moved corners of each box; not clipped.

    A rotated box is larger than the object in it; nothing more precise is known than that the object lies in its box.
    """
    corners = boxes[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]  # (N, 4, 2)
    moved = corners @ matrix[:, :2].T + matrix[:, 2]
    points = moved[..., :2] / moved[..., 2:]
    return np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1).astype(np.float32)
