"""Colour jitter: hue, saturation and brightness as one linear map of (R, G, B).

In a cylinder around the grey axis, hue is the angle and saturation the distance from the axis. Going to HSV and back
instead takes ten times as long, and its 8 bits cost up to nine levels.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.config import AugmentConfig


def jitter(image: NDArray[np.uint8], config: AugmentConfig, random: np.random.Generator) -> None:
    """Change the colours of an RGB image (H, W, 3) in place."""
    if not (config.hue or config.saturation or config.brightness):
        return
    turn, richer, brighter = random.uniform(-1, 1, 3) * (config.hue, config.saturation, config.brightness)
    image[...] = cv2.transform(image, colour_map(turn=turn, saturation=1 + richer, brightness=1 + brighter))


def colour_map(*, turn: float, saturation: float, brightness: float) -> NDArray[np.float64]:
    """Matrix (3, 3) to multiply (R, G, B) by.

    Args:
        turn: hue shift as a fraction of the colour circle; a third makes red green.
        saturation: factor of the saturation; grey stays grey.
        brightness: factor of all three.
    """
    cosine, sine = math.cos(2 * math.pi * turn), math.sin(2 * math.pi * turn)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    grey = np.full((3, 3), 1 / 3)
    # Rodrigues' rotation about the grey axis.
    rotation = cosine * np.eye(3) + sine * cross + (1 - cosine) * grey
    return brightness * (grey + saturation * (rotation - grey))
