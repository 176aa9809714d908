"""Class weights of the loss, against imbalanced classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from yolo.config import LossConfig
from yolo.errors import ConfigError
from yolo.structs import Dataset

LARGEST_WEIGHT = 10.0
"""Upper limit of a balanced weight: a class with a handful of boxes would otherwise dominate the loss."""


def with_class_weights(loss: LossConfig, dataset: Dataset) -> LossConfig:
    """Resolve ``class_weights`` of a loss to one number per class; unchanged if there are none.

    ``balanced`` is scikit-learn's formula, boxes / (classes x boxes of the class), up to `LARGEST_WEIGHT`; a class
    without boxes gets 1.

    Raises:
        ConfigError: the number of weights differs from the number of classes.
    """
    if loss.class_weights is None:
        return loss
    if loss.class_weights != "balanced":
        given, wanted = len(loss.class_weights), len(dataset.classes)
        if given != wanted:
            raise ConfigError(f"loss.class_weights: {given} numbers for {wanted} classes")
        return loss
    counts = np.bincount(dataset.labels[~dataset.ignore], minlength=len(dataset.classes))
    weights = counts.sum() / (len(counts) * np.maximum(counts, 1))
    weights = np.where(counts > 0, np.minimum(weights, LARGEST_WEIGHT), 1.0)
    return replace(loss, class_weights=[round(float(weight), 4) for weight in weights])
