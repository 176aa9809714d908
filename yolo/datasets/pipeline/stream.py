"""Endless stream of augmented training images, addressed by position.

The images of epoch 0 come in one random order, then those of epoch 1 in another, and so on
without end: position p is place p % n of epoch p // n. Positions 4g to 4g + 3 form a group, the
four images of a mosaic; a group may span two epochs. The image at a position is a pure function
of (seed, p) and its canvas, wherever the stream was started.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from yolo.config import AugmentConfig
from yolo.datasets.augment.augmenter import MIXUP_PARTNERS, Augmenter
from yolo.datasets.augment.labelled_boxes import LabelledBoxes
from yolo.datasets.augment.mosaic import GROUP
from yolo.datasets.picture import Picture
from yolo.datasets.pipeline.picture_loader import Loader
from yolo.datasets.pipeline.shuffle import PICTURE_DRAWS, EpochSampler
from yolo.structs import Size


class TrainingStream:
    """Makes the images of the stream; thread-safe."""

    def __init__(
        self,
        loader: Loader,
        augment: AugmentConfig,
        *,
        seed: int,
        plain_from: int | None = None,
        rare_classes: float = 0.0,
    ) -> None:
        """Set up the stream.

        Args:
            loader: loader of the images.
            augment: augmentation options.
            seed: seed of the order and of the augmentation.
            plain_from: position from which mosaic and mixup are off; None: never.
            rare_classes: see `yolo.datasets.pipeline.shuffle.repeat_factors`; 0: each image once per epoch.

        Raises:
            ConfigError: the augmentation does not fit the classes.
        """
        self._loader = loader
        self._mosaics, self._blends = augment.mosaic > 0, augment.mixup > 0
        self._augmenter = Augmenter(augment, loader.dataset.classes)
        self._order = EpochSampler(loader.dataset, seed=seed, rare_classes=rare_classes)
        self._seed = seed
        self._plain_from = plain_from

    def fill(self, images: NDArray[np.uint8], positions: Sequence[int]) -> list[LabelledBoxes]:
        """Write the images of some increasing positions, and return their boxes.

        An unreadable image is replaced by the next one of the stream.

        Args:
            images: (R, H, W, 3), overwritten.
            positions: R positions; four neighbours share their four files.

        Raises:
            MediaError: an image cannot be read, and the loader has no quarantine or it has too many entries.
        """
        size: Size = images.shape[1:3]

        @lru_cache(maxsize=GROUP)
        def read(position: int) -> Picture:
            # Two epochs' worth of positions contains every image at least once.
            candidates = range(position, position + 2 * len(self._loader.dataset))
            return self._loader.read_any((self._order[each] for each in candidates), size)

        return [self._make(canvas, position, read) for canvas, position in zip(images, positions, strict=True)]

    def sources(self, position: int) -> list[int]:
        """Indices of the one to five images of the Dataset that a position is made of."""
        first, place = _in_group(position)
        places = self._augmenter.sources(place, seed=self._draws(position), plain=self._is_plain(position))
        return [self._order[first + place] for place in places]

    def most_boxes(self, positions: Sequence[int]) -> int:
        """Largest number of boxes at these increasing positions, before clipping; no image is read."""
        bounds = self._box_bounds(positions)
        most = 0
        # Exact counts need every position's random draws; try rows by falling upper bound and stop early.
        for row in np.argsort(-bounds):
            if bounds[row] <= most:
                break
            most = max(most, int(self._box_counts(np.array(self.sources(positions[row]))).sum()))
        return most

    def _box_bounds(self, positions: Sequence[int]) -> NDArray[np.int64]:
        """Upper bound (R,) of each position's boxes, as if mosaic and mixup were used wherever possible."""
        where = np.asarray(positions, np.int64)
        places, rows = where % GROUP, np.arange(len(where))
        counts = self._box_counts(self._order.take((where - places)[:, None] + np.arange(GROUP)))
        plain = rows >= bisect_left(positions, True, key=self._is_plain)
        return np.where(plain[:, None], counts, self._mixed_counts(counts))[rows, places]

    def _box_counts(self, pictures: NDArray[np.int64]) -> NDArray[np.int64]:
        offsets = self._loader.dataset.offsets
        return offsets[pictures + 1] - offsets[pictures]

    def _mixed_counts(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Largest number of boxes at each place of some groups (R, 4), from the box counts of their images (R, 4)."""
        most = counts.sum(axis=1, keepdims=True).repeat(GROUP, axis=1) if self._mosaics else counts
        return most + counts[:, list(MIXUP_PARTNERS)] if self._blends else most

    def _make(self, canvas: NDArray[np.uint8], position: int, read: Callable[[int], Picture]) -> LabelledBoxes:
        first, place = _in_group(position)
        draws, plain = self._draws(position), self._is_plain(position)
        return self._augmenter(canvas, lambda other: read(first + other), place, seed=draws, plain=plain)

    def _draws(self, position: int) -> list[int]:
        return [self._seed, PICTURE_DRAWS, position]

    def _is_plain(self, position: int) -> bool:
        return self._plain_from is not None and position >= self._plain_from


def _in_group(position: int) -> tuple[int, int]:
    """First position of a position's group, and its place in it."""
    place = position % GROUP
    return position - place, place
