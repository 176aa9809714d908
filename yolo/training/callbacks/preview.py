"""A look at what the network is shown: pictures of training batches with their boxes."""

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
    """Draw the first pictures of some batches with their boxes and names on one sheet.

    Args:
        batches: pairs as of `training_batches`, whose canvases may differ; no more of them are drawn from than needed.
        classes: the names.
        path: where the sheet goes.
        count: largest number of pictures.

    Raises:
        MediaError: the file cannot be written.
    """
    pictures = list(islice(drawn(batches, classes), count))
    write_image(path, tile_images(pictures, COLUMNS))


def drawn(batches: Iterable[tuple[Any, Mapping[str, Any]]], classes: Sequence[str]) -> Iterable[Image.Image]:
    """Each picture of the batches with its boxes; ignored ones are grey."""
    for images, targets in batches:
        columns = {name: np.asarray(targets[name]) for name in ("boxes", "labels", "valid", "ignore")}
        for row, image in enumerate(np.asarray(images)):
            boxes, labels, ignore = (
                columns[name][row][columns["valid"][row]] for name in ("boxes", "labels", "ignore")
            )
            yield draw_boxes(image, boxes, labels, classes, ignore=ignore)
