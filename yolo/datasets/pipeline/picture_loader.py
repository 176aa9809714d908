"""Loader of one image of a Dataset onto a canvas, with cache and quarantine."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.config import LetterboxMode
from yolo.datasets.annotations.sizes import was_resized
from yolo.datasets.picture import Picture
from yolo.datasets.pipeline.cache import PictureCache, Pixels, picture_key
from yolo.datasets.pipeline.quarantine import Quarantine
from yolo.errors import MediaError
from yolo.images.letterbox import CANVAS_GREY, Letterbox
from yolo.structs import Boxes, Dataset, Sample, Size

logger = logging.getLogger(__name__)

PADDING = -1
"""Index of the rows that pad the last evaluation batch."""

NAMED_MISMATCHES = 3
"""Largest number of images of another size than annotated that are logged."""


class Record(NamedTuple):
    """Image on its canvas with N boxes, for evaluation."""

    image: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    boxes: Boxes
    """(N, 4) xyxy in canvas pixels."""
    labels: NDArray[np.int32]
    """(N,)"""
    ignore: NDArray[np.bool_]
    """(N,)"""
    picture: np.int64
    """Index of the image in the Dataset."""
    size: NDArray[np.int32]
    """(2,) height and width of the image as read."""


class Loader:
    """Reads images of a Dataset onto a canvas; thread-safe."""

    def __init__(
        self,
        dataset: Dataset,
        mode: LetterboxMode,
        *,
        cache: PictureCache | None = None,
        quarantine: Quarantine | None = None,
    ) -> None:
        """Make a loader of one Dataset.

        Args:
            dataset: images to load.
            mode: how they are fitted to the canvas.
            cache: cache of resized images; None: read them each time.
            quarantine: list of unreadable images; None: the first one raises.
        """
        self.dataset = dataset
        self.mode = mode
        self.cache = cache
        self.quarantine = quarantine
        self._mismatches: set[int] = set()

    def read(self, index: int, canvas_size: Size) -> Picture:
        """Read image ``index``, resized for a canvas.

        Raises:
            MediaError: the image cannot be read.
        """
        sample = self.dataset[index]
        inner, size = self._pixels(index, canvas_size)
        boxes, kept = _inside(self._fitted(index, sample, size), size)
        letterbox = Letterbox(size, canvas_size, self.mode)
        top, left = letterbox.offset
        moved = letterbox.boxes_to_canvas(boxes) - np.array([left, top, left, top], np.float32)
        # A sliver of a large image may round to zero width on the canvas.
        boxes, whole = _inside(moved, letterbox.inner_size)
        return Picture(inner, boxes, sample.labels[kept][whole], sample.ignore[kept][whole], index, size)

    def read_any(self, indices: Iterable[int], canvas_size: Size) -> Picture:
        """Read the first readable image of the candidates; those before it go into the quarantine.

        Args:
            indices: the wanted image, then its possible replacements, best first.
            canvas_size: (height, width) of the canvas.

        Raises:
            MediaError: none can be read, too many are unreadable, or the first one is and there is no quarantine.
        """
        failure: MediaError | None = None
        for index in indices:
            if self.quarantine is not None and index in self.quarantine:
                self.quarantine.check()
                continue
            try:
                return self.read(index, canvas_size)
            except MediaError as error:
                if self.quarantine is None:
                    raise
                self.quarantine.add(index, str(error))
                failure = failure or error
        raise failure or MediaError(f"{self.dataset.name}: none of the pictures can be read")

    def _pixels(self, index: int, canvas_size: Size) -> Pixels:
        def make() -> Pixels:
            image = self.dataset.image(index)
            size = (image.shape[0], image.shape[1])
            inner = Letterbox(size, canvas_size, self.mode).resize(image)
            inner.flags.writeable = False
            return Pixels(inner, size)

        key = None if self.cache is None else picture_key(self.dataset, index, canvas_size, self.mode)
        if self.cache is None or key is None:
            return make()
        return self.cache.pixels(key, make)

    def load(self, index: int, canvas_size: Size) -> Record:
        """Load image ``index`` onto a canvas without augmentation; a blank canvas if it is in the quarantine.

        Raises:
            MediaError: the image cannot be read, and there is no quarantine or it has too many entries.
        """
        try:
            picture = self.read_any([index], canvas_size)
        except MediaError:
            if self.quarantine is None or index not in self.quarantine:
                raise
            self.quarantine.check()
            return self.blank(canvas_size)._replace(picture=np.int64(index))
        letterbox = Letterbox(picture.size, canvas_size, self.mode)
        top, left = letterbox.offset
        return Record(
            image=letterbox.add_bars(picture.image),
            boxes=picture.boxes + np.array([left, top, left, top], np.float32),
            labels=picture.labels,
            ignore=picture.ignore,
            picture=np.int64(index),
            size=np.array(picture.size, np.int32),
        )

    def blank(self, canvas_size: Size) -> Record:
        """Grey canvas without boxes, used as padding of a batch."""
        return Record(
            image=np.full((*canvas_size, 3), CANVAS_GREY, np.uint8),
            boxes=np.zeros((0, 4), np.float32),
            labels=np.zeros(0, np.int32),
            ignore=np.zeros(0, np.bool_),
            picture=np.int64(PADDING),
            size=np.array(canvas_size, np.int32),
        )

    def _fitted(self, index: int, sample: Sample, size: Size) -> Boxes:
        """Boxes of an image of this size: scaled with one that was resized after annotating, which is said once."""
        if size == sample.size:
            return sample.boxes
        resized = was_resized(sample.size, size)
        self._report_mismatch(index, sample, size, "scaled with" if resized else "clipped to")
        if not resized:
            return sample.boxes
        height, width = (new / old for new, old in zip(size, sample.size, strict=True))
        return sample.boxes * np.array([width, height, width, height], np.float32)

    def _report_mismatch(self, index: int, sample: Sample, size: Size, change: str) -> None:
        if index in self._mismatches or len(self._mismatches) >= NAMED_MISMATCHES:
            return
        self._mismatches.add(index)
        logger.warning(
            "%s: height x width is %d x %d, annotated as %d x %d; its boxes are %s the picture",
            sample.path,
            *size,
            *sample.size,
            change,
        )


def _inside(boxes: Boxes, size: Size) -> tuple[Boxes, NDArray[np.bool_]]:
    """Clip boxes to an image; also return the mask (N,) of those with anything left."""
    height, width = size
    cut = np.clip(boxes, 0, np.array([width, height, width, height], np.float32))
    kept = (cut[:, 2] > cut[:, 0]) & (cut[:, 3] > cut[:, 1])
    return cut[kept], kept
