"""Pictures from files and to files: always (H, W, 3) uint8 RGB with the EXIF rotation applied."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.errors import MediaError
from yolo.files.atomic import write_whole

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
ORIENTATION = 0x0112
"""The EXIF tag; its values 5 to 8 swap height and width."""


class Header(NamedTuple):
    """What a picture file says of itself before its pixels."""

    stored: tuple[int, int]
    """(height, width) as stored."""
    turned: bool
    """Whether the EXIF rotation swaps height and width."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) after the EXIF rotation."""
        return (self.stored[1], self.stored[0]) if self.turned else self.stored


def read_image(path: str | Path, *, annotated_size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """The picture as (H, W, 3) uint8 RGB; grey, palette, alpha and 16-bit files included.

    Of 16-bit samples the high byte counts; alpha is left out, the colours stay as stored
    (TIFF's are black where wholly transparent); of several frames the first is taken.

    Args:
        path: the file.
        annotated_size: (height, width) the annotations speak of. Where it is the size of the
            picture as stored, before its EXIF rotation, the rotation is not applied, so that
            boxes and picture stay in one frame.

    Raises:
        MediaError: the file is missing, no picture, a truncated JPEG, or larger than about
            179 million pixels.
    """
    return decode_image(read_bytes(path), name=str(path), annotated_size=annotated_size)


def read_bytes(path: str | Path) -> bytes:
    # Bytes first: cv2 cannot open non-ASCII paths everywhere, and does not tell why it failed.
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        reason = error.strerror if isinstance(error, OSError) else error
        raise MediaError(f"{path}: cannot be read ({reason})") from error


def decode_image(data: bytes, *, name: str, annotated_size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """`read_image` of the bytes of a file; ``name`` is what errors call it."""
    if not data:
        raise MediaError(f"{name}: the file is empty")
    if is_truncated_jpeg(data):
        raise MediaError(f"{name}: the JPEG ends too early; copy or export the file again")
    header = read_header(io.BytesIO(data), name=name)
    flags = cv2.IMREAD_COLOR_RGB
    if header and header.turned and annotated_size == header.stored != header.size:
        flags |= cv2.IMREAD_IGNORE_ORIENTATION
    image = _decode(data, flags)
    if image is None:
        raise MediaError(f"{name}: not a picture that can be decoded")
    return image


def _decode(data: bytes, flags: int) -> NDArray[np.uint8] | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:  # e.g. more pixels than OpenCV allows
        return None


def is_truncated_jpeg(data: bytes) -> bool:
    """Whether a JPEG lacks its end marker; decoders fill the missing part with grey.

    Inside the entropy-coded data an 0xFF byte is always stuffed, so an end marker behind the
    start of the first scan can only be a real one (ITU-T T.81, B.1.1.5). Cameras put
    thumbnails before it and sometimes a whole video behind it.
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
            return False  # not truncated but broken: the decoder's to judge
    return True


def image_size(path: str | Path) -> tuple[int, int]:
    """(height, width) after the EXIF rotation, as `read_image` gives it, from the file's header alone.

    Raises:
        MediaError: the file is missing, no picture, or too large for `read_image`.
    """
    try:
        with Path(path).open("rb") as file:
            header = read_header(file, name=str(path))
    except (OSError, ValueError):
        header = None
    if header:
        return header.size
    # A format that only OpenCV knows, or no picture: then this says why.
    height, width = read_image(path).shape[:2]
    return height, width


def read_header(file: IO[bytes], *, name: str) -> Header | None:
    """The header of a picture file; None where Pillow does not know the format.

    Raises:
        MediaError: it announces more pixels than Pillow's limit against decompression bombs.
    """
    from PIL import Image, UnidentifiedImageError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of large pictures and odd EXIF; neither hinders us
        try:
            with Image.open(file) as image:
                return _header(image)
        except Image.DecompressionBombError as error:
            raise MediaError(f"{name}: too large ({error}); scale it down first") from error
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
            return None


def _header(image: Image) -> Header:
    from PIL import Image as PillowImage
    from PIL import TiffImagePlugin

    if isinstance(image, TiffImagePlugin.TiffImageFile):  # its size has the rotation in it already
        tags = image.tag_v2
        stored = (int(tags[TiffImagePlugin.IMAGELENGTH]), int(tags[TiffImagePlugin.IMAGEWIDTH]))
        return Header(stored, tags.get(ORIENTATION) in (5, 6, 7, 8))
    # Not `getexif`: that decodes a whole PNG to look behind its pixels, and believes XMP; OpenCV does not.
    exif = PillowImage.Exif()
    try:
        exif.load(image.info.get("exif", b""))
        turned = exif.get(ORIENTATION) in (5, 6, 7, 8)
    except (SyntaxError, ValueError, OSError, struct.error):
        turned = False
    return Header((image.height, image.width), turned)


def write_image(path: str | Path, image: Image) -> None:
    """Write a picture in the format of the name's suffix, whole or not at all.

    Raises:
        MediaError: the suffix is unknown, or the file cannot be written.
    """
    from PIL import Image as PillowImage

    target = Path(path)
    kind = PillowImage.registered_extensions().get(target.suffix.lower())
    if kind not in PillowImage.SAVE:
        raise MediaError(f"{target}: pictures cannot be written as {target.suffix!r}; try .jpg or .png")
    try:
        write_whole(target, lambda temporary: image.save(temporary, kind, quality=92), error=MediaError)
    except ValueError as error:
        raise MediaError(f"{target}: cannot be written ({error})") from error


def list_images(folder: str | Path) -> list[Path]:
    """The picture files of a folder and its subfolders, sorted; hidden ones are left out."""
    return sorted(
        path
        for path in Path(folder).rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
