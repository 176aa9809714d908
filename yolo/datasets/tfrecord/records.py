"""Records of TFRecord shards: their content, and reading one image from the middle of a shard.

A record is 8 bytes of length, 4 of its CRC, the data, and 4 of their CRC. The data are a ``tf.train.Example`` with the
features of TensorFlow's object detection API, which other programs can read. Records of other programs are read by
`yolo.datasets.tfrecord.scan`.
"""

from __future__ import annotations

import re
import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from yolo.errors import AnnotationError, MediaError
from yolo.files.remote import join, list_names, named_faults, read_range
from yolo.structs import Dataset

if TYPE_CHECKING:
    import tensorflow as tf

HEADER = 12
"""Number of bytes before the data of a record."""
FRAME = 16
"""Number of bytes of a record besides its data."""
INDEX_SUFFIX = ".index.npz"
WHOLE = "pictures"
"""Name of the shards of a dataset that is not divided into splits."""
SHARD = re.compile(r"(?P<part>.+?)\.(tf)?records?(-\d{5}-of-(?P<after>\d{5}))?$")
NUMBERED = re.compile(r"(?P<part>.+)-\d{5}-of-(?P<before>\d{5})$")

ENCODED = "image/encoded"


@dataclass(frozen=True, eq=False)
class RecordStore:
    """N images in TFRecord shards; thread-safe."""

    folder: str
    """Folder or address of the shards."""
    shards: Sequence[str]
    """Names of the shards in the folder."""
    shard: NDArray[np.int32]
    """(N,) index of each image's shard."""
    offset: NDArray[np.int64]
    """(N,) position in bytes of each image's record."""
    length: NDArray[np.int64]
    """(N,) number of bytes of the record's data."""
    checksum: NDArray[np.uint32]
    """(N,) CRC-32 (zlib's) of the record's data."""

    def read(self, index: int) -> bytes:
        """Encoded bytes of image ``index``.

        Raises:
            MediaError: the record cannot be read, or its checksum differs from the index.
        """
        address, offset, length = self._address(index), int(self.offset[index]), int(self.length[index])
        place = f"{address} at byte {offset:,}"
        with named_faults(address, MediaError):
            data = read_range(address, offset + HEADER, length)
        # Not the record's own CRC-32C: zlib's CRC-32 is faster, and the index' value also detects another record.
        if len(data) != length or zlib.crc32(data) != self.checksum[index]:
            raise MediaError(
                f"{place}: the record is damaged or another one than the index says; convert the data again"
            )
        return picture_bytes(parse_example(data, place, MediaError), place)

    def stamp(self, index: int) -> tuple[str | int, ...]:
        """Length and checksum of the record, which do not depend on its place in the shards."""
        return int(self.length[index]), int(self.checksum[index])

    def take(self, indices: NDArray[np.int64]) -> RecordStore:
        return replace(
            self,
            shard=self.shard[indices],
            offset=self.offset[indices],
            length=self.length[indices],
            checksum=self.checksum[indices],
        )

    def _address(self, index: int) -> str:
        return join(self.folder, self.shards[self.shard[index]])


def parse_example(data: bytes, place: str, error: type[AnnotationError] | type[MediaError]) -> Any:
    """Parse a ``tf.train.Example`` into its features by name.

    Raises:
        AnnotationError, MediaError: the data are not an example; ``error`` says which one is raised.
    """
    import tensorflow as tf
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        return tf.train.Example.FromString(data).features.feature
    except DecodeError as fault:
        raise error(f"{place}: the record is no tf.train.Example ({fault})") from fault


def picture_bytes(features: Any, place: str) -> bytes:
    """Encoded image of an example.

    Raises:
        MediaError: the example has no image.
    """
    values: Sequence[bytes] = features[ENCODED].bytes_list.value if ENCODED in features else ()
    if len(values) != 1:
        raise MediaError(f"{place}: the record holds no {ENCODED}, one picture's bytes")
    return values[0]


def to_example(dataset: Dataset, index: int, data: bytes) -> tf.train.Example:
    """Make the example of image ``index`` with all its annotations.

    The object detection API stores corners as fractions of the image's sides; ``yolo/boxes`` repeats them in pixels,
    (4 N) xyxy, which fractions in float32 would not restore exactly.
    """
    import tensorflow as tf

    sample = dataset[index]
    rows = slice(dataset.offsets[index], dataset.offsets[index + 1])
    (height, width), boxes = sample.size, sample.boxes.astype(np.float64)
    corners = (boxes / [width, height, width, height]).astype(np.float32)
    kinds: dict[str, Sequence[bytes] | NDArray[Any]] = {
        ENCODED: [data],
        "image/format": [picture_format(data)],
        "image/filename": [_text(dataset.files[index])],
        "image/source_id": [_text(str(sample.image_id))],
        "image/height": np.array([height]),
        "image/width": np.array([width]),
        **{f"image/object/bbox/{side}": corners[:, axis] for axis, side in enumerate(("xmin", "ymin", "xmax", "ymax"))},
        "image/object/class/text": [_text(dataset.classes[label]) for label in sample.labels],
        "image/object/class/label": sample.labels + 1,  # the API reserves 0 for the background
        "image/object/is_crowd": sample.ignore.astype(np.int64),
        "image/object/area": dataset.areas[rows],
        "yolo/boxes": sample.boxes.reshape(-1),
    }
    return tf.train.Example(features=tf.train.Features(feature={name: _feature(each) for name, each in kinds.items()}))


def _feature(values: Sequence[bytes] | NDArray[Any]) -> tf.train.Feature:
    import tensorflow as tf

    if not isinstance(values, np.ndarray):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if values.dtype.kind == "f":
        return tf.train.Feature(float_list=tf.train.FloatList(value=values.tolist()))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values.tolist()))


def _text(text: str) -> bytes:
    return text.encode(errors="backslashreplace")  # a file's name need not be Unicode


def picture_format(data: bytes) -> bytes:
    """Name of an encoded image's format in the object detection API."""
    kinds = {b"\xff\xd8": b"jpeg", b"\x89PNG": b"png", b"BM": b"bmp", b"RIFF": b"webp", b"II": b"tiff", b"MM": b"tiff"}
    return next((kind for begin, kind in kinds.items() if data.startswith(begin)), b"raw")


@dataclass(frozen=True)
class Part:
    """Shards of one split, or of all images."""

    index: str | None
    """File name of the index; None: another program wrote the shards."""
    shards: tuple[str, ...]
    """Names of the shards, in order; not used with an index, which lists its own."""


def find_parts(folder: str) -> dict[str, Part]:
    """Find the parts of a folder or address by name; empty if it contains no TFRecord files.

    Raises:
        AnnotationError: shards of a part are missing.
    """
    with named_faults(folder):
        names = list_names(folder)
    parts = {name.removesuffix(INDEX_SUFFIX): Part(name, ()) for name in names if name.endswith(INDEX_SUFFIX)}
    foreign: dict[str, list[str]] = defaultdict(list)
    announced: dict[str, set[int]] = defaultdict(set)
    for name in names:
        part, count = split_name(name)
        if part is not None and part not in parts:
            foreign[part].append(name)
            announced[part] |= {count}
    for part, shards in foreign.items():
        counts = announced[part] - {0}
        if counts and (len(announced[part]) > 1 or max(counts) != len(shards)):
            raise AnnotationError(
                f"{folder}: {len(shards)} shards of {part}, whose names say {', '.join(map(str, sorted(counts)))}; "
                "fetch the missing ones, remove those of another version, or convert the data again"
            )
        parts[part] = Part(None, tuple(shards))
    return parts


def split_name(name: str) -> tuple[str | None, int]:
    """Name of a file's part, and the number of shards in its name; (None, 0) if it is not a TFRecord file."""
    match = SHARD.fullmatch(name)
    if match is None or name.startswith("."):
        return None, 0
    if match["after"]:
        return match["part"], int(match["after"])
    numbered = NUMBERED.fullmatch(match["part"])
    return (numbered["part"], int(numbered["before"])) if numbered else (match["part"], 0)


def part_splits(parts: dict[str, Part], standard: Sequence[str]) -> tuple[str, ...]:
    """Parts that are splits: all of several; a single one only if it has the name of a split."""
    return tuple(parts) if len(parts) > 1 else tuple(name for name in parts if name in standard)
