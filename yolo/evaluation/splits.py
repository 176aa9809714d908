"""Selection of the images to measure a model on: by default those that its training validated on."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from yolo.datasets.overlap import shared_fraction
from yolo.structs import Dataset

logger = logging.getLogger(__name__)


def trained_fraction(origin: Mapping[str, Any], dataset: Dataset) -> float:
    """Fraction of a dataset's images that a model was trained on, as far as its origin tells.

    Earlier trainings of its initial weights are included.
    """
    if origin.get("fingerprint") == dataset.fingerprint:
        return 1.0
    own = shared_fraction(origin["sketch"], dataset) if isinstance(origin.get("sketch"), str) else 0.0
    start = origin.get("start")
    return max(own, trained_fraction(start, dataset)) if isinstance(start, Mapping) else own


def warn_if_trained_on(origin: Mapping[str, Any], dataset: Dataset) -> None:
    """Warn in one line if a model is measured on images that it was trained on."""
    fraction = trained_fraction(origin, dataset)
    if fraction:
        share = "these images" if fraction == 1 else f"{max(1, round(100 * fraction))} % of these images"
        logger.warning("%s: the model was trained on %s: the figures flatter it", dataset.name, share)
