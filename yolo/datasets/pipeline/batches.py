"""Training and evaluation batches on the canvas, from tf.data, each batch made by one thread.

One call into Python makes a whole batch, directly in the memory that becomes its tensor: calls and copies per image
would cost more than the augmentation.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.config import AugmentConfig, LetterboxMode
from yolo.datasets.pipeline.picture_loader import Loader
from yolo.datasets.pipeline.tf_errors import guarded
from yolo.errors import AnnotationError, ConfigError
from yolo.structs import Boxes, Dataset, Size
from yolo.system.startup import leave_gpus_to_backend

if TYPE_CHECKING:
    import tensorflow as tf

SMALLEST_BOX_COUNT = 8
"""Shortest box axis of a batch; longer ones are powers of two, as JAX compiles once per length."""

ALIGNMENT = 64
"""Alignment in bytes at which TensorFlow uses an array's memory as it is; otherwise it copies."""

Arrays = dict[str, NDArray[Any]]


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
    plain_from: int | None = None,
    multi_scale: float = 0.0,
    rare_classes: float = 0.0,
    shard: int = 0,
    shards: int = 1,
    loader: Loader | None = None,
) -> tf.data.Dataset:
    """Endless training stream (`yolo.datasets.pipeline.stream`) in full batches, which may span two epochs.

    Args:
        dataset: images to train on.
        canvas_size: (height, width) of the network's input.
        batch: B, images per batch, over all shards.
        seed: seed of the order of the images, of the augmentation and of the canvas sizes.
        augment: augmentation options.
        mode: how images are fitted to the canvas.
        workers: threads, each of which makes a batch; 0: one per core.
        start: position in the stream, in images, to start at.
        plain_from: position from which mosaic and mixup are off; None: never.
        multi_scale: batch k, counted from position 0, has the canvas
            `yolo.datasets.pipeline.multi_scale.canvas_of_batch` (k); 0: ``canvas_size``.
        rare_classes: oversample images of classes rarer than this (`yolo.datasets.pipeline.shuffle`).
        shard: r, rank of this host; it gets the rows r B / n to (r + 1) B / n of every batch, the same
            ones that a single host would have there.
        shards: n, number of hosts.
        loader: loader of the images; None: make one from ``dataset`` and ``mode``.

    Returns:
        Pairs of images (B / n, H, W, 3) uint8 RGB and a dict of boxes (B / n, M, 4) float32 xyxy in canvas
        pixels, labels (B / n, M) int32, valid (B / n, M) bool and ignore (B / n, M) bool. ``valid`` is
        False for padding. With several shards M is the same on all of them: it follows from the boxes
        that the whole batch could have, not from those left after clipping.

    Raises:
        AnnotationError: the dataset is empty.
        ConfigError: B is not a multiple of n, or the augmentation does not fit the dataset.
    """
    if not len(dataset):
        raise AnnotationError(f"{dataset.name}: no pictures to train on; check the folder and the split")
    rows = shard_rows(batch, shard, shards)
    from yolo.datasets.pipeline.multi_scale import canvas_of_batch
    from yolo.datasets.pipeline.stream import TrainingStream

    loader = loader or Loader(dataset, mode)
    stream = TrainingStream(loader, augment, seed=seed, plain_from=plain_from, rare_classes=rare_classes)

    def make(first: int) -> Arrays:
        size = canvas_of_batch(canvas_size, multi_scale, seed, first // batch) if multi_scale else canvas_size
        positions = range(first, first + batch)
        images = aligned_zeros((len(rows), *size, 3))
        objects = stream.fill(images, positions[rows.start : rows.stop])
        capacity = stream.most_boxes(positions) if shards > 1 else None
        return {"images": images, **padded(objects, capacity)}

    import tensorflow as tf

    leave_gpus_to_backend()
    fixed = (None, None) if multi_scale else canvas_size
    batches = _batches(make, tf.data.Dataset.counter(start, batch), _signature(len(rows), fixed), workers)
    return batches.map(lambda arrays: (arrays.pop("images"), arrays)).prefetch(2)


def evaluation_batches(
    dataset: Dataset,
    canvas_size: Size,
    *,
    batch: int,
    mode: LetterboxMode = "letterbox",
    workers: int = 0,
    shard: int = 0,
    shards: int = 1,
    loader: Loader | None = None,
) -> tf.data.Dataset:
    """Batches with every image once, in the Dataset's order, without augmentation.

    Args:
        dataset: images to evaluate.
        canvas_size: (height, width) of the network's input.
        batch: B, images per batch, over all shards.
        mode: how images are fitted to the canvas.
        workers: threads, each of which makes a batch; 0: one per core.
        shard: rank of this host; it gets rows as in `training_batches`.
        shards: number of hosts. All get the same number of batches, and together every image.
        loader: loader of the images; None: make one from ``dataset`` and ``mode``.

    Returns:
        Pairs as in `training_batches`; the dict also has ``index`` (B / n,) int64, the image index of each
        row, and ``sizes`` (B / n, 2) int32, its height and width before the letterbox. Rows that pad the
        last batch have the index -1.

    Raises:
        ConfigError: B is not a multiple of n.
    """
    rows = shard_rows(batch, shard, shards)
    source = loader or Loader(dataset, mode)

    def make(first: int) -> Arrays:
        positions = range(first, first + batch)
        records = [
            source.load(position, canvas_size) if position < len(dataset) else source.blank(canvas_size)
            for position in positions[rows.start : rows.stop]
        ]
        capacity = int(np.diff(dataset.offsets[first : first + batch + 1]).max()) if shards > 1 else None
        images = aligned_zeros((len(rows), *canvas_size, 3))
        for image, record in zip(images, records, strict=True):
            image[...] = record.image
        return {
            "images": images,
            **padded(records, capacity),
            "index": np.array([record.picture for record in records], np.int64),
            "sizes": np.array([record.size for record in records], np.int32),
        }

    import tensorflow as tf

    leave_gpus_to_backend()
    count = len(rows)
    signature = _signature(count, canvas_size) | {
        "index": tf.TensorSpec((count,), tf.int64),
        "sizes": tf.TensorSpec((count, 2), tf.int32),
    }
    batches = _batches(make, tf.data.Dataset.range(0, len(dataset), batch), signature, workers)
    return batches.map(lambda arrays: (arrays.pop("images"), arrays)).prefetch(2)


def shard_rows(batch: int, shard: int, shards: int) -> range:
    """Rows of every batch that one of several hosts works on.

    Raises:
        ConfigError: the batch is not a multiple of the number of hosts.
    """
    if not 0 <= shard < shards:
        raise ValueError(f"expected a shard in 0..{shards - 1}, got {shard}")
    if batch % shards:
        near = max(1, round(batch / shards)) * shards
        raise ConfigError(f"batch must be a multiple of the {shards} hosts (try {near}), got {batch}")
    rows = batch // shards
    return range(shard * rows, (shard + 1) * rows)


class Labelled(Protocol):
    """Protocol of anything with N boxes."""

    @property
    def boxes(self) -> Boxes:
        """(N, 4) xyxy."""

    @property
    def labels(self) -> NDArray[np.int32]:
        """(N,)"""

    @property
    def ignore(self) -> NDArray[np.bool_]:
        """(N,)"""


def padded(rows: Sequence[Labelled], capacity: int | None = None) -> Arrays:
    """Pad the boxes of R images to arrays boxes (R, M, 4), labels, valid and ignore (R, M).

    M is `box_axis` of the largest count or, if given, of ``capacity``; boxes beyond M are dropped. (An image that
    replaces an unreadable one may have more boxes than expected.)
    """
    length = box_axis(max(len(row.labels) for row in rows) if capacity is None else capacity)
    shape = (len(rows), length)
    boxes, labels = np.zeros((*shape, 4), np.float32), np.zeros(shape, np.int32)
    valid, ignore = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    for number, row in enumerate(rows):
        count = min(len(row.labels), length)
        boxes[number, :count] = row.boxes[:count]
        labels[number, :count] = row.labels[:count]
        ignore[number, :count] = row.ignore[:count]
        valid[number, :count] = True
    return {"boxes": boxes, "labels": labels, "valid": valid, "ignore": ignore}


def box_axis(count: int) -> int:
    """Length of the box axis: `SMALLEST_BOX_COUNT`, or the next power of two that holds ``count``."""
    return max(SMALLEST_BOX_COUNT, 1 << (count - 1).bit_length() if count else 0)


def aligned_zeros(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Zeros (uint8) that TensorFlow can use without a copy."""
    size = int(np.prod(shape))
    memory = np.zeros(size + ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % ALIGNMENT
    return memory[begin : begin + size].reshape(shape)


def _signature(rows: int, size: tuple[int | None, int | None]) -> dict[str, tf.TensorSpec]:
    """Shapes and types of a batch's arrays."""
    import tensorflow as tf

    return {
        "images": tf.TensorSpec((rows, *size, 3), tf.uint8),
        "boxes": tf.TensorSpec((rows, None, 4), tf.float32),
        "labels": tf.TensorSpec((rows, None), tf.int32),
        "valid": tf.TensorSpec((rows, None), tf.bool),
        "ignore": tf.TensorSpec((rows, None), tf.bool),
    }


def _batches(
    make: Callable[[int], Arrays], firsts: tf.data.Dataset, signature: dict[str, tf.TensorSpec], workers: int
) -> tf.data.Dataset:
    """Dataset of the dicts that ``make`` returns for each first position, in their order."""
    import tensorflow as tf

    # OpenCV would start one thread per core for every resize, beyond the ``workers`` asked for.
    cv2.setNumThreads(0)
    threads = workers or os.cpu_count() or 1
    options = tf.data.Options()
    options.deterministic = True
    options.threading.private_threadpool_size = threads

    def arrays_of(first: int) -> list[NDArray[Any]]:
        arrays = make(int(first))
        return [arrays[name] for name in signature]

    call = guarded(arrays_of)

    def batch_at(first: Any) -> dict[str, Any]:
        tensors = tf.numpy_function(call, [first], [spec.dtype for spec in signature.values()])
        return {
            name: tf.ensure_shape(tensor, spec.shape)
            for (name, spec), tensor in zip(signature.items(), tensors, strict=True)
        }

    return firsts.map(batch_at, num_parallel_calls=threads).with_options(options)
