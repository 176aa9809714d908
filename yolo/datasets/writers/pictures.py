"""Image files of a conversion: checked, copied or linked, and the frame of their boxes."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.errors import MediaError
from yolo.files.atomic import write_whole
from yolo.files.bounded import open_file
from yolo.images.codec import ORIENTATION, decode_image, read_bytes, read_header
from yolo.images.suffixes import SUFFIXES
from yolo.structs import Dataset, Size

Pictures = Literal["copy", "link", "none"]
"""Treatment of image files: copied, linked to, or left where they are."""
KINDS = {"JPEG": (".jpg", ".jpeg"), "PNG": (".png",), "BMP": (".bmp",), "WEBP": (".webp",), "TIFF": (".tif", ".tiff")}
"""Suffixes by the names of Pillow's formats."""
UNTURNED = 1
"""Value of the EXIF rotation for none."""


class Stored(NamedTuple):
    """Result of storing an image."""

    fault: str = ""
    """Reason why it cannot be read; empty if it can."""
    stored: Size = (0, 0)
    """(height, width) before the EXIF rotation; 0 if not looked at."""
    shown: Size = (0, 0)
    """(height, width) after it."""
    orientation: int = UNTURNED
    """EXIF rotation, 5 to 8, if it swaps height and width; else 1."""


def store_picture(dataset: Dataset, index: int, target: Path, pictures: Pictures) -> Stored:
    """Decode an image as a check and store it.

    Args:
        dataset: its dataset.
        index: index of the image.
        target: new file.
        pictures: what is done with it; an image that is no file is copied instead of linked to.

    Raises:
        ConfigError: it cannot be written.
    """
    path = dataset.path(index)
    if pictures == "none":
        return look_at(path)
    height, width = dataset.sizes[index].tolist()
    try:
        data = read_bytes(path) if dataset.store is None else dataset.store.read(index)
        image = decode_image(data, name=str(path), annotated_size=(height, width))
        found = measured(data, str(path), image.shape[:2])
    except MediaError as error:
        return Stored(str(error))
    if pictures == "link" and dataset.store is None:
        write_whole(target, lambda temporary: temporary.symlink_to(path.absolute()))
    else:
        write_whole(target, lambda temporary: temporary.write_bytes(data))
    return found


def look_at(path: Path) -> Stored:
    """Measure an image that stays where it is; nothing is known of one that cannot be read."""
    with suppress(OSError, MediaError), open_file(path) as file:
        return measured(file.read(), str(path), (0, 0))
    return Stored()


def measured(data: bytes, name: str, size: Size) -> Stored:
    """Measure an image; ``size`` is that of its pixels, which counts if the header is not known."""
    header = read_header(io.BytesIO(data), name=name)
    if header is None:
        return Stored("", size, size)
    return Stored("", header.stored, header.size, orientation(data) if header.turned else UNTURNED)


def orientation(data: bytes) -> int:
    """EXIF rotation of an image whose header has one."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        return int(image.getexif().get(ORIENTATION, UNTURNED))


def turn_boxes(boxes: NDArray[np.float32], stored: Size, orientation: int) -> NDArray[np.float32]:
    """Boxes (N, 4) of the frame before an EXIF rotation of 5 to 8 in the frame after it."""
    height, width = stored
    x1, y1, x2, y2 = boxes.T
    across = (height - y2, height - y1) if orientation in (6, 7) else (y1, y2)
    down = (width - x2, width - x1) if orientation in (7, 8) else (x1, x2)
    return np.stack([across[0], down[0], across[1], down[1]], axis=1)


def fitting_suffix(name: str, data: bytes) -> str:
    """Name with a suffix by which the image's content is found; its own if it fits."""
    from PIL import Image

    kind = None
    with suppress(OSError, ValueError, Image.DecompressionBombError), Image.open(io.BytesIO(data)) as image:
        kind = image.format
    path = PurePosixPath(name)
    fitting = KINDS.get(kind or "", tuple(sorted(SUFFIXES)))
    if path.suffix.lower() in fitting:
        return name
    bare = path.with_suffix("") if path.suffix.lower() in SUFFIXES else path
    return f"{bare}{fitting[0] if kind in KINDS else '.jpg'}"


def with_suffixes(dataset: Dataset, names: list[str], pictures: Pictures) -> list[str]:
    """Names of a dataset's images with suffixes that readers know: by content where there is no file with one.

    An image that cannot be read keeps its name; storing it will report that.
    """
    found = []
    for index, name in enumerate(names):
        known = PurePosixPath(name).suffix.lower() in SUFFIXES and dataset.store is None
        if not known and pictures != "none":
            with suppress(MediaError):
                data = read_bytes(dataset.path(index)) if dataset.store is None else dataset.store.read(index)
                name = fitting_suffix(name, data)  # noqa: PLW2901
        found.append(name)
    return found
