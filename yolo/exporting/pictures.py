"""Pictures on which an exported file is compared with Keras."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.errors import AnnotationError
from yolo.images.letterbox import Letterbox

if TYPE_CHECKING:
    from yolo.model.detector import Detector
    from yolo.structs import Dataset


def generated_pictures(canvas: tuple[int, int], count: int) -> NDArray[np.float32]:
    """Generate pictures (count, H, W, 3) with the power spectrum of photographs: noise of many scales.

    Amplitudes fall with the frequency (Field 1987, on natural images), so that shapes of all sizes appear.
    """
    height, width = canvas
    pictures = np.empty((count, height, width, 3), np.float32)
    for index in range(count):
        random = np.random.default_rng(index)
        picture = np.zeros((height, width, 3))
        side = 2
        while side <= max(canvas):
            noise = random.normal(0, 60 / np.sqrt(side), (side, side, 3))
            picture += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
            side *= 2
        pictures[index] = np.clip(picture + random.uniform(80, 170), 0, 255).round()
    return pictures


def dataset_pictures(detector: Detector, data: Dataset, count: int) -> NDArray[np.float32]:
    """Put pictures of a dataset, evenly spread over it, on the detector's canvas: (count or fewer, H, W, 3).

    Raises:
        AnnotationError: the dataset has no pictures.
    """
    if not len(data):
        raise AnnotationError(f"{data.name}: no pictures to compare on")
    chosen = np.unique(np.linspace(0, len(data) - 1, count).astype(int))
    images = [data.image(int(index)) for index in chosen]
    return np.stack(
        [Letterbox(image.shape[:2], detector.canvas, detector.letterbox).apply_unrounded(image) for image in images]
    )
