"""Headers of plain JPEG and PNG files, in a fraction of the time that Pillow takes; what is not plain is left to it."""

from __future__ import annotations

import struct
import zlib

from yolo.images.codec import ORIENTATION, PNG, Header

GLANCE = 2**16
"""Number of bytes at the beginning of a file that are enough for most headers."""
LARGEST = 89_478_485
"""Number of pixels from which Pillow looks for decompression bombs."""
PLAIN_CHUNKS = {b"IHDR": 13, b"gAMA": 4, b"sRGB": 1, b"cHRM": 32, b"pHYs": 9, b"tIME": 7}
"""Lengths of chunks that say nothing else about the size."""
SAMPLES = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Bits a sample of each colour type of PNG."""
FRAMES = (0xC0, 0xC1, 0xC2)
"""Markers of baseline, extended and progressive JPEG."""
SKIPPED = (0xC4, 0xDD, 0xFE)
"""Markers of tables, restart intervals and comments, which say nothing about the size."""


def quick_header(head: bytes) -> Header | None:
    """Header of an image file that begins with these bytes, the same as `codec.read_header` has; None: ask that."""
    if head.startswith(b"\xff\xd8\xff"):
        header = jpeg_header(head)
    elif head.startswith(PNG):
        size = png_size(head)
        header = None if size is None else Header(size, turned=False)
    else:
        return None
    if header is None or not 0 < header.stored[0] * header.stored[1] < LARGEST:
        return None
    return header


def jpeg_header(head: bytes) -> Header | None:
    """Header of a JPEG whose segments up to the pixels are sound and known."""
    position, size, exif, end = 2, None, b"", len(head)
    while position + 4 <= end and head[position] == 0xFF:
        marker, length = head[position + 1], head[position + 2] << 8 | head[position + 3]
        start, following = position + 4, position + 2 + length
        if length < 2 or following > end:
            break
        if marker == 0xDA:
            turned = is_turned(exif) if exif else False
            return None if size is None or turned is None else Header(size, turned)
        segment = head[start:following]
        if marker in FRAMES and size is None:
            size = frame_size(segment)
            if size is None:
                break
        elif marker == 0xE1 and segment.startswith(b"Exif\0\0") and not exif:
            exif = segment
        elif not is_plain(marker, segment):
            break
        position = following
    return None


def is_turned(exif: bytes) -> bool | None:
    """Whether an EXIF segment says that height and width are swapped; None: ask Pillow's reader of the whole file."""
    from PIL import Image

    found = Image.Exif()
    try:
        found.load(exif)
        return found.get(ORIENTATION) in (5, 6, 7, 8)
    except Exception:  # whatever damage does
        return None


def is_plain(marker: int, segment: bytes) -> bool:
    """Whether a segment of a JPEG is sound and says nothing about size and rotation."""
    if marker == 0xDB:  # 65 bytes a table of 8 bits
        return len(segment) % 65 == 0 and not any(kind >> 4 for kind in segment[::65])
    if marker == 0xE0:
        return segment.startswith(b"JFIF") and len(segment) >= 7
    if marker == 0xE1:
        return segment.startswith(b"http://ns.adobe.com/xap/1.0/\0")
    if marker == 0xE2:
        return segment.startswith(b"ICC_PROFILE\0") and len(segment) > 14
    if marker == 0xEE:
        return segment.startswith(b"Adobe") and len(segment) >= 12
    return marker in SKIPPED


def frame_size(segment: bytes) -> tuple[int, int] | None:
    """(height, width) of a frame header of 8 bits a sample and one, three or four components."""
    if len(segment) < 6 or segment[0] != 8 or segment[5] not in (1, 3, 4) or len(segment) != 6 + 3 * segment[5]:
        return None
    return segment[1] << 8 | segment[2], segment[3] << 8 | segment[4]


def png_size(head: bytes) -> tuple[int, int] | None:
    """(height, width) of a PNG whose chunks up to the pixels are sound and plain."""
    position, size = len(PNG), None
    while position + 12 <= len(head):
        length, kind = struct.unpack_from(">I4s", head, position)
        if kind == b"IDAT":
            return size
        end = position + 8 + length
        plain = length == PLAIN_CHUNKS.get(kind) or (kind == b"PLTE" and 0 < length <= 768 and not length % 3)
        if not plain or end + 4 > len(head) or (size is None) != (kind == b"IHDR"):
            return None
        if zlib.crc32(head[position + 4 : end]) != struct.unpack_from(">I", head, end)[0]:
            return None
        if kind == b"IHDR":
            width, height, bits, colour, *method = struct.unpack_from(">IIBBBBB", head, position + 8)
            if bits not in SAMPLES.get(colour, ()) or any(method[:2]) or method[2] > 1:
                return None
            size = height, width
        position = end + 4
    return None
