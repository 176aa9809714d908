"""Preview of training batches: augmented images with their boxes on one sheet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from yolo.images.codec import write_image
from yolo.images.draw import draw_boxes, tile_images

COLUMNS = 4


def draw_batches(
    batches: Iterable[tuple[Any, Mapping[str, Any]]],
    classes: Sequence[str],
    path: str | Path,
    *,
    count: int = 16,
) -> None:
    """Draw the first images of some batches with their boxes and class names on one sheet.

    Args:
        batches: pairs as in `training_batches`, of one or several canvas sizes; no more are read than needed.
        classes: class names.
        path: image file to write.
        count: largest number of images.

    Raises:
        MediaError: the file cannot be written.
    """
    pictures = list(islice(drawn(batches, classes), count))
    write_image(path, tile_images(pictures, COLUMNS))


def drawn(batches: Iterable[tuple[Any, Mapping[str, Any]]], classes: Sequence[str]) -> Iterable[Image.Image]:
    """Yield each image of the batches with its boxes drawn; ignored ones are grey."""
    for images, targets in batches:
        columns = {name: np.asarray(targets[name]) for name in ("boxes", "labels", "valid", "ignore")}
        for row, image in enumerate(np.asarray(images)):
            boxes, labels, ignore = (
                columns[name][row][columns["valid"][row]] for name in ("boxes", "labels", "ignore")
            )
            yield draw_boxes(image, boxes, labels, classes, ignore=ignore)
