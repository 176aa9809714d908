"""Random changes of hue, saturation and brightness, as one linear map of (R, G, B).

In the cylinder around the axis of greys: hue is the angle, saturation the distance from the axis.
Going to HSV and back instead takes ten times as long, and its 8 bits cost up to nine levels.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.config import AugmentConfig


def jitter(image: NDArray[np.uint8], config: AugmentConfig, random: np.random.Generator) -> None:
    """Change the colours of a picture (H, W, 3) RGB in place."""
    if not (config.hue or config.saturation or config.brightness):
        return
    turn, richer, brighter = random.uniform(-1, 1, 3) * (config.hue, config.saturation, config.brightness)
    image[...] = cv2.transform(image, colour_map(turn=turn, saturation=1 + richer, brightness=1 + brighter))


def colour_map(*, turn: float, saturation: float, brightness: float) -> NDArray[np.float64]:
    """(3, 3) what multiplies (R, G, B).

    Args:
        turn: shift of the hue, as a share of the colour circle; a third makes red green.
        saturation: factor; grey stays grey.
        brightness: factor of everything.
    """
    cosine, sine = math.cos(2 * math.pi * turn), math.sin(2 * math.pi * turn)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    grey = np.full((3, 3), 1 / 3)
    # Rodrigues' rotation about the axis of greys.
    rotation = cosine * np.eye(3) + sine * cross + (1 - cosine) * grey
    return brightness * (grey + saturation * (rotation - grey))
