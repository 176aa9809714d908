"""The endless training stream, position by position.

It is the pictures of epoch 0 in one random order, then those of epoch 1 in another, and so on
without end: position p is place p % n of epoch p // n. Positions 4g to 4g + 3 are a group, the
four pictures of a mosaic; a group may straddle the border of two epochs. What a position holds is
a pure function of (seed, p) and its canvas, wherever the stream was started.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from yolo.config import AugmentConfig
from yolo.datasets.augment.augmenter import Augmenter, neighbour
from yolo.datasets.augment.labelled_boxes import Objects
from yolo.datasets.augment.mosaic import GROUP
from yolo.datasets.picture import Picture
from yolo.datasets.pipeline.picture_loader import Loader
from yolo.datasets.pipeline.shuffle import PICTURE_DRAWS, PictureOrder
from yolo.structs import Size


class TrainingStream:
    """Makes the pictures of the stream; may be called from many threads at once."""

    def __init__(
        self,
        loader: Loader,
        augment: AugmentConfig,
        *,
        seed: int,
        plain_from: int | None = None,
        rare_classes: float = 0.0,
    ) -> None:
        """Set the stream up.

        Args:
            loader: reads the pictures.
            augment: the augmentation.
            seed: of the order and of the augmentation.
            plain_from: the position from which on there are no mosaics and no mixup; None: never.
            rare_classes: see `yolo.datasets.pipeline.shuffle.repeat_factors`; 0: each picture once an epoch.

        Raises:
            ConfigError: the augmentation does not fit the classes.
        """
        self._loader = loader
        self._mosaics, self._blends = augment.mosaic > 0, augment.mixup > 0
        self._augmenter = Augmenter(augment, loader.dataset.classes)
        self._order = PictureOrder(loader.dataset, seed=seed, rare_classes=rare_classes)
        self._seed = seed
        self._plain_from = plain_from

    def fill(self, images: NDArray[np.uint8], positions: Sequence[int]) -> list[Objects]:
        """Write the pictures of some positions, which rise, and return their objects.

        Where a picture cannot be read, the next one of the stream takes its place.

        Args:
            images: (R, H, W, 3), is written.
            positions: R of them; four neighbours share their four files.

        Raises:
            MediaError: a picture cannot be read, and the loader has no quarantine, or too much in it.
        """
        size: Size = images.shape[1:3]

        @lru_cache(maxsize=GROUP)
        def read(position: int) -> Picture:
            # Two epochs' length of positions shows every picture at least once.
            candidates = range(position, position + 2 * len(self._loader.dataset))
            return self._loader.read_any((self._order[each] for each in candidates), size)

        return [self._make(canvas, position, read) for canvas, position in zip(images, positions, strict=True)]

    def sources(self, position: int) -> list[int]:
        """The pictures of the Dataset, one to five, that a position is made of."""
        first, place = _in_group(position)
        places = self._augmenter.sources(place, seed=self._draws(position), plain=self._is_plain(position))
        return [self._order[first + place] for place in places]

    def most_boxes(self, positions: Sequence[int]) -> int:
        """The most boxes at any of these positions, which rise, before some are cut away; nothing is read for it."""
        bounds = self._box_bounds(positions)
        most = 0
        # To draw what every position of many hosts' batch is made of would take longer than to make one host's rows.
        for row in np.argsort(-bounds):
            if bounds[row] <= most:
                break
            most = max(most, int(self._box_counts(np.array(self.sources(positions[row]))).sum()))
        return most

    def _box_bounds(self, positions: Sequence[int]) -> NDArray[np.int64]:
        """(R,) the boxes of each position if it is a mosaic and blended wherever it could be."""
        where = np.asarray(positions, np.int64)
        places, rows = where % GROUP, np.arange(len(where))
        counts = self._box_counts(self._order.take((where - places)[:, None] + np.arange(GROUP)))
        plain = rows >= bisect_left(positions, True, key=self._is_plain)
        return np.where(plain[:, None], counts, self._mixed_counts(counts))[rows, places]

    def _box_counts(self, pictures: NDArray[np.int64]) -> NDArray[np.int64]:
        offsets = self._loader.dataset.offsets
        return offsets[pictures + 1] - offsets[pictures]

    def _mixed_counts(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """The most boxes of what can be made at each place of some groups (R, 4), of their pictures' (R, 4)."""
        most = counts.sum(axis=1, keepdims=True).repeat(GROUP, axis=1) if self._mosaics else counts
        return most + counts[:, [neighbour(place) for place in range(GROUP)]] if self._blends else most

    def _make(self, canvas: NDArray[np.uint8], position: int, read: Callable[[int], Picture]) -> Objects:
        first, place = _in_group(position)
        draws, plain = self._draws(position), self._is_plain(position)
        return self._augmenter(canvas, lambda other: read(first + other), place, seed=draws, plain=plain)

    def _draws(self, position: int) -> list[int]:
        return [self._seed, PICTURE_DRAWS, position]

    def _is_plain(self, position: int) -> bool:
        return self._plain_from is not None and position >= self._plain_from


def _in_group(position: int) -> tuple[int, int]:
    """The first position of its group, and its place in it."""
    place = position % GROUP
    return position - place, place
