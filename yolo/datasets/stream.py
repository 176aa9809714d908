"""The endless training stream, position by position.

It is the pictures of epoch 0 in one random order, then those of epoch 1 in another, and so on
without end: position p is place p % n of epoch p // n. Positions 4g to 4g + 3 are a group, the
four pictures of a mosaic; a group may straddle the border of two epochs. What a position holds is
a pure function of (seed, p) and its canvas, wherever the stream was started.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from yolo.config import AugmentConfig
from yolo.datasets.augment import Augmenter
from yolo.datasets.loader import Loader, Picture
from yolo.datasets.mosaic import GROUP
from yolo.datasets.objects import Objects
from yolo.datasets.order import PICTURE_DRAWS, PictureOrder
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
            rare_classes: see `yolo.datasets.order.repeat_factors`; 0: each picture once an epoch.

        Raises:
            ConfigError: the augmentation does not fit the classes.
        """
        self._loader = loader
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
        """No picture at these positions has more boxes than this; nothing is read for it."""
        counts = self._loader.dataset.box_counts
        return max(int(counts[self.sources(position)].sum()) for position in positions)

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
