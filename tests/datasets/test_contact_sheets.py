"""Contact sheets: which images, where their boxes are drawn, captions, pages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tables import make_dataset

from yolo.datasets.contact_sheets import (
    CAPTION,
    View,
    draw_tile,
    named_views,
    page_paths,
    sample_views,
    shortened,
    write_sheets,
)
from yolo.images.codec import read_image
from yolo.images.draw import GREY, class_colour
from yolo.structs import Dataset


@pytest.fixture
def dataset(tmp_path) -> Dataset:
    """Black pictures of 200 x 400 with a cat on the left and a dog on the right; the last has a cat alone."""
    for number in range(6):
        Image.new("RGB", (400, 200)).save(tmp_path / f"{number}.png")
    rows = [(number, 0, 20, 60, 120, 160, 0) for number in range(6)]
    rows += [(number, 1, 240, 60, 380, 160, 0) for number in range(5)]
    files = [f"{number}.png" for number in range(6)]
    sizes = np.array([[200, 400]] * 6, np.int32)
    return make_dataset(rows, pictures=6, files=files, sizes=sizes, folder=tmp_path, split="train")


def test_boxes_are_drawn_where_they_are_on_the_reduced_image(dataset):
    tile = draw_tile(View(dataset, 0, "a"), 200)
    assert tile.size == (200, 100 + CAPTION + 9)
    pixels = np.asarray(tile)
    for label, (left, right) in enumerate(((10, 60), (120, 190))):
        outline = (pixels[50, :200] == class_colour(label)).all(axis=1)
        assert np.flatnonzero(outline).tolist() == [left, right - 1]


def test_small_images_are_not_enlarged(dataset):
    assert draw_tile(View(dataset, 0, "a"), 1000).size == (400, 200 + CAPTION + 9)


def test_boxes_of_other_classes_are_grey(dataset):
    (view, *_) = sample_views([dataset], 1, names=["dog"])
    row = np.asarray(draw_tile(view, 200))[50, :200]
    assert (row[10] == GREY).all()
    assert (row[120] == class_colour(1)).all()


def test_boxes_in_colour_are_above_grey_ones(tmp_path):
    """The grey one is the smaller, which would be drawn last, and shares a line with the other."""
    Image.new("RGB", (100, 100)).save(tmp_path / "0.png")
    rows = [(0, 0, 20, 40, 80, 80, 0), (0, 1, 20, 50, 40, 70, 0)]
    sizes = np.array([[100, 100]], np.int32)
    dataset = make_dataset(rows, pictures=1, files=["0.png"], sizes=sizes, folder=tmp_path)
    tile = draw_tile(View(dataset, 0, "a", lambda labels: labels == 0), 100)
    left = (tile.width - 100) // 2 + 20  # the caption is wider than the image
    assert tile.getpixel((left, 75)) == class_colour(0)
    assert tile.getpixel((left, 68)) == class_colour(0)
    assert tile.getpixel((left + 19, 68)) == GREY


def test_an_unreadable_image_is_a_grey_tile(dataset):
    dataset.path(0).write_bytes(b"no picture")
    tile = draw_tile(View(dataset, 0, "a"), 200)
    assert tile.size[0] == 200
    assert tile.getpixel((5, 5)) == (225, 225, 225)
    assert (np.asarray(tile)[:150, :, 0] < 100).any()  # the reason


def test_samples_are_in_order_and_the_same_for_a_seed(dataset):
    views = sample_views([dataset, replace(dataset, split="val")], 7, seed=3)
    order = [view.caption for view in views]
    assert len(set(order)) == 7
    assert order == sorted(order)
    assert order == [view.caption for view in sample_views([dataset, replace(dataset, split="val")], 7, seed=3)]
    assert len(sample_views([dataset], 99)) == 6
    assert [view.picture for view in sample_views([dataset], 99, names=["dog"])] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("name", ["3.png", "3", "folder/3.png", "./3.png", "3.xml"])
def test_images_are_found_by_name(dataset, name):
    ((file, view),) = named_views([dataset], [name])
    assert (file, view.picture) == (name, 3)


def test_images_that_are_not_there(dataset):
    assert next(named_views([dataset], ["30.png"])) == ("30.png", None)


def test_pages(tmp_path):
    assert page_paths(Path("a/sheet.jpg"), 41) == [Path("a/sheet.jpg"), Path("a/sheet-2.jpg"), Path("a/sheet-3.jpg")]
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    write_sheets((Image.new("RGB", (10, 10)) for _ in range(21)), paths)
    assert [read_image(path).shape[1::-1] for path in paths] == [(4 + 4 * 14, 4 + 5 * 14), (18, 18)]


def test_tiles_are_drawn_page_by_page(tmp_path):
    made = []

    def tiles():
        for number in range(40):
            made.append((number, (tmp_path / "a.png").exists()))
            yield Image.new("RGB", (4, 4))

    write_sheets(tiles(), [tmp_path / "a.png", tmp_path / "b.png"])
    assert [written for _, written in made] == [False] * 20 + [True] * 20


def test_long_captions_lose_their_beginning():
    assert shortened("short.jpg", 500) == "short.jpg"
    cut = shortened("train: " + "x" * 200 + "end.jpg", 120)
    assert cut.startswith("…")
    assert cut.endswith("end.jpg")
