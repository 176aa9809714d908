"""Sampling order of the training images, a pure function of (seed, epoch)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from yolo.structs import Dataset

ORDER_DRAWS, PICTURE_DRAWS, CANVAS_DRAWS = 1, 2, 3
"""Stream ids mixed into the seed, so that order, augmentation and canvas draws are independent. (0 is not used: numpy
takes [3, 5] and [3, 5, 0] for the same seed.)"""


class EpochSampler:
    """Sampler of the endless stream: position p is place p % n of epoch p // n."""

    def __init__(self, dataset: Dataset, *, seed: int, rare_classes: float = 0.0) -> None:
        self._count = len(dataset)
        factors = repeat_factors(dataset, rare_classes) if rare_classes else None
        self.epoch = lru_cache(maxsize=4)(lambda epoch: epoch_order(self._count, seed, epoch, factors))

    def __getitem__(self, position: int) -> int:
        """Image index at a position of the stream."""
        epoch, place = divmod(position, self._count)
        return int(self.epoch(epoch)[place])

    def take(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Image indices at an array of positions, in its shape."""
        epochs, places = np.divmod(positions, self._count)
        pictures = np.empty_like(places)
        for epoch in np.unique(epochs):
            here = epochs == epoch
            pictures[here] = self.epoch(int(epoch))[places[here]]
        return pictures


def epoch_order(count: int, seed: int, epoch: int, factors: NDArray[np.float64] | None = None) -> NDArray[np.int64]:
    """Image indices (count,) of an epoch in sampling order.

    Args:
        count: n, number of images in the dataset and per epoch.
        seed: seed of the run.
        epoch: number of the epoch, from 0.
        factors: (n,) relative sampling frequency of each image; None: each comes once. An image with
            the fraction s of the sum comes n s times, rounded up or down at random so that the
            expectation is met and an epoch still has n images.
    """
    random = np.random.default_rng([seed, ORDER_DRAWS, epoch])
    order = random.permutation(count)
    if factors is None:
        return order
    # Systematic sampling: n equidistant ticks along the images laid end to end, each as long as its factor.
    ends = np.cumsum(factors[order])
    ticks = (random.random() + np.arange(count)) * (ends[-1] / count)
    return random.permutation(order[np.minimum(np.searchsorted(ends, ticks, side="right"), count - 1)])


def repeat_factors(dataset: Dataset, threshold: float) -> NDArray[np.float64]:
    """Repeat factor (n,) of each image, at least 1 (Gupta et al. 2019, LVIS, appendix B).

    A class present in the fraction f of the images has the factor max(1, sqrt(threshold / f)), an image the largest of
    its classes'. Ignored boxes do not count.
    """
    real = ~dataset.ignore
    labels, pictures = dataset.labels[real], dataset.box_pictures[real]
    shown = np.unique(np.stack([labels, pictures], axis=1), axis=0)
    frequency = np.bincount(shown[:, 0], minlength=len(dataset.classes)) / len(dataset)
    of_class = np.sqrt(np.maximum(1.0, threshold / np.maximum(frequency, 1 / len(dataset))))
    factors = np.ones(len(dataset))
    np.maximum.at(factors, pictures, of_class[labels])
    return factors
