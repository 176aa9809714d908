"""Contact sheets: tiles of annotated images with captions, page by page, in bounded memory."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from yolo.errors import MediaError
from yolo.images.codec import write_image
from yolo.images.draw import GREY, draw_boxes, load_font, one_line, tile_images
from yolo.structs import Dataset

COLUMNS, ROWS = 4, 5
CAPTION = 13
"""Height of the letters of captions in pixels."""
PLAIN: tuple[int, int, int] = (225, 225, 225)
"""Colour of tiles without an image."""
INK: tuple[int, int, int] = (50, 50, 50)


class View(NamedTuple):
    """One image to show."""

    dataset: Dataset
    picture: int
    """Index of the image."""
    caption: str
    chosen: Callable[[NDArray[np.int32]], NDArray[np.bool_]] | None = None
    """Function from the labels (N,) of the boxes to those that are shown in colour; None: all but ignored ones."""


def draw_tile(view: View, side: int) -> Image.Image:
    """Draw an image with its boxes and caption, its longer side in pixels; a grey tile with the reason if unreadable.

    The image is reduced before anything is drawn on it, so that lines and letters are as thick on every tile.
    """
    sample = view.dataset[view.picture]
    try:
        pixels = view.dataset.image(view.picture)
    except MediaError as error:
        return with_caption(blank_tile(str(error), side), view.caption)
    reduced, scale = reduce(pixels, side)
    boxes = sample.boxes * np.float32(scale)
    chosen = ~sample.ignore if view.chosen is None else view.chosen(sample.labels)
    for each in (~chosen, chosen):  # those in colour above the grey ones
        drawn = draw_boxes(reduced, boxes[each], sample.labels[each], view.dataset.classes, ignore=~chosen[each])
        reduced = np.asarray(drawn)
    return with_caption(Image.fromarray(reduced), view.caption)


def reduce(pixels: NDArray[np.uint8], side: int) -> tuple[NDArray[np.uint8], float]:
    """Reduce an image (H, W, 3) until its longer side fits, and the scale; small ones are left as they are."""
    height, width = pixels.shape[:2]
    scale = min(1.0, side / max(height, width))
    if scale == 1:
        return pixels, scale
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8), scale


def blank_tile(reason: str, side: int) -> Image.Image:
    """Grey tile with a text in its middle."""
    tile = Image.new("RGB", (side, side * 3 // 4), PLAIN)
    font = load_font(CAPTION)
    lines = textwrap.wrap(one_line(reason), max(8, side // 8))[:8]
    for number, line in enumerate(lines):
        top = tile.height // 2 + (number - len(lines) / 2) * CAPTION * 1.5
        font.draw(ImageDraw.Draw(tile), (8, round(top) + CAPTION), shortened(line, side - 16), INK)
    ImageDraw.Draw(tile).rectangle((0, 0, tile.width - 1, tile.height - 1), outline=GREY)
    return tile


def with_caption(image: Image.Image, caption: str) -> Image.Image:
    """Image with a line of text below it; a text that is too wide loses its beginning."""
    tile = Image.new("RGB", (max(image.width, 120), image.height + CAPTION + 9), "white")
    tile.paste(image, ((tile.width - image.width) // 2, 0))
    text = shortened(one_line(caption), tile.width - 4)
    load_font(CAPTION).draw(ImageDraw.Draw(tile), (2, image.height + CAPTION + 2), text, INK)
    return tile


def shortened(text: str, width: int) -> str:
    """End of a text that fits a width in pixels."""
    font, cut = load_font(CAPTION), text
    while len(cut) > 1 and font.getlength(cut if cut == text else f"…{cut}") > width:
        cut = cut[1:]
    return cut if cut == text else f"…{cut}"


def page_paths(path: Path, tiles: int, *, per_page: int = COLUMNS * ROWS) -> list[Path]:
    """Files of the pages for a number of tiles: the path itself, then ``-2``, ``-3`` and so on before its suffix."""
    pages = -(-tiles // per_page)
    return [path if page == 1 else path.with_stem(f"{path.stem}-{page}") for page in range(1, pages + 1)]


def write_sheets(tiles: Iterable[Image.Image], paths: Sequence[Path], *, columns: int = COLUMNS) -> None:
    """Write tiles page by page; no more than one page of them is in memory.

    Raises:
        MediaError: a file cannot be written.
    """
    left = iter(tiles)
    for path in paths:
        write_image(path, tile_images(list(islice(left, columns * ROWS)), columns))


def sample_views(parts: Sequence[Dataset], count: int, *, seed: int = 0, names: Collection[str] = ()) -> list[View]:
    """Choose images at random, in their order.

    Args:
        parts: splits to choose from.
        count: largest number of images.
        seed: seed of the choice.
        names: classes; only images with one of them are chosen, and other boxes are shown grey.
    """
    places = [(part, int(index)) for part in parts for index in candidates(part, names)]
    draws = np.random.default_rng(seed).permutation(len(places))[:count]
    return [
        View(part, index, caption_of(part, index), in_classes(part, names) if names else None)
        for part, index in (places[each] for each in sorted(draws))
    ]


def candidates(dataset: Dataset, names: Collection[str]) -> NDArray[np.int64]:
    if not names:
        return np.arange(len(dataset))
    return np.unique(dataset.box_pictures[in_classes(dataset, names)(dataset.labels)])


def in_classes(dataset: Dataset, names: Collection[str]) -> Callable[[NDArray[np.int32]], NDArray[np.bool_]]:
    wanted = np.array([name in names for name in dataset.classes], bool)
    return lambda labels: wanted[labels]


def caption_of(dataset: Dataset, index: int) -> str:
    name = str(dataset.files[index]).replace("\\", "/").rpartition("/")[2]
    return name if dataset.split is None else f"{dataset.split}: {name}"


def named_views(parts: Sequence[Dataset], files: Iterable[str]) -> Iterator[tuple[str, View | None]]:
    """Find images by path, by the end of a path, by name or by name without suffix; None: not found."""
    known: dict[str, View] = {}
    for part in parts:
        for index in range(len(part)):
            view, path = View(part, index, caption_of(part, index)), part.path(index)
            for key in (str(path), str(path.absolute()), Path(part.files[index]).as_posix(), path.name, path.stem):
                known.setdefault(key, view)
    for file in files:
        path = Path(file)
        keys = (file, str(path.absolute()), path.as_posix(), path.name, path.stem)
        yield file, next((known[key] for key in keys if key in known), None)
