"""Class activation maps of single outputs of a network: LayerCAM, Grad-CAM++ and Eigen-CAM.

A map says how much each place of a layer's feature map speaks for one output. One layer misleads in a detector: the map
before a head acts on an output in one cell only, and an early one sees edges. So each layer's map is scaled to a
largest value of 1, resized to the canvas, and the mean over the layers is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

CamMethod = Literal["layercam", "gradcam++", "eigencam"]
"""Ways to make a map."""
Floats = NDArray[np.float32]
TINY = 1e-12
"""Largest value below which a map counts as empty: its layer does not act on the output."""


def layercam(activations: Floats, gradients: Floats) -> Floats:
    """LayerCAM (Jiang et al. 2021, equations 4 to 6): activations weighted, place by place, with their gradients.

    Args:
        activations: (h, w, channels).
        gradients: (h, w, channels) of an output; only positive ones count.

    Returns:
        (h, w), none negative.
    """
    return _positive((_positive(gradients) * activations).sum(axis=-1))


def gradcam_plus_plus(activations: Floats, gradients: Floats) -> Floats:
    """Grad-CAM++ (Chattopadhay et al. 2018, equations 10 and 19): channels weighted by their positive gradients.

    Arguments and result as in `layercam`. Each channel has one weight for all places, so that other objects of the
    class appear in the map too.
    """
    wide, g = activations.astype(np.float64), gradients.astype(np.float64)
    square = np.square(g)
    below = 2.0 * square + wide.sum(axis=(0, 1)) * square * g
    alpha = np.divide(square, below, out=np.zeros_like(below), where=below != 0)
    weights = (alpha * _positive(g)).sum(axis=(0, 1))
    return _positive((wide * weights).sum(axis=-1)).astype(np.float32)


def eigencam(activations: Floats) -> Floats:
    """Eigen-CAM (Muhammad & Yeasin 2020, section III): projection of the activations on their first principal axis.

    It uses no gradient, and so knows of no class and no detection.

    Args:
        activations: (h, w, channels).

    Returns:
        (h, w), none negative.
    """
    flat = activations.reshape(-1, activations.shape[-1]).astype(np.float64)
    _, vectors = np.linalg.eigh(flat.T @ flat)
    projected = flat @ vectors[:, -1]
    signed = projected if projected.sum() >= 0 else -projected  # the axis has no sign of its own
    return _positive(signed).reshape(activations.shape[:2]).astype(np.float32)


GRADIENT_METHODS: dict[str, Callable[[Floats, Floats], Floats]] = {
    "layercam": layercam,
    "gradcam++": gradcam_plus_plus,
}
"""Methods that weight activations (h, w, channels) with gradients."""


def merge(maps: Sequence[Floats], size: tuple[int, int]) -> Floats:
    """Mean of maps (h, w) of any sizes, each scaled to a largest value of 1 and resized to (height, width).

    Maps without a positive value are left out; with none left the result is 0 everywhere. The largest value of the
    result is 1 otherwise.
    """
    scaled = [each / each.max() for each in maps if each.max() > TINY]
    if not scaled:
        return np.zeros(size, np.float32)
    wide = [cv2.resize(each.astype(np.float32), size[::-1], interpolation=cv2.INTER_LINEAR) for each in scaled]
    mean = np.mean(wide, axis=0)
    return (mean / mean.max()).astype(np.float32)


def mass_inside(heat: Floats, box: Sequence[float]) -> float:
    """Share of a map's (H, W) sum that lies inside a box xyxy in its pixels; NaN of an empty map."""
    x1, y1, x2, y2 = box
    rows, columns = (_coverage(length, *ends) for length, ends in zip(heat.shape, ((y1, y2), (x1, x2)), strict=True))
    total = float(heat.sum())
    return float(rows @ heat @ columns) / total if total > 0 else float("nan")


def _coverage(length: int, first: float, last: float) -> NDArray[np.float64]:
    """Share (length,) of each pixel that lies between two coordinates."""
    start = np.arange(length)
    return np.clip(np.minimum(start + 1, last) - np.maximum(start, first), 0.0, 1.0)


def _positive(values: NDArray[Any]) -> NDArray[Any]:
    return np.maximum(values, 0)
