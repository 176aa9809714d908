"""Index of TFRecord shards: a Dataset's columns and the place of each image's record.

It is a plain ``.npz`` without pickled objects: arrays, and JSON as arrays of bytes. Its images are in the order of the
converted dataset, whatever their order in the shards.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from yolo.datasets.annotations.columns import check_classes
from yolo.datasets.tfrecord.records import FRAME, RecordStore
from yolo.errors import AnnotationError
from yolo.files.arrays import DAMAGE, read_array
from yolo.files.quoted import quoted
from yolo.files.remote import file_size, join, named_faults, opened, write_file
from yolo.structs import Dataset

FORMAT = "yolov3-tfrecord-1"
COLUMNS: dict[str, tuple[type, int]] = {
    "sizes": (np.int32, 2),
    "offsets": (np.int64, 1),
    "boxes": (np.float32, 2),
    "labels": (np.int32, 1),
    "ignore": (np.bool_, 1),
    "areas": (np.float32, 1),
    "shard": (np.int32, 1),
    "offset": (np.int64, 1),
    "length": (np.int64, 1),
    "checksum": (np.uint32, 1),
    "files": (np.uint8, 1),
    "image_ids": (np.uint8, 1),
    "header": (np.uint8, 1),
}
"""Type and number of dimensions of each array; the last three hold JSON."""


def write_index(address: str, dataset: Dataset, store: RecordStore, *, shard_bytes: Sequence[int]) -> None:
    """Write the index of a Dataset whose images are in ``store``; ``shard_bytes`` are the lengths of its shards.

    Raises:
        ConfigError: the index cannot be written.
    """
    header = {
        "format": FORMAT,
        "classes": dataset.classes,
        "category_ids": dataset.category_ids,
        "split": dataset.split,
        "shards": [{"name": name, "bytes": size} for name, size in zip(store.shards, shard_bytes, strict=True)],
    }
    columns = {name: getattr(dataset, name) for name in ("sizes", "offsets", "boxes", "labels", "ignore", "areas")}
    columns |= {name: getattr(store, name) for name in ("shard", "offset", "length", "checksum")}
    texts = {"files": list(dataset.files), "image_ids": list(dataset.image_ids), "header": header}
    columns |= {name: np.frombuffer(json.dumps(value).encode(), np.uint8) for name, value in texts.items()}

    def save(file: IO[bytes]) -> None:
        np.savez(file, allow_pickle=False, **columns)

    write_file(address, save)


def read_index(folder: str, name: str) -> Dataset:
    """Read the Dataset of an index; the sizes of its shards are checked, their content is not read.

    Args:
        folder: folder or address of index and shards.
        name: file name of the index.

    Raises:
        AnnotationError: the index is damaged, or a shard is missing or has another size.
    """
    address = join(folder, name)
    try:
        with named_faults(address), opened(address) as file:
            columns = read_columns(file)
        dataset, sizes = to_dataset(folder, columns)
    except DAMAGE as error:
        raise AnnotationError(f"{address}: damaged ({error!s:.200}); convert the data again") from error
    for shard, expected in sizes.items():
        place = join(folder, shard)
        with named_faults(place):
            found = file_size(place)
        if found != expected:
            raise AnnotationError(
                f"{place}: {found:,} bytes, {expected:,} by {name}; copy it again, or convert the data again"
            )
    return dataset


def read_columns(file: IO[bytes]) -> dict[str, NDArray[Any]]:
    """Read the arrays of an index; nothing is allocated that is not in the file.

    Raises:
        ValueError: an array is not as it was written; also the errors that `read_index` catches.
    """
    with ZipFile(file) as archive:
        return {name: read_column(archive, name) for name in COLUMNS}


def read_column(archive: ZipFile, name: str) -> NDArray[Any]:
    """Read one array of an index and check its type and number of dimensions."""
    kind, dimensions = COLUMNS[name]
    column = read_array(archive, name)
    if column.dtype != kind or column.ndim != dimensions:
        raise ValueError(f"{name} has another type or shape")
    return column


def to_dataset(folder: str, columns: dict[str, NDArray[Any]]) -> tuple[Dataset, dict[str, int]]:
    """Make the Dataset; also return the expected bytes of each shard by name.

    Raises:
        ValueError: the columns contradict each other.
    """
    header, files, image_ids = (json.loads(columns[name].tobytes()) for name in ("header", "files", "image_ids"))
    if header["format"] != FORMAT:
        raise ValueError(f"of format {quoted(header['format'], 40)}, expected {FORMAT}")
    sizes = {str(each["name"]): int(each["bytes"]) for each in header["shards"]}
    store = RecordStore(folder, tuple(sizes), *(columns[name] for name in ("shard", "offset", "length", "checksum")))
    check_records(store, np.array(list(sizes.values()), np.int64), pictures=len(files))
    check_texts(files, image_ids, header)
    if not np.isfinite(columns["boxes"]).all() or (columns["sizes"] <= 0).any():
        raise ValueError("boxes or sizes are no numbers of pixels")
    dataset = Dataset(
        classes=check_classes(header["classes"], place=folder),
        files=files,
        image_ids=image_ids,
        category_ids=tuple(header["category_ids"]),
        folder=Path(folder),
        split=header["split"],
        store=store,
        sizes=columns["sizes"],
        offsets=columns["offsets"],
        boxes=columns["boxes"],
        labels=columns["labels"],
        ignore=columns["ignore"],
        areas=columns["areas"],
    )
    return dataset, sizes


def check_records(store: RecordStore, sizes: NDArray[np.int64], *, pictures: int) -> None:
    """Raise a ValueError unless every record lies within its shard, and every shard in the folder."""
    columns = (store.shard, store.offset, store.length, store.checksum)
    if any(len(column) != pictures for column in columns):
        raise ValueError("there are not as many records as pictures")
    if any("/" in name or "\\" in name or name.startswith(".") for name in store.shards):
        raise ValueError("a shard lies in another folder")
    if pictures and not (store.shard.min() >= 0 and store.shard.max() < len(sizes)):
        raise ValueError("a record lies in a shard that is not listed")
    room = sizes[store.shard] - FRAME
    if ((store.offset < 0) | (store.length < 0) | (store.length > room) | (store.offset > room - store.length)).any():
        raise ValueError("a record lies outside its shard")


def check_texts(files: Any, image_ids: Any, header: dict[str, Any]) -> None:
    """Raise a ValueError unless the values from JSON have the types of a Dataset."""
    good = (
        isinstance(files, list)
        and isinstance(image_ids, list)
        and all(isinstance(each, str) for each in files)
        and all(isinstance(each, int | str) for each in image_ids)
        and all(isinstance(each, int) for each in header["category_ids"])
        and (header["split"] is None or isinstance(header["split"], str))
    )
    if not good:
        raise ValueError("names or ids are of another kind")
