"""The quick header reader says what Pillow says, or nothing."""

from __future__ import annotations

import io

import pytest
from damage import damaged
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from yolo.images.codec import Header, read_header
from yolo.images.quick_header import GLANCE, quick_header


def encoded(kind: str, size: tuple[int, int] = (7, 5), mode: str = "RGB", **options) -> bytes:
    content = io.BytesIO()
    Image.new(mode, size, 90 if mode in ("L", "1") else None).save(content, kind, **options)
    return content.getvalue()


EXIF = Image.Exif()
EXIF[0x0112] = 6
PLAIN = {
    "colour": encoded("JPEG"),
    "grey": encoded("JPEG", mode="L"),
    "progressive": encoded("JPEG", progressive=True, comment=b"made by hand"),
    "png": encoded("PNG"),
    "png, alpha": encoded("PNG", mode="RGBA", dpi=(72, 72)),
    "png, palette": encoded("PNG", mode="P"),
    "png, 1 bit": encoded("PNG", mode="1"),
}
OTHERS = {
    "exif": encoded("JPEG", exif=EXIF.tobytes(), dpi=(72, 72)),
    "exif, no dpi": encoded("JPEG", exif=EXIF.tobytes()),
    "cmyk": encoded("JPEG", mode="CMYK"),
    "profile": encoded("JPEG", icc_profile=b"x" * 200),
    "two profiles and xmp": encoded("JPEG", icc_profile=b"x" * 70_000, xmp=b"<x/>"),
    "png, exif": encoded("PNG", exif=EXIF.tobytes()),
    "bmp": encoded("BMP"),
}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_files(name):
    assert quick_header(PLAIN[name][:GLANCE]) == Header((5, 7), turned=False)


@pytest.mark.parametrize("orientation", range(1, 10))
def test_rotations(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = quick_header(encoded("JPEG", exif=exif.tobytes(), icc_profile=b"x" * 200, xmp=b"<x/>"))
    assert found == Header((5, 7), turned=orientation in (5, 6, 7, 8))


@pytest.mark.parametrize("name", ["png, exif", "bmp"])
def test_what_is_left_to_pillow(name):
    assert quick_header(OTHERS[name]) is None


def test_bombs_are_left_to_pillow():
    content = bytearray(PLAIN["colour"])
    start = content.index(b"\xff\xc0")
    content[start + 5 : start + 9] = b"\xff\xff\xff\xff"
    assert quick_header(bytes(content)) is None


@pytest.mark.parametrize("name", [*PLAIN, *OTHERS])
@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_damaged_files_have_the_header_that_pillow_finds(name, data):
    content = damaged(data, ({**PLAIN, **OTHERS})[name])
    found = quick_header(content)
    if found is not None:
        assert found == read_header(io.BytesIO(content), name="x")
