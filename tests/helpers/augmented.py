"""Images made by hand and augmented without files."""

from __future__ import annotations

import numpy as np

from yolo.config import AugmentConfig
from yolo.datasets.augment.augmenter import Augmenter
from yolo.datasets.augment.labelled_boxes import LabelledBoxes
from yolo.datasets.picture import Picture

OFF = {"flip": 0.0, "hue": 0.0, "saturation": 0.0, "brightness": 0.0, "scale": 0.0, "translate": 0.0}
HEIGHT, WIDTH = 96, 160
RED = (230, 40, 40)
CLASSES = ("a", "b", "c", "d")


def config(**changes: object) -> AugmentConfig:
    """The default augmentation with everything off but what is named."""
    return AugmentConfig(**{**OFF, **changes})


def scene(box: tuple[int, int, int, int], size: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    """A grey picture with one red rectangle."""
    image = np.full((*size, 3), 127, np.uint8)
    x1, y1, x2, y2 = box
    image[y1:y2, x1:x2] = RED
    return image


def red_box(image: np.ndarray) -> np.ndarray:
    """xyxy around the red pixels."""
    redness = image[..., 0].astype(int) - image[..., 1]
    rows, columns = np.nonzero(redness > redness.max() / 2)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


def picture(image: np.ndarray, boxes: object, labels: object = None, ignore: object = None) -> Picture:
    """A picture with its boxes; all of them of class 0 and not ignored unless said otherwise."""
    rows = np.array(boxes, np.float32).reshape(-1, 4)
    labels = np.zeros(len(rows)) if labels is None else labels
    ignore = np.zeros(len(rows)) if ignore is None else ignore
    image.flags.writeable = False  # as a cache hands them out
    return Picture(image, rows, np.array(labels, np.int32), np.array(ignore, np.bool_), 0, image.shape[:2])


def augmented(
    settings: AugmentConfig | Augmenter,
    pictures: Picture | list[Picture],
    *,
    seed: object = 0,
    place: int = 0,
    size: tuple[int, int] = (HEIGHT, WIDTH),
    plain: bool = False,
) -> tuple[np.ndarray, LabelledBoxes]:
    """A canvas and its objects."""
    augmenter = settings if isinstance(settings, Augmenter) else Augmenter(settings, CLASSES)
    group = pictures if isinstance(pictures, list) else [pictures] * 4
    canvas = np.empty((*size, 3), np.uint8)
    return canvas, augmenter(canvas, group.__getitem__, place, seed=[1, seed], plain=plain)
