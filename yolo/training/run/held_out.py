"""The held-out split: the tenth of the images that a run validates on where it is given no others."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from yolo.files.atomic import write_text
from yolo.structs import Dataset

logger = logging.getLogger(__name__)

HELD_OUT = "held-out"
"""Name of the split."""
FRACTION = 0.1
"""Fraction of the images in it."""
LIST = "held-out.txt"
"""The file in a run's folder that lists its images, one a line."""


def hold_out(dataset: Dataset) -> tuple[Dataset, Dataset]:
    """The images to train on and the tenth held out of them; always the same for the same number of images."""
    count = len(dataset)
    if count < 2:
        logger.warning("%s: a single image: it is trained on and validated on", dataset.name)
        return dataset, dataset
    order = np.random.default_rng(0).permutation(count)
    taken = max(1, round(count * FRACTION))
    return dataset.subset(np.sort(order[taken:])), dataset.subset(np.sort(order[:taken]), split=HELD_OUT)


def held_out_of(dataset: Dataset, held_out: Mapping[str, Any]) -> Dataset | None:
    """The held-out images of a dataset, or None if they were held out of another one.

    Args:
        dataset: all images that training began with.
        held_out: what `describe_held_out` stored in the model's origin.
    """
    return hold_out(dataset)[1] if held_out.get("fingerprint") == dataset.fingerprint else None


def describe_held_out(dataset: Dataset) -> dict[str, Any]:
    """What a model's origin stores to find the held-out images of a dataset again: the rule needs no list."""
    return {"split": dataset.split, "images": len(dataset), "fingerprint": dataset.fingerprint}


def list_held_out(folder: Path, held_out: Dataset | None) -> None:
    """Write the names of the held-out images into a run's folder; None: remove the list of an earlier run.

    Raises:
        ConfigError: the file cannot be written.
    """
    if held_out is None:
        (folder / LIST).unlink(missing_ok=True)
    else:
        write_text(folder / LIST, "".join(f"{file}\n" for file in held_out.files))
