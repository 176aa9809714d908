"""Pictures by which int8 finds the ranges of a network's activations."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from yolo.config import LetterboxMode
from yolo.datasets.pipeline.picture_loader import Loader
from yolo.errors import ConfigError, MediaError
from yolo.structs import Dataset, Size

logger = logging.getLogger(__name__)

PICTURES = 300
"""Largest number of pictures for calibration, NNCF's own default: more hardly move the ranges."""


class Canvases:
    """Pictures of a dataset on a detector's canvas, as detection puts them there; each pass reads them anew.

    Args:
        dataset: where the pictures come from; its boxes are not looked at.
        canvas: (height, width) of the network's input.
        letterbox: how pictures are fitted to it.
        batch: images a batch.
        count: largest number of pictures.
        seed: chooses them, each equally likely.

    Raises:
        ConfigError: the dataset has no pictures.
        MediaError: none of the chosen ones can be read.
    """

    def __init__(
        self,
        dataset: Dataset,
        canvas: Size,
        letterbox: LetterboxMode,
        *,
        batch: int = 1,
        count: int = PICTURES,
        seed: int = 0,
    ):
        if not len(dataset):
            raise ConfigError(f"{dataset.name}: no pictures to calibrate int8 on")
        self._loader = Loader(dataset, letterbox)
        self._canvas, self._batch = canvas, batch
        drawn = np.random.default_rng(seed).permutation(len(dataset))[:count]
        self._indices = [int(index) for index in drawn if self._is_readable(int(index))]
        if not self._indices:
            raise MediaError(f"{dataset.name}: none of its pictures can be read to calibrate int8 on")
        skipped = len(drawn) - len(self._indices)
        if skipped:
            logger.warning("%s: %d of %d pictures for calibration skipped", dataset.name, skipped, len(drawn))

    @property
    def pictures(self) -> int:
        """Number of pictures."""
        return len(self._indices)

    def __len__(self) -> int:
        """Number of batches."""
        return len(range(0, len(self._indices), self._batch))

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Yield batches (B, H, W, 3) float32, RGB in 0..255; the last one is filled up with its last picture."""
        for first in range(0, len(self._indices), self._batch):
            chosen = self._indices[first : first + self._batch]
            chosen += chosen[-1:] * (self._batch - len(chosen))
            yield np.stack([self._loader.load(index, self._canvas).image for index in chosen]).astype(np.float32)

    def _is_readable(self, index: int) -> bool:
        try:
            self._loader.load(index, self._canvas)
        except MediaError as error:
            logger.warning("%s; it is skipped", error)
            return False
        return True
