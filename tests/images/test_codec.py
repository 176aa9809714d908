"""Pictures from files: each kind by its values, each fault by its message."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from yolo.errors import MediaError
from yolo.images.codec import (
    decode_image,
    image_size,
    is_truncated_jpeg,
    read_image,
    write_image,
)
from yolo.images.listing import list_images
from yolo.images.suffixes import SUFFIXES

COLOUR = (200, 100, 50)
PICTURE = np.full((4, 6, 3), COLOUR, np.uint8)
# Three rows of two pixels, all different: every EXIF orientation gives another picture.
CORNERS = np.arange(0, 18 * 14, 14, dtype=np.uint8).reshape(3, 2, 3)


def save(path: Path, picture: Image.Image, **options: object) -> Path:
    picture.save(path, **options)
    return path


def save_cv2(path: Path, pixels: np.ndarray) -> Path:
    assert cv2.imwrite(str(path), pixels)
    return path


def palette_picture() -> Image.Image:
    picture = Image.new("P", (6, 4), 1)
    picture.putpalette([0, 0, 0, *COLOUR])
    return picture


def alpha_picture(alpha: int) -> Image.Image:
    return Image.fromarray(np.dstack([PICTURE, np.full((4, 6), alpha, np.uint8)]))


def noise(height: int = 48, width: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + rows + chunk(b"IEND", b"")


WRITERS = {
    "rgb.png": lambda p: save(p, Image.fromarray(PICTURE)),
    "rgb.bmp": lambda p: save(p, Image.fromarray(PICTURE)),
    "rgb.tif": lambda p: save(p, Image.fromarray(PICTURE)),
    "rgb.webp": lambda p: save(p, Image.fromarray(PICTURE), lossless=True),
    "UPPER.PNG": lambda p: save(p, Image.fromarray(PICTURE)),
    "palette.png": lambda p: save(p, palette_picture()),
    "palette.bmp": lambda p: save(p, palette_picture()),
    "palette.tif": lambda p: save(p, palette_picture()),
    "palette_transparent.png": lambda p: save(p, palette_picture(), transparency=1),
    "opaque.png": lambda p: save(p, alpha_picture(255)),
    "half.png": lambda p: save(p, alpha_picture(128)),
    "transparent.png": lambda p: save(p, alpha_picture(0)),
    "alpha.webp": lambda p: save(p, alpha_picture(128), lossless=True),
    "key.png": lambda p: save(p, Image.fromarray(PICTURE), transparency=COLOUR),
    "frames.gif": lambda p: save(p, palette_picture(), save_all=True, append_images=[Image.new("P", (6, 4))]),
    "pages.tif": lambda p: save(p, Image.fromarray(PICTURE), save_all=True, append_images=[Image.new("RGB", (9, 9))]),
    "names with ü, 猫 and [brackets].png": lambda p: save(p, Image.fromarray(PICTURE)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_gives_its_colour(tmp_path, name):
    path = WRITERS[name](tmp_path / name)
    image = read_image(path)
    assert image.dtype == np.uint8
    assert image_size(path) == (4, 6)
    np.testing.assert_array_equal(image, PICTURE)


@pytest.mark.parametrize(
    ("name", "picture"),
    [
        ("grey.png", Image.new("L", (6, 4), 77)),
        ("grey.jpg", Image.new("L", (6, 4), 77)),
        ("grey_alpha.png", Image.new("LA", (6, 4), (77, 3))),
        ("grey.tif", Image.new("L", (6, 4), 77)),
        ("grey.bmp", Image.new("L", (6, 4), 77)),
    ],
)
def test_grey_becomes_three_equal_channels(tmp_path, name, picture):
    np.testing.assert_array_equal(read_image(save(tmp_path / name, picture)), np.full((4, 6, 3), 77))


@pytest.mark.parametrize("name", ["one_bit.png", "one_bit.bmp", "one_bit.tif"])
def test_one_bit_becomes_black_and_white(tmp_path, name):
    picture = Image.new("1", (6, 4), 1)
    picture.putpixel((0, 0), 0)
    image = read_image(save(tmp_path / name, picture))
    assert image[0, 0].tolist() == [0, 0, 0]
    assert image[0, 1].tolist() == image[3, 5].tolist() == [255, 255, 255]


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".gif", ".avif", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2"])
def test_rarer_suffixes_are_pictures(tmp_path, suffix):
    path = save(tmp_path / f"a{suffix.upper()}", Image.fromarray(PICTURE))
    np.testing.assert_allclose(read_image(path).astype(int), PICTURE, atol=4)
    assert image_size(path) == (4, 6)
    assert list_images(tmp_path) == [path]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_avif_is_turned_as_a_png_is(tmp_path, orientation):
    turned, plain = (
        read_image(save(tmp_path / name, Image.fromarray(CORNERS), exif=exif(orientation), **options))
        for name, options in (("a.avif", {"quality": 100, "subsampling": "4:4:4"}), ("a.png", {}))
    )
    np.testing.assert_allclose(turned.astype(int), plain, atol=8)
    assert image_size(tmp_path / "a.avif") == plain.shape[:2]
    assert read_image(tmp_path / "a.avif", annotated_size=(3, 2)).shape[:2] == (3, 2)


@pytest.mark.parametrize("name", ["a.tif", "a.pfm"])
def test_samples_of_32_bits_are_refused(tmp_path, name):
    path = save(tmp_path / name, Image.new("F", (6, 4), 0.5))
    with pytest.raises(MediaError, match=r"a\.\w+: its samples have 32 bits; save it with 8 or 16 bits a sample"):
        read_image(path)


SAMPLES_16 = np.array([[0, 0x00FF, 0x0100], [0x1234, 0x8000, 0xFFFF]], np.uint16)
HIGH_BYTES = np.array([[0, 0, 1], [0x12, 0x80, 255]], np.uint8)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey_is_scaled_not_cut(tmp_path, suffix):
    path = save_cv2(tmp_path / f"deep.{suffix}", SAMPLES_16)
    image = read_image(path)
    assert image.shape == (2, 3, 3)
    # The high byte, give or take rounding.
    np.testing.assert_allclose(image[..., 0].astype(int), HIGH_BYTES, atol=1)
    assert image[1, 2].tolist() == [255, 255, 255]
    assert image_size(path) == (2, 3)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("alpha", [False, True])
def test_16_bit_colour_keeps_its_channels_apart(tmp_path, suffix, alpha):
    bgr = np.dstack([np.full((2, 3), value, np.uint16) for value in (0x1000, 0x8000, 0xF000)])
    pixels = np.dstack([bgr, np.full((2, 3), 0xFFFF, np.uint16)]) if alpha else bgr
    image = read_image(save_cv2(tmp_path / f"deep.{suffix}", pixels))
    np.testing.assert_allclose(image.astype(int), np.full((2, 3, 3), (0xF0, 0x80, 0x10)), atol=1)


def test_cmyk_jpeg_is_converted(tmp_path):
    picture = Image.new("CMYK", (16, 16), (0, 155, 205, 55))
    expected = picture.convert("RGB").getpixel((0, 0))  # (200, 78, 39)
    image = read_image(save(tmp_path / "press.jpg", picture, quality=95))
    np.testing.assert_allclose(image[8, 8].astype(int), expected, atol=3)


def turned(orientation: int) -> np.ndarray:
    """CORNERS as EXIF 2.32 (table 6) means it to be seen."""
    seen = CORNERS
    if orientation in (5, 6, 7, 8):  # the stored rows are columns
        seen = seen.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):  # the first row is the bottom, or the first column is
        seen = seen[::-1]
    if orientation in (2, 3, 6, 7):  # the first column is the right side
        seen = seen[:, ::-1]
    return seen


@pytest.mark.parametrize("orientation", range(10))  # 0 and 9 mean nothing
@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_exif_orientation_is_applied_to_pixels_and_size(tmp_path, suffix, orientation):
    options = {"lossless": True} if suffix == "webp" else {}
    path = save(tmp_path / f"turned.{suffix}", Image.fromarray(CORNERS), exif=exif(orientation), **options)
    image = read_image(path)
    np.testing.assert_array_equal(image, turned(orientation))
    assert image_size(path) == image.shape[:2]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_of_jpeg(tmp_path, orientation):
    large = np.kron(CORNERS, np.ones((16, 16, 1), np.uint8))  # blocks that JPEG keeps
    path = save(tmp_path / "turned.jpg", Image.fromarray(large), exif=exif(orientation), quality=95)
    image = read_image(path)
    np.testing.assert_allclose(image[8::16, 8::16].astype(int), turned(orientation), atol=12)
    assert image_size(path) == image.shape[:2]


def test_annotations_of_the_stored_picture_switch_the_rotation_off(tmp_path):
    path = save(tmp_path / "turned.png", Image.fromarray(CORNERS), exif=exif(6))
    np.testing.assert_array_equal(read_image(path, annotated_size=(3, 2)), CORNERS)
    np.testing.assert_array_equal(read_image(path, annotated_size=(2, 3)), turned(6))
    np.testing.assert_array_equal(read_image(path, annotated_size=(7, 7)), turned(6))  # neither: as seen


def test_broken_exif_does_not_hinder(tmp_path):
    path = save(tmp_path / "odd.jpg", Image.fromarray(PICTURE), exif=b"Exif\x00\x00XX*\x00garbage")
    assert read_image(path).shape[:2] == image_size(path) == (4, 6)


def test_xmp_orientation_counts_for_neither(tmp_path):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6"/></x:xmpmeta>'
    path = save(tmp_path / "xmp.jpg", Image.fromarray(PICTURE), xmp=xmp)
    assert read_image(path).shape[:2] == image_size(path) == (4, 6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"this is a text\n" * 30, "not a picture"),
        (b"\xff\xd8", "ends too early"),
        (b"\x89PNG\r\n\x1a\n", "not a picture"),
        (encoded(Image.fromarray(noise()), "JPEG")[:900], "ends too early"),
        (encoded(Image.fromarray(noise()), "JPEG", progressive=True)[:-2], "ends too early"),
        (encoded(Image.fromarray(noise()), "PNG")[:3000], "not a picture.*longer than the file"),
        (encoded(Image.fromarray(noise()), "WEBP")[:700], "not a picture"),
        (encoded(Image.fromarray(noise()), "BMP")[:700], "not a picture"),
        (png_header(100_000, 100_000), "too large"),
        (png_header(30_000, 30_000), "too large"),
        (png_header(5_000, 5_000), "not a picture"),  # a size that is allowed, without the data
    ],
)
def test_what_is_no_picture_is_named(tmp_path, content, message):
    path = tmp_path / "broken.jpg"
    path.write_bytes(content)
    with pytest.raises(MediaError, match=message) as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def png_of_length(length: bytes) -> bytes:
    """80 bytes, of which a chunk says that it has many more."""
    header = png_header(6, 4)
    return (header[:33] + length + b"IDAT").ljust(80, b"\0")


@pytest.mark.parametrize("length", [b"\xff\xff\xff\x12", b"\x7f\xff\xff\xff", b"\0\0\0\x40"])
def test_a_png_whose_chunk_is_longer_than_the_file_is_not_decoded(tmp_path, length, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    path = tmp_path / "a.png"
    path.write_bytes(png_of_length(length))
    with pytest.raises(MediaError, match=r"a\.png: not .* decoded \(a part of the PNG is longer than the file\)"):
        read_image(path)


@pytest.mark.parametrize("behind", [b"", b"a comment that some program left"])
def test_what_stands_behind_the_end_of_a_png_counts_for_nothing(behind):
    data = encoded(Image.fromarray(PICTURE), "PNG") + behind
    np.testing.assert_array_equal(decode_image(data, name="a"), PICTURE)


@pytest.mark.parametrize("error", [RuntimeError, MemoryError, KeyError, AssertionError, cv2.error])
@pytest.mark.parametrize("decoder", [(cv2, "imdecode"), (Image, "open")])
def test_whatever_a_decoder_raises_is_a_media_error(tmp_path, error, decoder, monkeypatch):
    path = save(tmp_path / "a.jpg", Image.fromarray(PICTURE))

    def fail(*_: object) -> None:
        raise error("first line\nsecond line")

    monkeypatch.setattr(*decoder, fail)
    if decoder[0] is Image:  # OpenCV reads it all the same
        assert read_image(path).shape == (4, 6, 3)
        return
    with pytest.raises(MediaError, match=r"a\.jpg: not a picture that can be decoded \('?first line"):
        read_image(path)


def test_a_damaged_avif_under_another_name(tmp_path):
    """Pillow raises a RuntimeError over it."""
    content = bytearray(encoded(Image.fromarray(noise()), "AVIF"))
    content[content.index(b"mdat") - 40 : content.index(b"mdat")] = bytes(40)
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    for read in (read_image, image_size):
        with pytest.raises(MediaError, match=r"a\.jpg: not a picture"):
            read(path)


LIMITED = """
import resource, sys
import cv2
from pathlib import Path
from yolo.errors import MediaError
from yolo.images.codec import decode_image, image_size
decode_image(Path(sys.argv[1]).read_bytes(), name="warm")
with open("/proc/self/statm") as file:
    pages = int(file.read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 300 * 2**20, -1))
for path in sys.argv[2:]:
    for read in (image_size, lambda path: decode_image(Path(path).read_bytes(), name=path)):
        try:
            read(path)
        except MediaError as error:
            if "emory" in str(error):
                print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_small_files_that_announce_much_take_little_memory(tmp_path):
    """A child that may take 300 MiB more goes through headers with large lengths in them, and lives."""
    sound = save(tmp_path / "sound.png", Image.fromarray(PICTURE))
    paths = []
    for kind in ("PNG", "JPEG", "BMP", "WEBP", "TIFF", "GIF"):
        whole = encoded(Image.fromarray(noise(8, 8)), kind)
        for at in range(0, min(len(whole) - 4, 64), 3):
            for number in (b"\xff\xff\xff\x12", b"\x12\xff\xff\x7f"):
                path = tmp_path / f"{len(paths)}.jpg"
                path.write_bytes(whole[:at] + number + whole[at + 4 :])
                paths.append(str(path))
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(sound), *paths], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == ""  # nothing wanted more than that


@pytest.mark.parametrize("content", [b"", b"this is a text", png_header(30_000, 30_000)])
def test_size_of_no_picture_is_an_error_too(tmp_path, content):
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    with pytest.raises(MediaError, match=r"broken\.png"):
        image_size(path)


@pytest.mark.parametrize("read", [read_image, image_size])
@pytest.mark.parametrize("name", ["missing.jpg", "", "nul\0.jpg"])  # "" is the folder itself
def test_missing_files_and_folders_are_errors(tmp_path, read, name):
    with pytest.raises(MediaError, match="cannot be read"):
        read(f"{tmp_path}/{name}")


def test_large_but_allowed_sizes_are_read_without_a_warning(tmp_path):
    path = tmp_path / "large.png"  # above Pillow's warning (89 million pixels), below its error
    path.write_bytes(png_header(10_000, 10_000))
    assert image_size(path) == (10_000, 10_000)


def test_size_of_a_truncated_picture_comes_from_its_header(tmp_path):
    path = tmp_path / "cut.jpg"
    path.write_bytes(encoded(Image.fromarray(noise()), "JPEG")[:900])
    assert image_size(path) == (48, 64)


def test_video_behind_a_jpeg_is_no_truncation():
    whole = encoded(Image.fromarray(noise()), "JPEG")
    assert not is_truncated_jpeg(whole + b"ftyp\xff\xda trailing data of a motion photo")
    assert decode_image(whole + b"\xff\xda\x00", name="motion").shape == (48, 64, 3)


def test_thumbnail_before_the_cut_does_not_hide_it():
    thumbnail = encoded(Image.fromarray(noise(8, 8)), "JPEG")
    whole = encoded(Image.fromarray(noise()), "JPEG")
    segment = b"Exif\x00\x00" + thumbnail
    with_thumbnail = whole[:2] + struct.pack(">HH", 0xFFE1, len(segment) + 2) + segment + whole[2:]
    assert not is_truncated_jpeg(with_thumbnail + b"\0")
    assert is_truncated_jpeg(with_thumbnail[:-200])


@given(st.integers(0, 2000))
@settings(max_examples=60, deadline=None)
def test_a_jpeg_cut_anywhere_is_an_error_not_a_grey_half(cut):
    whole = encoded(Image.fromarray(noise(24, 24)), "JPEG")
    part = whole[: min(cut, len(whole) - 2)]
    with pytest.raises(MediaError):
        decode_image(part, name="cut")


@given(
    st.binary(max_size=300), st.sampled_from(["JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF", "AVIF"]), st.integers(0, 400)
)
@settings(max_examples=150, deadline=None)
def test_damaged_files_raise_media_errors_alone(garbage, kind, at):
    whole = encoded(Image.fromarray(noise(16, 16)), kind)
    damaged = whole[:at] + garbage + whole[at + len(garbage) :]
    try:
        image = decode_image(damaged, name="damaged")
    except MediaError:
        return
    assert image.ndim == 3
    assert image.shape[2] == 3


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(sorted(SUFFIXES)), st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_size_agrees_with_the_picture(tmp_path_factory, height, width, suffix, orientation):
    path = tmp_path_factory.mktemp("sizes") / f"picture{suffix}"
    options = {} if suffix == ".bmp" else {"exif": exif(orientation)}
    save(path, Image.fromarray(noise(height, width)), **options)
    assert image_size(path) == read_image(path).shape[:2]


def test_reading_changes_nothing(tmp_path):
    path = save(tmp_path / "picture.jpg", Image.fromarray(PICTURE), exif=exif(6))
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    read_image(path)
    image_size(path)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_write_image_writes_what_read_image_reads(tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    write_image(path, Image.fromarray(PICTURE))
    np.testing.assert_allclose(read_image(path).astype(int), PICTURE, atol=4)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("name", "message"), [("out.xyz", "'.xyz'"), ("out", "''"), ("none/out.jpg", "cannot be written")]
)
def test_write_image_faults(tmp_path, name, message):
    with pytest.raises(MediaError, match=message):
        write_image(tmp_path / name, Image.fromarray(PICTURE))


def test_write_image_keeps_the_old_file_when_it_fails(tmp_path):
    path = tmp_path / "out.jpg"
    path.write_bytes(b"old")
    with pytest.raises(MediaError):
        write_image(path, Image.new("RGBA", (4, 4)))  # JPEG has no alpha
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["out.jpg"]


def test_photographs_have_the_size_of_their_headers(shared):
    for path in list_images(shared / "data" / "photos"):
        assert image_size(path) == read_image(path).shape[:2]
