"""Reading TFRecord shards without an index, such as those of other programs, in one pass."""

from __future__ import annotations

import io
import logging
import re
import struct
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from yolo.datasets.annotations.columns import Columns
from yolo.datasets.tfrecord.crc32c import masked_crc32c
from yolo.datasets.tfrecord.records import FRAME, HEADER, RecordStore, parse_example, picture_bytes
from yolo.errors import AnnotationError, MediaError
from yolo.files.bounded import MIB, in_units
from yolo.files.quoted import quoted
from yolo.files.remote import file_size, join, named_faults, opened
from yolo.images.codec import LARGEST_PICTURE, decode_image, read_header
from yolo.structs import Size

logger = logging.getLogger(__name__)

PROGRESS_SECONDS = 5.0
LARGEST_RECORD = LARGEST_PICTURE + MIB
"""Largest number of bytes of a record's data."""
CORNERS = tuple(f"image/object/bbox/{side}" for side in ("xmin", "ymin", "xmax", "ymax"))


@dataclass
class Found:
    """Columns collected so far: N records with K boxes."""

    files: list[str] = field(default_factory=list)
    image_ids: list[int | str] = field(default_factory=list)
    sizes: list[Size] = field(default_factory=list)
    rows: list[tuple[int, int, int, int]] = field(default_factory=list)
    """(N) shard, offset, length and checksum of each record."""
    boxes: list[NDArray[np.float64]] = field(default_factory=list)
    """(N) boxes of each record, (n, 4) xyxy in pixels."""
    texts: list[str | None] = field(default_factory=list)
    """(K) name of each box's class, if there is one."""
    numbers: list[int | None] = field(default_factory=list)
    """(K) number of each box's class, if there is one."""
    ignore: list[bool] = field(default_factory=list)


def scan(folder: str, shards: Sequence[str], *, names: Sequence[str]) -> Columns:
    """Read the columns in some shards; classes in the order of their numbers, else alphabetical.

    Args:
        folder: folder or address of the shards.
        shards: file names of the shards.
        names: all file names in the folder, one of which may be a label map.

    Raises:
        AnnotationError: a shard is damaged, or a record has no annotated image.
    """
    found = Found()
    sizes = [file_size(join(folder, name)) for name in shards]
    logger.info("%s: no index; reading all %d shards once (%.1f MB)", folder, len(shards), sum(sizes) / 1e6)
    before, said = 0, time.monotonic()
    for shard, (name, size) in enumerate(zip(shards, sizes, strict=True)):
        address = join(folder, name)
        with named_faults(address), opened(address) as file:
            for offset, data in records(file, size, address):
                add(found, shard, offset, data, place=f"{address} at byte {offset:,}")
                if time.monotonic() - said > PROGRESS_SECONDS:
                    said = time.monotonic()
                    logger.info(
                        "%s: %d pictures, %.0f%%", folder, len(found.files), (before + offset) * 100 / sum(sizes)
                    )
        before += size
    return to_columns(found, folder, shards, label_map(folder, names))


def records(file: IO[bytes], size: int, address: str) -> Iterator[tuple[int, bytes]]:
    """Read and check each record of a shard: offset and data; nothing is allocated beyond the file's size.

    Raises:
        AnnotationError: the shard is damaged.
    """
    offset = 0
    while offset < size:
        header = file.read(HEADER)
        if offset == 0 and header.startswith(b"\x1f\x8b"):
            raise AnnotationError(f"{address}: compressed; pictures are read from anywhere in it: unpack it first")
        if len(header) < HEADER or masked_crc32c(header[:8]) != struct.unpack("<I", header[8:])[0]:
            raise AnnotationError(
                f"{address} at byte {offset:,}: no TFRecord begins here; fetch or write the file again"
            )
        (length,) = struct.unpack("<Q", header[:8])
        if length > size - offset - FRAME:
            raise AnnotationError(f"{address} at byte {offset:,}: the file ends within this record; fetch it again")
        if length > LARGEST_RECORD:
            raise AnnotationError(
                f"{address} at byte {offset:,}: a record of {in_units(length)}; "
                f"one picture's may have {in_units(LARGEST_RECORD)} at most"
            )
        data, check = file.read(length), file.read(4)
        if len(data) < length or len(check) < 4 or masked_crc32c(data) != struct.unpack("<I", check)[0]:
            raise AnnotationError(f"{address} at byte {offset:,}: the record is damaged; fetch or write the file again")
        yield offset, data
        offset += FRAME + length


def add(found: Found, shard: int, offset: int, data: bytes, *, place: str) -> None:
    """Add one record.

    Raises:
        AnnotationError: the record has no annotated image.
    """
    features = parse_example(data, place, AnnotationError)
    size = picture_size(features, place)
    boxes = picture_boxes(features, size, place)
    texts = [each.decode(errors="replace") for each in _values(features, "image/object/class/text", "bytes_list")]
    numbers = _values(features, "image/object/class/label", "int64_list")
    crowd = [bool(each) for each in _values(features, "image/object/is_crowd", "int64_list")]
    difficult = [bool(each) for each in _values(features, "image/object/difficult", "int64_list")]
    for name, values in (
        ("class/text", texts),
        ("class/label", numbers),
        ("is_crowd", crowd),
        ("difficult", difficult),
    ):
        if len(values) not in (0, len(boxes)):
            raise AnnotationError(f"{place}: {len(boxes)} boxes, but {len(values)} image/object/{name}")
    if len(boxes) and not texts and not numbers:
        raise AnnotationError(f"{place}: boxes without image/object/class/text or image/object/class/label")
    nothing = [None] * len(boxes)
    found.files.append(_text(features, "image/filename"))
    found.image_ids.append(_text(features, "image/source_id"))
    found.sizes.append(size)
    found.rows.append((shard, offset, len(data), zlib.crc32(data)))
    found.boxes.append(boxes)
    found.texts += texts or nothing
    found.numbers += numbers or nothing
    found.ignore += [any(pair) for pair in zip(crowd or nothing, difficult or nothing, strict=True)]


def picture_size(features: Any, place: str) -> Size:
    """Size (height, width) in the record, else in the image's header."""
    sides = [_values(features, f"image/{side}", "int64_list") for side in ("height", "width")]
    if all(len(side) == 1 and 0 < side[0] < 2**31 for side in sides):
        return sides[0][0], sides[1][0]
    try:
        data = picture_bytes(features, place)
        header = read_header(io.BytesIO(data), name=place)
        if header:
            return header.size
        height, width = decode_image(data, name=place).shape[:2]
    except MediaError as error:
        raise AnnotationError(f"{error}; nor does the record say how large the picture is") from error
    return height, width


def picture_boxes(features: Any, size: Size, place: str) -> NDArray[np.float64]:
    """Boxes (n, 4) xyxy in pixels: ``yolo/boxes`` if present, else from the object detection API's fractions."""
    own = _values(features, "yolo/boxes", "float_list")
    sides = [_values(features, name, "float_list") for name in CORNERS]
    if len({len(side) for side in sides}) != 1 or len(own) not in (0, 4 * len(sides[0])):
        raise AnnotationError(f"{place}: as many {CORNERS[0]} as of the other three are expected")
    if own:
        return np.array(own, np.float64).reshape(-1, 4)
    return np.array(sides, np.float64).T * [size[1], size[0], size[1], size[0]]


def _values(features: Any, name: str, kind: str) -> list[Any]:
    return list(getattr(features[name], kind).value) if name in features else []


def _text(features: Any, name: str) -> str:
    return next((each.decode(errors="replace") for each in _values(features, name, "bytes_list")), "")


def to_columns(found: Found, folder: str, shards: Sequence[str], labels: dict[int, str]) -> Columns:
    """Make the columns from what was collected."""
    table = np.array(found.rows, np.int64).reshape(-1, 4)
    store = RecordStore(
        folder,
        tuple(shards),
        shard=table[:, 0].astype(np.int32),
        offset=table[:, 1],
        length=table[:, 2],
        checksum=table[:, 3].astype(np.uint32),
    )
    places = [f"{shards[shard]} at byte {offset:,}" for shard, offset, *_ in found.rows]
    pictures = np.repeat(np.arange(len(found.boxes)), [len(each) for each in found.boxes])
    names, numbers, indices = class_names(found, labels, folder)
    return Columns(
        folder=Path(folder),
        files=unique(found.files, places),
        sizes=np.array(found.sizes, np.int32).reshape(-1, 2),
        image_ids=unique([str(each) for each in found.image_ids], places),
        names=names,
        category_ids=numbers,
        pictures=pictures,
        labels=indices,
        boxes=np.concatenate([np.zeros((0, 4)), *found.boxes]),
        ignore=np.array(found.ignore, bool),
        place=lambda row: f"{folder}: {places[pictures[row]]}",
        store=store,
    )


def unique(names: Sequence[str], places: Sequence[str]) -> list[str]:
    """Return the names if they are unique and not empty, else the places of the records."""
    return list(names) if len(set(names)) == len(names) and all(names) else list(places)


def class_names(
    found: Found, labels: dict[int, str], folder: str
) -> tuple[list[str], list[int] | None, NDArray[np.int32]]:
    """Class names by rising number, these numbers, and the label of each box.

    Raises:
        AnnotationError: a number stands for two classes.
    """
    known = dict(labels)
    keys = []
    for text, number in zip(found.texts, found.numbers, strict=True):
        name = text if text is not None else known.get(int(number or 0), str(number))
        if number is not None and known.setdefault(number, name) != name:
            raise AnnotationError(
                f"{folder}: class {number} is {quoted(known[number])} and {quoted(name)}; mend the records"
            )
        keys.append(name)
    if all(number is not None for number in found.numbers) and len(set(known.values())) == len(known) and known:
        numbers = sorted(known)
        names = [known[number] for number in numbers]
    else:
        numbers, names = None, sorted(set(keys))
    position = {name: index for index, name in enumerate(names)}
    return names, numbers, np.array([position[key] for key in keys], np.int32)


def label_map(folder: str, names: Sequence[str]) -> dict[int, str]:
    """Read class names by number from a folder's ``.pbtxt``; empty unless there is exactly one such file."""
    files = [name for name in names if name.endswith(".pbtxt")]
    if len(files) != 1:
        return {}
    address = join(folder, files[0])
    with named_faults(address), opened(address) as file:
        text = file.read(2**20).decode(errors="replace")
    items = re.findall(r"item\s*\{([^}]*)\}", text)
    pairs = [(re.search(r"\bid\s*:\s*(\d+)", each), re.search(r"\bname\s*:\s*(['\"])(.*?)\1", each)) for each in items]
    return {int(number[1]): name[2] for number, name in pairs if number and name}
