"""Check that the images of a dataset are there at all, before training or detection begins."""

from __future__ import annotations

import numpy as np

from yolo.errors import AnnotationError
from yolo.files.atomic import is_file
from yolo.structs import Dataset

TRIED = 50
"""Number of images spread over the dataset that are looked for before all are."""


def check_images(dataset: Dataset) -> None:
    """Check that at least one image is there; single ones that cannot be read are listed when they are.

    Raises:
        AnnotationError: none is; the message names the remedy.
    """
    if dataset.store is not None or not len(dataset):
        return
    some = np.linspace(0, len(dataset) - 1, min(TRIED, len(dataset))).astype(int).tolist()
    if any(is_file(dataset.path(index)) for index in (*some, *range(len(dataset)))):
        return
    raise AnnotationError(
        f"{dataset.name}: none of its {len(dataset)} pictures is found, such as {dataset.path(0)}; "
        "name their folder (--images DIR)"
    )
