"""Drawing boxes on images (Pillow): lines and letters in proportion to the image, colours by class."""

from __future__ import annotations

import colorsys
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from yolo.images.fonts import Lettering, drawable

Colour = tuple[int, int, int]
Rectangle = tuple[int, int, int, int]
"""First and last column and row, both inside: (left, top, right, bottom)."""

GOLDEN = 0.618034
"""Hue step as a fraction of the circle; hues of such steps stay far from each other (Knuth, 6.4)."""
TONES = ((0.85, 0.95), (0.55, 1.0), (1.0, 0.65))
"""(saturation, value) pairs that class colours cycle through, as hues alone get close with many classes."""
GREY: Colour = (150, 150, 150)
SMALLEST_LETTERS = 8
"""Smallest height of letters in pixels: longer labels are cut rather than shrunk further."""


class Mark(NamedTuple):
    """One box to draw."""

    box: Rectangle
    text: str
    colour: Colour


def class_colour(label: int) -> Colour:
    """RGB colour of a class; independent of the number of classes, and different from that of the next classes."""
    saturation, value = TONES[label // 12 % len(TONES)]
    red, green, blue = colorsys.hsv_to_rgb((0.02 + label * GOLDEN) % 1, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def text_colour(background: Colour) -> Colour:
    """Black or white, whichever contrasts more (WCAG 2.1, relative luminance)."""
    shares = np.array(background) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    # Equal contrasts: (1.05) / (Y + 0.05) = (Y + 0.05) / 0.05.
    return (0, 0, 0) if linear @ [0.2126, 0.7152, 0.0722] > 0.179 else (255, 255, 255)


def line_width(size: tuple[int, int]) -> int:
    """Width in pixels of a box's line in an image of (height, width)."""
    return max(1, round(0.0035 * (size[0] * size[1]) ** 0.5))


def letter_size(size: tuple[int, int]) -> int:
    """Height in pixels of the letters in an image of (height, width)."""
    return round(7 + 0.018 * (size[0] * size[1]) ** 0.5)


def draw_boxes(
    image: NDArray[np.uint8],
    boxes: NDArray[np.float32],
    labels: NDArray[np.int32],
    classes: Sequence[str],
    *,
    scores: NDArray[np.float32] | None = None,
    ignore: NDArray[np.bool_] | None = None,
) -> Image.Image:
    """Draw named boxes on a copy of an image.

    Args:
        image: (H, W, 3) uint8 RGB.
        boxes: (N, 4) xyxy in its pixels; parts outside the image are not drawn.
        labels: (N,) indices into ``classes``.
        classes: class names in any script; a name that no installed font can draw becomes ``#`` and its number.
        scores: (N,) shown after the names; the best are drawn last. Without scores the smallest boxes are.
        ignore: (N,) boxes drawn grey.
    """
    picture = Image.fromarray(np.ascontiguousarray(image))  # a copy: Pillow does not share the memory
    draw = ImageDraw.Draw(picture)
    size = (picture.height, picture.width)
    marks = list(_marks(size, boxes, labels, classes, scores=scores, ignore=ignore))
    for mark in marks:
        _draw_outline(draw, mark, size)
    for mark in marks:  # above all lines, or these would cross the letters
        _draw_label(draw, mark, size)
    return picture


def _marks(
    size: tuple[int, int],
    boxes: NDArray[np.float32],
    labels: NDArray[np.int32],
    classes: Sequence[str],
    *,
    scores: NDArray[np.float32] | None,
    ignore: NDArray[np.bool_] | None,
) -> Iterator[Mark]:
    """Boxes to draw, in drawing order."""
    corners = np.asarray(boxes, np.float64).reshape(-1, 4)
    areas = np.prod(corners[:, 2:] - corners[:, :2], axis=1)
    order = -areas if scores is None else np.asarray(scores)
    for index in np.argsort(order, kind="stable"):
        box = pixel_rectangle(corners[index], size)
        if box is None:
            continue
        label = int(labels[index])
        name = drawable(one_line(classes[label]), label)
        text = name if scores is None else f"{name} {scores[index]:.2f}"
        grey = ignore is not None and bool(ignore[index])
        yield Mark(box, text, GREY if grey else class_colour(label))


def one_line(name: str) -> str:
    """Class name without line breaks and control characters, on which text layout fails."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(name.split()))


def pixel_rectangle(box: NDArray[np.float64], size: tuple[int, int]) -> Rectangle | None:
    """Whole pixels that an xyxy box touches in an image of (height, width); None if there are none."""
    if not np.isfinite(box).all():
        return None
    height, width = size
    left, top = np.floor(np.maximum(box[:2], 0)).astype(int).tolist()
    right, bottom = (np.ceil(np.minimum(box[2:], [width, height])).astype(int) - 1).tolist()
    return (left, top, right, bottom) if left <= right and top <= bottom else None


def _draw_outline(draw: ImageDraw.ImageDraw, mark: Mark, size: tuple[int, int]) -> None:
    width = line_width(size)
    left, top, right, bottom = mark.box
    # Half of the line lies outside the box, so that small objects stay visible, but all of it within the image.
    half = width // 2
    outer = (
        max(0, left - half),
        max(0, top - half),
        min(size[1] - 1, right + half),
        min(size[0] - 1, bottom + half),
    )
    draw.rectangle(outer, outline=mark.colour, width=width)


def _draw_label(draw: ImageDraw.ImageDraw, mark: Mark, size: tuple[int, int]) -> None:
    text, font = fit_text(mark.text, letter_size(size), size)
    if not text:
        return
    left, top, right, bottom = label_rectangle(mark.box, patch_size(text, font), size)
    draw.rectangle((left, top, right, bottom), fill=mark.colour)
    baseline = bottom - font.metrics(text)[1]
    font.draw(draw, (left + padding(font), baseline), text, text_colour(mark.colour))


def fit_text(text: str, letters: int, size: tuple[int, int]) -> tuple[str, Lettering]:
    """Shrink and then cut a text so that its patch fits an image of (height, width); return it with its font.

    The text is empty if not even one letter fits.
    """
    font = load_font(letters)
    height, width = patch_size(text, font)
    excess = max(height / size[0], width / size[1])
    if excess > 1:
        font = load_font(max(SMALLEST_LETTERS, int(letters / excess)))
    while text and not fits(text, font, size):
        text = text[:-1]
    return text, font


def fits(text: str, font: Lettering, size: tuple[int, int]) -> bool:
    height, width = patch_size(text, font)
    return height <= size[0] and width <= size[1]


def label_rectangle(box: Rectangle, patch: tuple[int, int], size: tuple[int, int]) -> Rectangle:
    """Place of a patch of (height, width): on top of its box, or inside if there is no room above."""
    left, top = box[:2]
    height, width = patch
    shift = line_width(size) // 2
    above = top - shift - height
    upper = above if above >= 0 else min(max(0, top - shift), size[0] - height)
    first = min(max(0, left - shift), size[1] - width)
    return first, upper, first + width - 1, upper + height - 1


def patch_size(text: str, font: Lettering) -> tuple[int, int]:
    """Size (height, width) of a text's patch, with a margin around the letters."""
    ascent, descent = font.metrics(text)
    return ascent + descent, int(np.ceil(font.getlength(text))) + 2 * padding(font)


def padding(font: Lettering) -> int:
    return max(1, round(font.size / 5))


@lru_cache(maxsize=64)
def load_font(letters: int) -> Lettering:
    """Fonts for labels whose letters have this height in pixels."""
    return Lettering(letters)


def tile_images(images: Sequence[Image.Image], columns: int, *, gap: int = 4) -> Image.Image:
    """Arrange images in rows on a white sheet, each centred in a tile as large as the largest image."""
    if not images or columns < 1:
        raise ValueError(f"expected pictures and columns, got {len(images)} and {columns}")
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    width = max(image.width for image in images) + gap
    height = max(image.height for image in images) + gap
    sheet = Image.new("RGB", (columns * width + gap, rows * height + gap), "white")
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        left = gap + column * width + (width - gap - image.width) // 2
        top = gap + row * height + (height - gap - image.height) // 2
        sheet.paste(image, (left, top))
    return sheet
