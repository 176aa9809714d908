"""Recognising a folder, near or far, of TFRecord shards."""

from __future__ import annotations

from yolo.datasets.annotations.columns import Columns
from yolo.datasets.annotations.joining import to_columns
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.source import PACKED, Format, ReadOptions, Source
from yolo.datasets.annotations.splits import SPLITS
from yolo.datasets.tfrecord.index import read_index
from yolo.datasets.tfrecord.records import Part, find_parts, part_splits
from yolo.datasets.tfrecord.scan import scan
from yolo.errors import AnnotationError
from yolo.files.remote import list_names


def recognise(place: Place) -> Source | None:
    """Recognise a folder of this machine."""
    parts = find_parts(str(place.path)) if place.is_folder else {}
    return tfrecord_parts(str(place.path), parts) if parts else None


def recognise_address(address: str) -> Source:
    """Recognise a folder at any address.

    Raises:
        AnnotationError: there are no TFRecord files.
    """
    parts = find_parts(address)
    if not parts:
        raise AnnotationError(
            f"{address}: no TFRecord files there; other datasets have to lie in a folder of this machine "
            "(`yolov3 data convert DATA ADDRESS --to tfrecord` brings them there)"
        )
    return tfrecord_parts(address, parts)


def tfrecord_parts(folder: str, parts: dict[str, Part]) -> Source:
    """Source of TFRecord shards: a single set of them, or one per split."""

    def read(split: str | None, _: ReadOptions) -> Columns:
        if split is None and len(parts) > 1:
            raise AnnotationError(f"{folder}: it has the splits {', '.join(parts)}; choose one (--split NAME)")
        name = next(iter(parts)) if split is None else split
        part = parts[name]
        if part.index is not None:
            return to_columns(read_index(folder, part.index))
        return scan(folder, part.shards, names=list_names(folder))

    return Source("TFRecord", part_splits(parts, SPLITS), read)


FORMAT = Format("TFRecord", PACKED, recognise)
