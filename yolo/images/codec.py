"""Reading and writing image files: always (H, W, 3) uint8 RGB with the EXIF rotation applied."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.errors import MediaError
from yolo.files import bounded
from yolo.files.atomic import write_whole
from yolo.system.warning_filters import add_filter

if TYPE_CHECKING:
    from PIL.Image import Image


LARGEST_PICTURE = 1024 * bounded.MIB
"""Largest size of an image file in bytes: 179 million pixels without compression."""
UNREADABLE = "not a picture that can be decoded"
PNG = b"\x89PNG\r\n\x1a\n"
REDUCED = {
    1: cv2.IMREAD_GRAYSCALE,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}
AVIF = (b"ftypavif", b"ftypavis")
ORIENTATION = 0x0112
"""EXIF tag of the rotation; its values 5 to 8 swap height and width."""


class Header(NamedTuple):
    """Size and rotation in the header of an image file."""

    stored: tuple[int, int]
    """(height, width) as stored, before the EXIF rotation."""
    turned: bool
    """Whether the EXIF rotation swaps height and width."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) after the EXIF rotation."""
        return (self.stored[1], self.stored[0]) if self.turned else self.stored


class Look(NamedTuple):
    """Contents of an image file's header, as far as they matter to people who collect pictures."""

    header: Header
    mode: str
    """Pillow's name of the colours: ``RGB``, ``L`` (grey), ``P`` (palette), ``RGBA``, ``CMYK``, ``I;16``, ..."""
    orientation: int
    """EXIF orientation: 1 is upright, 5 to 8 swap height and width."""


def read_image(path: str | Path, *, annotated_size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Read an image as (H, W, 3) uint8 RGB; grey, palette, alpha and 16-bit files are converted.

    16-bit samples are reduced to their high byte. Alpha is dropped and the colours stay as stored (black in TIFF files
    where fully transparent). Of several frames the first is read.

    Args:
        path: image file.
        annotated_size: (height, width) according to the annotations. If it is the size as stored, before the EXIF
            rotation, the rotation is not applied, so that boxes and image stay in one frame.

    Raises:
        MediaError: the file is missing, not an image, a truncated JPEG, or larger than about 179 million pixels.
    """
    return decode_image(read_bytes(path), name=str(path), annotated_size=annotated_size)


def read_bytes(path: str | Path) -> bytes:
    """Read the bytes of an image file, without decoding.

    Raises:
        MediaError: the file is missing, cannot be read, is not a regular file, or is too large.
    """
    # Bytes first: cv2 cannot open non-ASCII paths everywhere, and does not tell why it failed.
    return bounded.read_bytes(path, limit=LARGEST_PICTURE, error=MediaError, what="a picture")


def decode_image(data: bytes, *, name: str, annotated_size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Decode the bytes of an image file as `read_image` does; ``name`` is used in errors.

    Raises:
        MediaError: the bytes are not an image, are truncated, or declare more than about 179 million pixels.
    """
    check_complete(data, name=name)
    header = read_header(io.BytesIO(data), name=name)
    as_stored = bool(header and header.turned and annotated_size == header.stored != header.size)
    if header and data[4:12] in AVIF:
        return decode_avif(data, name=name, as_stored=as_stored)
    flags = cv2.IMREAD_COLOR_RGB | (cv2.IMREAD_IGNORE_ORIENTATION if as_stored else 0)
    return _decode(data, flags, name=name, dimensions=3)


def decode_reduced(data: bytes, *, name: str, by: Literal[1, 2, 4, 8]) -> NDArray[np.uint8]:
    """Decode the bytes of an image file as (h, w) uint8 grey, a fraction of its size, without the EXIF rotation.

    All data of the file are gone through, so that it fails for the same files as `decode_image`. Call `read_header`
    before: it guards against decompression bombs.

    Raises:
        MediaError: the bytes are not an image, or are truncated.
    """
    check_complete(data, name=name)
    return _decode(data, REDUCED[by] | cv2.IMREAD_IGNORE_ORIENTATION, name=name, dimensions=2)


def _decode(data: bytes, flags: int, *, name: str, dimensions: int) -> NDArray[np.uint8]:
    with decoding(name):
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if image is None or image.dtype != np.uint8 or image.ndim != dimensions:
        raise MediaError(f"{name}: {deep_samples(data) or UNREADABLE}")
    return image


def check_complete(data: bytes, *, name: str) -> None:
    """Check what decoders do not: that the file has an end, and its parts the lengths that it declares.

    Raises:
        MediaError: it is empty or truncated.
    """
    if not data:
        raise MediaError(f"{name}: the file is empty")
    if is_truncated_jpeg(data):
        raise MediaError(f"{name}: the JPEG ends too early; copy or export the file again")
    check_lengths(data, name=name)


def decode_avif(data: bytes, *, name: str, as_stored: bool) -> NDArray[np.uint8]:
    """Decode an AVIF with Pillow, as OpenCV does not apply its rotation.

    Raises:
        MediaError: it cannot be decoded.
    """
    from PIL import Image, ImageOps

    with decoding(name), Image.open(io.BytesIO(data)) as image:
        image.info.pop("xmp", None)  # may hold a rotation too, which no header says
        shown = image if as_stored else ImageOps.exif_transpose(image)
        return np.asarray(shown.convert("RGB"))


def deep_samples(data: bytes) -> str | None:
    """Reason for an image of 32-bit samples, whose range nobody knows; None: the fault is another."""
    from PIL import Image

    try:
        with decoding(""), Image.open(io.BytesIO(data)) as image:
            deep = image.mode in ("F", "I")
    except MediaError:
        return None
    return "its samples have 32 bits; save it with 8 or 16 bits a sample" if deep else None


@contextmanager
def decoding(name: str) -> Iterator[None]:
    """Turn any error of a decoder in the context into a MediaError.

    On damaged files, Pillow's and OpenCV's decoders raise a dozen types of errors, MemoryError included.
    """
    from PIL.Image import DecompressionBombError

    try:
        yield
    except MediaError:
        raise
    except DecompressionBombError as error:
        raise MediaError(f"{name}: too large ({error}); scale it down first") from error
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise MediaError(f"{name}: {UNREADABLE} ({reason:.100})") from error


def check_lengths(data: bytes, *, name: str) -> None:
    """Compare the lengths declared in a file with its size, as decoders allocate what is declared.

    Raises:
        MediaError: a PNG's chunk is longer than the file.
    """
    if not data.startswith(PNG):
        return
    position = len(PNG)
    while position + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        if length > len(data) - position - 8:
            raise MediaError(f"{name}: {UNREADABLE} (a part of the PNG is longer than the file); copy it again")
        if data[position + 4 : position + 8] == b"IEND":
            return
        position += 12 + length


def is_truncated_jpeg(data: bytes) -> bool:
    """Whether a JPEG lacks its end marker; decoders fill the missing part with grey.

    Within entropy-coded data 0xFF bytes are stuffed, so an end marker after the start of the first scan is a real one
    (ITU-T T.81, B.1.1.5). Cameras put thumbnails before that scan, and sometimes a whole video after the marker.
    """
    if not data.startswith(b"\xff\xd8") or data.endswith(b"\xff\xd9"):
        return False
    position = 2
    while position + 4 <= len(data):
        marker, length = struct.unpack_from(">HH", data, position)
        if marker == 0xFFDA:
            return data.find(b"\xff\xd9", position) < 0
        if marker == 0xFFFF:  # fill bytes may precede a marker
            position += 1
        elif marker > 0xFF00:
            position += 2 + length
        else:
            return False  # not truncated but damaged: left to the decoder
    return True


def image_size(path: str | Path) -> tuple[int, int]:
    """Read (height, width) after the EXIF rotation, as in `read_image`, from the file's header alone.

    Raises:
        MediaError: the file is missing, not an image, or too large for `read_image`.
    """
    try:
        with bounded.open_file(path) as file:
            header = read_header(file, name=str(path))
    except OSError:
        header = None
    if header:
        return header.size
    # A format that only OpenCV knows, or not an image: then this raises the reason.
    height, width = read_image(path).shape[:2]
    return height, width


def read_header(file: IO[bytes], *, name: str) -> Header | None:
    """Read the size and rotation in the header of an image file; arguments, None and errors as in `read_look`."""
    look = read_look(file, name=name)
    return None if look is None else look.header


def read_look(file: IO[bytes], *, name: str) -> Look | None:
    """Read the header of an image file; None if Pillow does not know the format.

    Raises:
        MediaError: it declares more pixels than Pillow's limit against decompression bombs.
    """
    from PIL import Image

    add_filter("ignore", r"PIL\.")  # of large pictures and odd EXIF; neither hinders us
    try:
        with decoding(name), Image.open(file) as image:
            return _look(image)
    except MediaError as error:
        if isinstance(error.__cause__, Image.DecompressionBombError):
            raise
        return None  # OpenCV may know the format


def _look(image: Image) -> Look:
    from PIL import TiffImagePlugin

    if isinstance(image, TiffImagePlugin.TiffImageFile):  # Pillow's size already has the rotation applied
        tags = image.tag_v2
        stored = (int(tags[TiffImagePlugin.IMAGELENGTH]), int(tags[TiffImagePlugin.IMAGEWIDTH]))
        orientation = tags.get(ORIENTATION)
    else:
        stored, orientation = (image.height, image.width), _exif_orientation(image)
    known = orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1
    return Look(Header(stored, known >= 5), image.mode, known)


def _exif_orientation(image: Image) -> object:
    from PIL import Image as PillowImage

    # Not `getexif`: it decodes a whole PNG to read what follows the pixels, and uses XMP, which OpenCV does not.
    exif = PillowImage.Exif()
    try:
        exif.load(image.info.get("exif", b""))
        return exif.get(ORIENTATION)
    except (SyntaxError, ValueError, OSError, struct.error):
        return None


def write_image(path: str | Path, image: Image) -> None:
    """Write an image in the format of the name's suffix, whole or not at all.

    Raises:
        MediaError: the suffix is unknown, or the file cannot be written.
    """
    write_encoded(path, encode_image(path, image))


def encode_image(path: str | Path, image: Image) -> bytes:
    """Encode an image in the format of a file name's suffix.

    Raises:
        MediaError: the suffix is unknown, or the format cannot hold the image.
    """
    from PIL import Image as PillowImage

    target = Path(path)
    kind = PillowImage.registered_extensions().get(target.suffix.lower())
    if kind not in PillowImage.SAVE:
        raise MediaError(f"{target}: pictures cannot be written as {target.suffix!r}; try .jpg or .png")
    encoded = io.BytesIO()
    try:
        image.save(encoded, kind, quality=92)
    except (OSError, ValueError) as error:
        raise MediaError(f"{target}: cannot be written ({error})") from error
    return encoded.getvalue()


def write_encoded(path: str | Path, data: bytes) -> None:
    """Write the bytes of an image file, whole or not at all.

    Raises:
        MediaError: the file cannot be written.
    """
    write_whole(path, lambda temporary: temporary.write_bytes(data), error=MediaError)
