"""The held-out split: a fixed tenth of the images, used for validation if no other images are given."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from yolo.files.atomic import write_text
from yolo.structs import Dataset

logger = logging.getLogger(__name__)

HELD_OUT = "held-out"
"""Name of the split."""
FRACTION = 0.1
"""Fraction of the images that is held out."""
LIST = "held-out.txt"
"""File in a run's folder that lists the held-out images, one per line."""


def hold_out(dataset: Dataset) -> tuple[Dataset, Dataset]:
    """Split a dataset into training images and the held-out tenth; depends on the number of images only.

    What was left out when it was loaded stays with the training images, so that it is listed once.
    """
    count = len(dataset)
    if count < 2:
        logger.warning("%s: a single image: it is trained on and validated on", dataset.name)
        return dataset, dataset
    order = np.random.default_rng(0).permutation(count)
    taken = max(1, round(count * FRACTION))
    held_out = dataset.subset(np.sort(order[:taken]), split=HELD_OUT)
    return dataset.subset(np.sort(order[taken:])), replace(held_out, left_out={})


def held_out_of(dataset: Dataset, held_out: Mapping[str, Any]) -> Dataset | None:
    """Find the held-out images of a dataset; None if they were held out of another one.

    Args:
        dataset: all images that training began with.
        held_out: what `describe_held_out` stored in the model's origin.
    """
    return hold_out(dataset)[1] if held_out.get("fingerprint") == dataset.fingerprint else None


def describe_held_out(dataset: Dataset) -> dict[str, Any]:
    """Describe the held-out images for a model's origin; no list is needed, as the split is a fixed rule."""
    return {"split": dataset.split, "images": len(dataset), "fingerprint": dataset.fingerprint}


def list_held_out(folder: Path, held_out: Dataset | None) -> None:
    """Write the names of the held-out images into a run's folder; None: delete an earlier run's list.

    Raises:
        ConfigError: the file cannot be written.
    """
    if held_out is None:
        (folder / LIST).unlink(missing_ok=True)
    else:
        write_text(folder / LIST, "".join(f"{file}\n" for file in held_out.files))
