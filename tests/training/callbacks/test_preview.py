"""Preview sheet: augmented images with boxes in the right places."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from yolo.errors import MediaError
from yolo.images.draw import GREY, class_colour
from yolo.training.callbacks.preview import COLUMNS, draw_batches

SIDE = 64
GAP = 4


def make_batch(boxes, labels, ignore, *, side=SIDE):
    """White pictures with one box each, and one of padding that is not to be seen."""
    count = len(boxes)
    images = np.full((count, side, side, 3), 255, np.uint8)
    corners = np.zeros((count, 2, 4), np.float32)
    corners[:, 0], corners[:, 1] = boxes, [30, 30, 60, 60]
    return images, {
        "boxes": corners,
        "labels": np.stack([labels, np.ones(count)], axis=1).astype(np.int32),
        "valid": np.stack([np.ones(count), np.zeros(count)], axis=1).astype(bool),
        "ignore": np.stack([ignore, np.zeros(count)], axis=1).astype(bool),
    }


def near(pixel, colour):
    """JPEG changes colours a little."""
    return np.abs(np.asarray(pixel, int) - colour).max() < 60


def test_boxes_are_drawn_in_their_places_and_ignored_ones_grey(tmp_path):
    batch = make_batch([[8, 32, 40, 56], [16, 24, 48, 60]], [0, 1], [False, True])
    draw_batches([batch], ["cat", "dog"], tmp_path / "sheet.png")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB"), int)
    assert sheet.shape == (SIDE + 2 * GAP, 2 * (SIDE + GAP) + GAP, 3)
    for number, (row, column, colour) in enumerate([(55, 24, class_colour(0)), (59, 32, GREY)]):
        left = GAP + number * (SIDE + GAP)
        assert near(sheet[GAP + row, left + column], colour)  # the lower edge
        assert near(sheet[GAP + row - 8, left + column], (255, 255, 255))  # inside
        assert near(sheet[GAP + 59, left + 62], (255, 255, 255))  # no padding is drawn


def test_only_as_many_batches_are_drawn_from_as_are_needed(tmp_path):
    made = []

    def batches():
        while True:
            made.append(1)
            yield make_batch([[8, 8, 40, 40]] * 3, [0] * 3, [False] * 3)

    draw_batches(batches(), ["cat"], tmp_path / "sheet.jpg", count=5)
    assert len(made) == 2
    with Image.open(tmp_path / "sheet.jpg") as sheet:
        assert sheet.format == "JPEG"
        assert sheet.size == (COLUMNS * (SIDE + GAP) + GAP, 2 * (SIDE + GAP) + GAP)


def test_canvases_may_differ(tmp_path):
    large = make_batch([[8, 8, 40, 40]], [0], [False], side=96)
    small = make_batch([[8, 8, 40, 40]], [0], [False])
    draw_batches([large, small], ["cat"], tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (2 * (96 + GAP) + GAP, 96 + 2 * GAP)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(MediaError, match="cannot be written"):
        draw_batches([make_batch([[8, 8, 40, 40]], [0], [False])], ["cat"], tmp_path / "none" / "sheet.jpg")
