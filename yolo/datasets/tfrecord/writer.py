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
"""About so large are the shards unless their number is given: TensorFlow's guide asks for 100 MB and more."""
WINDOW = 64
"""Pictures that are read ahead."""
LEFT_OUT_SUFFIX = ".left_out.csv"


class Record(NamedTuple):
    """A picture on its way into a shard."""

    picture: int
    data: bytes
    """Of the record; empty if the picture cannot be read."""
    reason: str = ""


class Converted(NamedTuple):
    """What came of a conversion."""

    dataset: Dataset
    store: RecordStore
    """Of the dataset."""
    left_out: list[tuple[str, str]]
    """File and reason of each picture that cannot be read."""


@dataclass
class Conversion:
    """Shards on their way, and what has been written so far."""

    dataset: Dataset
    folder: str
    pool: Executor
    progress: Callable[[int, int], None]
    shards: list[str] = field(default_factory=list)
    shard_bytes: list[int] = field(default_factory=list)
    rows: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    """Picture, shard, offset, length and checksum of each record."""
    left_out: list[tuple[str, str]] = field(default_factory=list)
    """File and reason of each picture that cannot be read."""

    def write_shard(self, name: str, pictures: NDArray[np.int64]) -> None:
        """Write some of the pictures into the next shard.

        Raises:
            ConfigError: it cannot be written.
        """
        write_with_tensorflow(join(self.folder, name), lambda temporary: self._write(temporary, pictures))
        self.shards.append(name)

    def _write(self, path: str, pictures: NDArray[np.int64]) -> None:
        import tensorflow as tf

        end = 0
        with tf.io.TFRecordWriter(path) as file:
            # In windows, for else the pool reads ahead without bound of a slow disk.
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
    """Write the pictures, as they are encoded, into shards of which each is a fair sample, and an index of them.

    The pictures that cannot be read are left out and listed beside the index. Until the index is
    there, which comes last, the shards of an interrupted conversion are no dataset.

    Args:
        dataset: what to write; its split names the files.
        folder: a folder that exists, or an address such as ``gs://bucket/folder``.
        shards: how many; None: of about 128 MiB each.
        seed: of the order in which the pictures are dealt out to the shards.
        workers: threads that read; 0: one a core.
        progress: is told how many pictures are done, of how many.

    Returns:
        The dataset in the shards, its pictures in the order they had, and what was left out.

    Raises:
        AnnotationError: there are no pictures, or none can be read.
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
    """A remote folder that is new, empty, or may be written into.

    Raises:
        ConfigError: it holds something and ``force`` is not given, or it cannot be reached.
    """
    import tensorflow as tf

    with named_faults(address, ConfigError):
        if tf.io.gfile.exists(address) and list_names(address) and not force:
            raise ConfigError(f"{address}: exists; give another OUT, or --force to write into it")
        tf.io.gfile.makedirs(address)
    return address


def remove_parts(folder: str) -> None:
    """Remove what an earlier conversion wrote, so that half of a new one is never taken for it.

    Only what our own indexes list goes; shards of other programs stay.

    Raises:
        ConfigError: it cannot be removed.
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
    """What the files are called: the split's name, with characters that any file system takes."""
    return re.sub(r"[^\w-]", "_", dataset.split) if dataset.split else WHOLE


def encoded_bytes(dataset: Dataset) -> int:
    """Of all pictures' files; those that are not there count nothing."""
    if isinstance(dataset.store, RecordStore):
        return int(dataset.store.length.sum())
    total = 0
    for index in range(len(dataset)):
        with suppress(OSError, ValueError):
            total += dataset.path(index).stat().st_size
    return total


def encode(dataset: Dataset, index: int) -> Record:
    """The record of a picture, which is decoded once to see that it can be."""
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
    """The pictures that were written, in the order they had, and where they lie now."""
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
    """The names of the pictures below their folder, or below the one that all absolute ones share."""
    absolute = [file for file in dataset.files if Path(file).is_absolute()]
    if not absolute:
        return list(dataset.files)
    base = os.path.commonpath([str(Path(file).parent) for file in absolute])
    return [os.path.relpath(file, base) if Path(file).is_absolute() else file for file in dataset.files]
