"""Writes a Dataset as TFRecord shards with an index."""

from __future__ import annotations

import math
import os
import re
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.datasets.tfrecord.index import write_index
from yolo.datasets.tfrecord.records import FRAME, INDEX_SUFFIX, WHOLE, RecordStore, to_example
from yolo.errors import AnnotationError, ConfigError, MediaError
from yolo.files.csv_table import csv_bytes
from yolo.files.remote import join, list_names, named_faults, write_file, write_with_tensorflow
from yolo.images.codec import decode_image, read_bytes
from yolo.structs import Dataset

SHARD_BYTES = 128 * 2**20
"""Approximate default size of a shard; TensorFlow's guide recommends at least 100 MB."""
WINDOW = 64
"""Number of images read at once."""
LEFT_OUT_SUFFIX = ".left_out.csv"


class Record(NamedTuple):
    """Record of one image, to be written to a shard."""

    picture: int
    data: bytes
    """Bytes of the record; empty if the image cannot be read."""
    reason: str = ""


class Converted(NamedTuple):
    """Result of a conversion."""

    dataset: Dataset
    store: RecordStore
    """Storage of the dataset's images."""
    left_out: list[tuple[str, str]]
    """File and reason of each picture that cannot be read."""


@dataclass
class Conversion:
    """State of a conversion: shards and records written so far."""

    dataset: Dataset
    folder: str
    pool: Executor
    progress: Callable[[int, int], None]
    shards: list[str] = field(default_factory=list)
    shard_bytes: list[int] = field(default_factory=list)
    rows: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    """Image index, shard, offset, length and checksum of each record."""
    left_out: list[tuple[str, str]] = field(default_factory=list)
    """File and reason of each picture that cannot be read."""

    def write_shard(self, name: str, pictures: NDArray[np.int64]) -> None:
        """Write images, given by their indices, into the next shard.

        Raises:
            ConfigError: the shard cannot be written.
        """
        write_with_tensorflow(join(self.folder, name), lambda temporary: self._write(temporary, pictures))
        self.shards.append(name)

    def _write(self, path: str, pictures: NDArray[np.int64]) -> None:
        import tensorflow as tf

        end = 0
        with tf.io.TFRecordWriter(path) as file:
            # In windows: otherwise the pool would read ahead without limit when writing is slow.
            for start in range(0, len(pictures), WINDOW):
                window = pictures[start : start + WINDOW].tolist()
                for record in self.pool.map(lambda index: encode(self.dataset, index), window):
                    if not record.data:
                        self.left_out.append((str(self.dataset.path(record.picture)), record.reason))
                        continue
                    file.write(record.data)
                    place = (len(self.shards), end, len(record.data), zlib.crc32(record.data))
                    self.rows.append((record.picture, *place))
                    end += len(record.data) + FRAME
                self.progress(len(self.rows) + len(self.left_out), len(self.dataset))
        self.shard_bytes.append(end)


def write_tfrecords(
    dataset: Dataset,
    folder: str | Path,
    *,
    shards: int | None = None,
    seed: int = 0,
    workers: int = 0,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Converted:
    """Write the encoded images of a dataset into shards, distributed at random, and an index of them.

    Images that cannot be read are skipped and listed beside the index. The index is written last: the shards of an
    interrupted conversion have none.

    Args:
        dataset: dataset to write; its split names the files.
        folder: an existing folder, or an address such as ``gs://bucket/folder``.
        shards: number of shards; None: about 128 MiB each.
        seed: seed of the distribution of the images over the shards.
        workers: threads that read images; 0: one per core.
        progress: called with the numbers of images done and of all images.

    Returns:
        The dataset in the shards, its images in their original order, and the skipped ones.

    Raises:
        AnnotationError: there are no images, or none can be read.
        ConfigError: a file cannot be written.
    """
    if not len(dataset):
        raise AnnotationError(f"{dataset.name}: no pictures to convert; check the folder and the split")
    name, place = part_name(dataset), str(folder)
    count = min(len(dataset), shards or max(1, math.ceil(encoded_bytes(dataset) / SHARD_BYTES)))
    order = np.random.default_rng(seed).permutation(len(dataset))
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        conversion = Conversion(dataset, place, pool, progress)
        for shard in range(count):
            conversion.write_shard(f"{name}-{shard:05}-of-{count:05}.tfrecord", order[shard::count])
    left_out = conversion.left_out
    if left_out:
        write_left_out(join(place, f"{name}{LEFT_OUT_SUFFIX}"), left_out)
    if not conversion.rows:
        raise AnnotationError(f"{dataset.name}: none of the {len(dataset)} pictures can be read: {left_out[0][1]}")
    converted, store = in_shards(conversion)
    write_index(join(place, f"{name}{INDEX_SUFFIX}"), converted, store, shard_bytes=conversion.shard_bytes)
    return Converted(converted, store, left_out)


def prepare_address(address: str, *, force: bool) -> str:
    """Prepare a remote folder that is new, empty, or may be written into; return its address.

    Raises:
        ConfigError: the folder is not empty and ``force`` is not given, or it cannot be reached.
    """
    import tensorflow as tf

    with named_faults(address, ConfigError):
        if tf.io.gfile.exists(address) and list_names(address) and not force:
            raise ConfigError(f"{address}: exists; give another OUT, or --force to write into it")
        tf.io.gfile.makedirs(address)
    return address


def remove_parts(folder: str) -> None:
    """Remove the files of an earlier conversion, so that they cannot be mistaken for an interrupted new one.

    Only indexes and their shards are removed; the shards of other programs have no index and stay.

    Raises:
        ConfigError: a file cannot be removed.
    """
    import tensorflow as tf

    with named_faults(folder, ConfigError):
        names = list_names(folder)
        for index in [name for name in names if name.endswith(INDEX_SUFFIX)]:
            part = index.removesuffix(INDEX_SUFFIX)
            own = [name for name in names if re.fullmatch(re.escape(part) + r"-\d{5}-of-\d{5}\.tfrecord", name)]
            for name in [index, *own, f"{part}{LEFT_OUT_SUFFIX}"]:
                if name in names:
                    tf.io.gfile.remove(join(folder, name))


def part_name(dataset: Dataset) -> str:
    """Name of the files: that of the split, in characters that every file system accepts."""
    return re.sub(r"[^\w-]", "_", dataset.split) if dataset.split else WHOLE


def encoded_bytes(dataset: Dataset) -> int:
    """Total size of the image files in bytes; missing files count as 0."""
    if isinstance(dataset.store, RecordStore):
        return int(dataset.store.length.sum())
    total = 0
    for index in range(len(dataset)):
        with suppress(OSError, ValueError):
            total += dataset.path(index).stat().st_size
    return total


def encode(dataset: Dataset, index: int) -> Record:
    """Make the record of an image; the image is decoded once as a check."""
    path, (height, width) = dataset.path(index), dataset.sizes[index].tolist()
    try:
        data = read_bytes(path) if dataset.store is None else dataset.store.read(index)
        decode_image(data, name=str(path), annotated_size=(height, width))
    except MediaError as error:
        return Record(index, b"", str(error))
    return Record(index, to_example(dataset, index, data).SerializeToString())


def write_left_out(address: str, rows: Sequence[tuple[str, str]]) -> None:
    content = csv_bytes(("file", "reason"), sorted(rows))
    write_file(address, lambda file: file.write(content))


def in_shards(conversion: Conversion) -> tuple[Dataset, RecordStore]:
    """Dataset of the written images, in their original order, and their storage."""
    table = np.array(sorted(conversion.rows), np.int64)
    store = RecordStore(
        conversion.folder,
        tuple(conversion.shards),
        shard=table[:, 1].astype(np.int32),
        offset=table[:, 2],
        length=table[:, 3],
        checksum=table[:, 4].astype(np.uint32),
    )
    kept = replace(conversion.dataset, store=None).subset(table[:, 0])
    return replace(kept, files=relative(kept), folder=Path(conversion.folder), store=store), store


def relative(dataset: Dataset) -> list[str]:
    """Image paths relative to their folder, or absolute ones to the folder that they share."""
    absolute = [file for file in dataset.files if Path(file).is_absolute()]
    if not absolute:
        return list(dataset.files)
    base = os.path.commonpath([str(Path(file).parent) for file in absolute])
    return [os.path.relpath(file, base) if Path(file).is_absolute() else file for file in dataset.files]
