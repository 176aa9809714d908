"""Zoom, shift and flip onto a canvas, and clipped boxes: against plain numpy and OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from augmented import picture, red_box, scene
from hypothesis import given, settings
from hypothesis import strategies as st

from yolo.datasets.augment.labelled_boxes import (
    LabelledBoxes,
    clip,
    concatenate,
    drop_hidden,
    from_sample,
    mirrored_boxes,
)
from yolo.datasets.augment.resize import axis, place


def objects_of(*boxes: tuple[float, float, float, float]) -> LabelledBoxes:
    shown = picture(np.zeros((1, 1, 3), np.uint8), boxes)
    return from_sample(shown.boxes, shown.labels, shown.ignore)


def test_cut_by_hand() -> None:
    """Inside, cut to a half, cut to a quarter, touching from outside, outside, too thin."""
    objects = objects_of(
        (10, 10, 30, 30), (-10, 10, 10, 30), (-10, -10, 10, 10), (-20, 0, 0, 9), (90, 0, 99, 9), (79.95, 0, 90, 9)
    )._replace(labels=np.arange(6, dtype=np.int32), ignore=np.arange(6) % 2 == 1)
    left = clip(objects, (0, 0, 40, 80))
    np.testing.assert_array_equal(left.boxes, [[10, 10, 30, 30], [0, 10, 10, 30], [0, 0, 10, 10]])
    np.testing.assert_array_equal(left.labels, [0, 1, 2])
    np.testing.assert_array_equal(left.ignore, [False, True, False])
    np.testing.assert_allclose(left.visible, [1, 0.5, 0.25])


def test_cuts_are_judged_together() -> None:
    """Half of a half is a quarter."""
    twice = clip(clip(objects_of((0, 0, 40, 40)), (0, 0, 40, 20)), (0, 0, 20, 40))
    np.testing.assert_allclose(twice.visible, [0.25])
    assert len(drop_hidden(twice, 0.25).boxes) == 1
    assert len(drop_hidden(twice, 0.26).boxes) == 0


def test_mirrored_boxes_by_hand() -> None:
    boxes = mirrored_boxes(np.array([[0, 1, 10, 5], [90, 2, 100, 8]], np.float32), 100)
    np.testing.assert_array_equal(boxes, [[90, 1, 100, 5], [0, 2, 10, 8]])


def test_joined_keeps_the_order() -> None:
    first, second = objects_of((0, 0, 1, 1)), objects_of((1, 1, 2, 2), (2, 2, 3, 3))
    np.testing.assert_array_equal(concatenate([first, second]).boxes[:, 0], [0, 1, 2])
    assert concatenate([]).boxes.shape == (0, 4)


@settings(max_examples=200, deadline=None)
@given(
    length=st.integers(1, 400),
    zoom=st.floats(0.02, 2.0),
    start=st.floats(-500, 500),
    low=st.integers(0, 100),
    size=st.integers(1, 300),
)
def test_an_axis_is_what_was_asked_for_up_to_a_pixel(
    length: int, zoom: float, start: float, low: int, size: int
) -> None:
    high = low + size
    placed = axis(length, zoom=zoom, start=start, window=(low, high))
    assert 0 <= placed.first < placed.last <= length
    seen = (max(low, start), min(high, start + length * zoom))
    if seen[1] - seen[0] < 1:
        return
    assert low <= placed.low < placed.high <= high
    assert abs(placed.low - seen[0]) <= 1
    assert abs(placed.high - seen[1]) <= 1
    # Both ends of the part that is used lie where zoom and start put them, to half a pixel.
    for pixel in (placed.first, placed.last):
        wanted, received = start + pixel * zoom, placed.shift + pixel * placed.scale
        assert abs(received - wanted) <= max(0.5, 1 - (placed.last - placed.first) * zoom) + 1e-6


def test_whole_pixels_at_zoom_one() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    canvas = np.zeros((50, 50, 3), np.uint8)
    moved = place(canvas, image, objects_of((0, 0, 60, 40)), flip=False, zoom=1, start=(20, -15), window=(5, 2, 45, 50))
    expected = np.zeros_like(canvas)
    expected[20:45, 2:45] = image[:25, 17:60]
    np.testing.assert_array_equal(canvas, expected)
    np.testing.assert_array_equal(moved.boxes, [[2, 20, 45, 45]])
    np.testing.assert_allclose(moved.visible, [43 * 25 / 2400])


def test_the_mirrored_picture_is_placed() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    straight, mirrored = np.zeros((2, 50, 50, 3), np.uint8)
    for canvas, pixels, flip in ((straight, image[:, ::-1].copy(), False), (mirrored, image, True)):
        place(canvas, pixels, objects_of(), flip=flip, zoom=1.37, start=(-7.3, -21.8), window=(0, 0, 50, 50))
    np.testing.assert_allclose(mirrored.astype(int), straight, atol=1)


@pytest.mark.parametrize("zoom", [0.3, 0.7, 1.3])
def test_pixels_are_those_of_one_resize(zoom: float) -> None:
    """What is seen of a cut picture, against the whole one resized; smooth, so that half a pixel is little."""
    image = cv2.resize(
        np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8), (120, 100), interpolation=cv2.INTER_CUBIC
    )
    size = (round(120 * zoom), round(100 * zoom))
    expected = cv2.resize(image, size, interpolation=cv2.INTER_AREA if zoom < 0.5 else cv2.INTER_LINEAR)
    canvas = np.zeros((size[1] - 10, size[0] - 12, 3), np.uint8)
    place(canvas, image, objects_of(), flip=False, zoom=zoom, start=(-5, -6), window=(0, 0, *canvas.shape[:2]))
    assert np.abs(canvas.astype(int) - expected[5:-5, 6:-6]).max() <= 14


@settings(max_examples=80, deadline=None)
@given(
    zoom=st.floats(0.4, 1.6),
    start=st.tuples(st.floats(-40, 60), st.floats(-40, 60)),
    flip=st.booleans(),
    window=st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(60, 90), st.integers(60, 120)),
)
def test_boxes_follow_the_pixels(
    zoom: float, start: tuple[float, float], flip: bool, window: tuple[int, int, int, int]
) -> None:
    box = (20, 25, 55, 60)
    mirrored = mirrored_boxes(np.array([box], np.float32), 100)[0] if flip else box
    canvas = np.full((90, 120, 3), 127, np.uint8)
    moved = place(
        canvas, scene(box, (80, 100)), objects_of(tuple(mirrored)), flip=flip, zoom=zoom, start=start, window=window
    )
    if len(moved.boxes) and (moved.boxes[0, 2:] - moved.boxes[0, :2]).min() > 3:
        np.testing.assert_allclose(moved.boxes[0], red_box(canvas), atol=1.5)
    outside = canvas.copy()
    outside[window[0] : window[2], window[1] : window[3]] = 127
    assert (outside == 127).all()


def test_a_picture_beyond_the_window_changes_nothing() -> None:
    canvas = np.full((50, 50, 3), 9, np.uint8)
    for start in ((50, 0), (0, 50), (-41, 0), (0, -61)):
        moved = place(
            canvas, np.zeros((40, 60, 3), np.uint8), objects_of((0, 0, 60, 40)), flip=False, zoom=1, start=start,
            window=(0, 0, 50, 50),
        )  # fmt: skip
        assert len(moved.boxes) == 0
    assert (canvas == 9).all()
