"""From a Dataset to batches on the canvas: tf.data over positions, read and augmented in threads.

The training stream is the pictures of epoch 0 in one random order, then those of epoch 1 in
another, and so on without end. Position p is picture p % n of epoch p // n, and what it holds
is a pure function of (seed, p), so a stream that starts at p is exactly the tail of the
one that starts at 0, whatever the number of threads.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.config import AugmentConfig, LetterboxMode
from yolo.datasets.bridge import guarded
from yolo.errors import AnnotationError
from yolo.images import read_image
from yolo.letterbox import GREY, Letterbox
from yolo.structs import Boxes, Dataset, Sample, Size

if TYPE_CHECKING:
    import tensorflow as tf

logger = logging.getLogger(__name__)

PADDING = -1
"""The index of the rows that fill the last evaluation batch."""

SMALLEST_BOX_COUNT = 8
"""The box axis of a batch has this length or a power of two above: JAX compiles once for each."""

NAMED_MISMATCHES = 3
"""So many pictures of another size than annotated are named in the log."""


class Record(NamedTuple):
    """One picture on its canvas, with N boxes."""

    image: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    boxes: Boxes
    """(N, 4) xyxy in canvas pixels."""
    labels: NDArray[np.int32]
    """(N,)"""
    ignore: NDArray[np.bool_]
    """(N,)"""
    picture: np.int64
    """Which picture of the Dataset."""
    size: NDArray[np.int32]
    """(2,) height and width of the picture as read."""


class Loader:
    """Reads pictures of a Dataset onto a canvas; may be called from many threads at once."""

    def __init__(self, dataset: Dataset, canvas_size: Size, mode: LetterboxMode) -> None:
        self.dataset = dataset
        self.canvas_size = canvas_size
        self.mode = mode
        self._mismatches: set[int] = set()

    def load(self, index: int) -> Record:
        """Picture ``index``, not augmented.

        Raises:
            MediaError: the picture cannot be read.
        """
        sample = self.dataset[index]
        image = read_image(sample.path, annotated_size=sample.size)
        size = (image.shape[0], image.shape[1])
        boxes, kept = _inside(sample.boxes, size)
        if size != sample.size:
            self._report_mismatch(index, sample, size)
        letterbox = Letterbox(size, self.canvas_size, self.mode)
        # A sliver of a large picture may lose its last float of width on the canvas.
        boxes, whole = _inside(letterbox.boxes_to_canvas(boxes), self.canvas_size)
        return Record(
            image=letterbox.apply(image),
            boxes=boxes,
            labels=sample.labels[kept][whole],
            ignore=sample.ignore[kept][whole],
            picture=np.int64(index),
            size=np.array(size, np.int32),
        )

    def blank(self) -> Record:
        """A grey canvas without boxes, which fills a batch."""
        return Record(
            image=np.full((*self.canvas_size, 3), GREY, np.uint8),
            boxes=np.zeros((0, 4), np.float32),
            labels=np.zeros(0, np.int32),
            ignore=np.zeros(0, np.bool_),
            picture=np.int64(PADDING),
            size=np.array(self.canvas_size, np.int32),
        )

    def _report_mismatch(self, index: int, sample: Sample, size: Size) -> None:
        if index in self._mismatches or len(self._mismatches) >= NAMED_MISMATCHES:
            return
        self._mismatches.add(index)
        logger.warning(
            "%s: height x width is %d x %d, annotated as %d x %d; its boxes are cut at its edges",
            sample.path,
            *size,
            *sample.size,
        )


def training_batches(
    dataset: Dataset,
    canvas_size: Size,
    *,
    batch: int,
    seed: int,
    augment: AugmentConfig,
    mode: LetterboxMode = "letterbox",
    workers: int = 0,
    start: int = 0,
) -> tf.data.Dataset:
    """The endless training stream in full batches, which may cross the border of two epochs.

    Args:
        dataset: the pictures.
        canvas_size: (height, width) of the network's input.
        batch: B, pictures a batch.
        seed: of the order of the pictures and of the augmentation.
        augment: the augmentation.
        mode: how pictures come onto the canvas.
        workers: threads; 0: one a core.
        start: the position in the stream, in pictures, to begin at.

    Returns:
        Pairs of images (B, H, W, 3) uint8 RGB and a dict of boxes (B, M, 4) float32 xyxy in canvas
        pixels, labels (B, M) int32, valid (B, M) bool and ignore (B, M) bool. ``valid`` marks what
        is a box and no padding.

    Raises:
        AnnotationError: there are no pictures.
    """
    if not len(dataset):
        raise AnnotationError(f"{dataset.name}: no pictures to train on; check the folder and the split")
    import tensorflow as tf

    from yolo.datasets.augment import Augmenter

    loader, augmenter = Loader(dataset, canvas_size, mode), Augmenter(augment)

    def load(position: int) -> Record:
        epoch, place = divmod(int(position), len(dataset))
        record = loader.load(int(epoch_order(len(dataset), seed, epoch)[place]))
        image, boxes, kept = augmenter(record.image, record.boxes, seed=(seed, epoch, place))
        return record._replace(image=image, boxes=boxes, labels=record.labels[kept], ignore=record.ignore[kept])

    batches = _batches(load, tf.data.Dataset.counter(start), canvas_size, batch=batch, workers=workers)
    target_keys = ("boxes", "labels", "valid", "ignore")
    return batches.map(lambda images, meta: (images, {key: meta[key] for key in target_keys})).prefetch(2)


def evaluation_batches(
    dataset: Dataset,
    canvas_size: Size,
    *,
    batch: int,
    mode: LetterboxMode = "letterbox",
    workers: int = 0,
) -> tf.data.Dataset:
    """Every picture once, in the Dataset's order, without augmentation.

    Args:
        dataset: the pictures.
        canvas_size: (height, width) of the network's input.
        batch: B, pictures a batch.
        mode: how pictures come onto the canvas.
        workers: threads; 0: one a core.

    Returns:
        Pairs as of `training_batches`; the dict also has ``index`` (B,) int64, which picture each
        row is, and ``sizes`` (B, 2) int32, its height and width before the letterbox. Rows that
        only fill the last batch have the index -1.
    """
    loader = Loader(dataset, canvas_size, mode)

    def load(position: int) -> Record:
        return loader.load(int(position)) if position < len(dataset) else loader.blank()

    import tensorflow as tf

    positions = tf.data.Dataset.range(-(-len(dataset) // batch) * batch)
    return _batches(load, positions, canvas_size, batch=batch, workers=workers).prefetch(2)


@lru_cache(maxsize=4)
def epoch_order(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """(count,) the order in which an epoch goes through the pictures."""
    order = np.random.default_rng([seed, epoch]).permutation(count)
    order.flags.writeable = False  # it is shared
    return order


def _inside(boxes: Boxes, size: Size) -> tuple[Boxes, NDArray[np.bool_]]:
    """The boxes cut at the edges of a picture, and (N,) which of them have anything left."""
    height, width = size
    cut = np.clip(boxes, 0, np.array([width, height, width, height], np.float32))
    kept = (cut[:, 2] > cut[:, 0]) & (cut[:, 3] > cut[:, 1])
    return cut[kept], kept


def _batches(
    load: Callable[[int], Record],
    positions: tf.data.Dataset,
    canvas_size: Size,
    *,
    batch: int,
    workers: int,
) -> tf.data.Dataset:
    """Full batches of (images, dict) in the order of the positions."""
    import tensorflow as tf

    # OpenCV's own threads, one a core for every resize, would be more than were asked for.
    cv2.setNumThreads(0)
    threads = workers or os.cpu_count() or 1
    options = tf.data.Options()
    options.deterministic = True
    options.threading.private_threadpool_size = threads
    records = positions.map(_reader(load, canvas_size), num_parallel_calls=2 * threads)
    return records.padded_batch(batch, drop_remainder=True).map(_rounded).with_options(options)


def _reader(load: Callable[[int], Record], canvas_size: Size) -> Callable[[Any], Any]:
    """``load`` as a TensorFlow function of a position."""
    import tensorflow as tf

    def read(position: Any) -> Any:
        types = Record(tf.uint8, tf.float32, tf.int32, tf.bool, tf.int64, tf.int32)
        record = Record(*tf.numpy_function(guarded(load), [position], list(types)))
        image = tf.ensure_shape(record.image, (*canvas_size, 3))
        labels = tf.ensure_shape(record.labels, (None,))
        return image, {
            "boxes": tf.ensure_shape(record.boxes, (None, 4)),
            "labels": labels,
            "valid": tf.ones_like(labels, tf.bool),
            "ignore": tf.ensure_shape(record.ignore, (None,)),
            "index": tf.ensure_shape(record.picture, ()),
            "sizes": tf.ensure_shape(record.size, (2,)),
        }

    return read


def _rounded(images: Any, meta: dict[str, Any]) -> Any:
    """Lengthen the box axis to `SMALLEST_BOX_COUNT` or the next power of two."""
    import tensorflow as tf

    lengths = tf.constant([SMALLEST_BOX_COUNT << power for power in range(24)])
    count = tf.shape(meta["labels"])[1]
    missing = lengths[tf.searchsorted(lengths, [count])[0]] - count
    rounded = dict(meta)
    for name in ("boxes", "labels", "valid", "ignore"):
        padding = [[0, 0], [0, missing]] + [[0, 0]] * (meta[name].shape.rank - 2)
        rounded[name] = tf.pad(meta[name], padding)
    return images, rounded
