"""Sizes of plain JPEG and PNG files, a tenth of the time that Pillow takes; whatever is not plain is left to Pillow."""

from __future__ import annotations

import struct
import zlib

from yolo.images.codec import PNG, Header

GLANCE = 8192
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
        size = jpeg_size(head)
    elif head.startswith(PNG):
        size = png_size(head)
    else:
        return None
    if size is None or not 0 < size[0] * size[1] < LARGEST:
        return None
    return Header(size, turned=False)


def jpeg_size(head: bytes) -> tuple[int, int] | None:
    """(height, width) of a JPEG without EXIF whose segments up to the pixels are sound and known."""
    position, size, end = 2, None, len(head)
    while position + 4 <= end and head[position] == 0xFF:
        marker, length = head[position + 1], head[position + 2] << 8 | head[position + 3]
        start, following = position + 4, position + 2 + length
        if length < 2 or following > end:
            break
        if marker == 0xDA:
            return size
        if marker in FRAMES and size is None:
            size = frame_size(head[start:following])
            if size is None:
                break
        elif not is_plain(marker, head[start:following]):
            break
        position = following
    return None


def is_plain(marker: int, segment: bytes) -> bool:
    """Whether a segment of a JPEG is sound and says nothing about size and rotation."""
    if marker == 0xDB:  # 65 bytes a table of 8 bits
        return len(segment) % 65 == 0 and not any(kind >> 4 for kind in segment[::65])
    if marker == 0xE0:
        return segment.startswith(b"JFIF") and len(segment) >= 7
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
