"""Image <-> canvas: hand-computed maps, round trips, and pixels that go where boxes say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo.images.letterbox import CANVAS_GREY, Letterbox, letterbox_scales

SIDES = st.integers(1, 3000)
CANVAS_SIDES = st.integers(1, 40).map(lambda count: 32 * count)
MODES = st.sampled_from(["letterbox", "stretch"])


@pytest.mark.parametrize(
    ("image_size", "canvas_size", "inner_size", "offset"),
    [
        ((480, 640), (416, 416), (312, 416), (52, 0)),  # wide: scale 0.65, bars above and below
        ((640, 480), (416, 416), (416, 312), (0, 52)),  # tall
        ((416, 416), (416, 416), (416, 416), (0, 0)),  # as it is
        ((100, 200), (416, 416), (208, 416), (104, 0)),  # enlarged by 2.08
        ((480, 640), (320, 608), (320, 427), (0, 90)),  # wide canvas, wider than the picture: 426.67
        ((375, 500), (416, 416), (312, 416), (52, 0)),
        ((333, 500), (416, 416), (277, 416), (69, 0)),  # 277.06, the odd row below
        ((1, 5000), (416, 416), (1, 416), (207, 0)),  # never less than a pixel
        ((5000, 1), (416, 416), (416, 1), (0, 207)),
    ],
)
def test_letterbox_by_hand(image_size, canvas_size, inner_size, offset):
    box = Letterbox(image_size, canvas_size)
    assert box.inner_size == inner_size
    assert box.offset == offset


def test_boxes_by_hand():
    boxes = np.array([[0, 0, 640, 480], [64, 48, 128, 240]], np.float32)
    on_canvas = [[0, 52, 416, 364], [41.6, 83.2, 83.2, 208]]  # times 0.65, 52 down
    np.testing.assert_allclose(Letterbox((480, 640), (416, 416)).boxes_to_canvas(boxes), on_canvas, rtol=1e-6)


def test_stretch_by_hand():
    box = Letterbox((480, 640), (416, 416), "stretch")
    assert box.scale == pytest.approx((416 / 480, 0.65))
    boxes = np.array([[64, 48, 128, 240]], np.float32)
    np.testing.assert_allclose(box.boxes_to_canvas(boxes), [[41.6, 41.6, 83.2, 208]], rtol=1e-6)


@given(SIDES, SIDES, st.tuples(CANVAS_SIDES, CANVAS_SIDES), MODES, st.integers(0, 2**32 - 1))
def test_round_trip_of_boxes(height, width, canvas_size, mode, seed):
    box = Letterbox((height, width), canvas_size, mode)
    corners = np.random.default_rng(seed).uniform(-0.2, 1.2, (20, 4))
    boxes = (corners * [width, height, width, height]).astype(np.float32)
    there = box.boxes_to_canvas(boxes)
    assert there.dtype == np.float32
    np.testing.assert_allclose(box.boxes_to_image(there), boxes, atol=2e-4 * max(height, width, 32))


@given(SIDES, SIDES, CANVAS_SIDES, CANVAS_SIDES, MODES)
def test_the_picture_lies_on_the_canvas_and_touches_it(height, width, rows, columns, mode):
    box = Letterbox((height, width), (rows, columns), mode)
    inner, offset = box.inner_size, box.offset
    assert min(offset) >= 0
    assert offset[0] + inner[0] <= rows
    assert offset[1] + inner[1] <= columns
    assert inner[0] == rows or inner[1] == columns
    whole = box.boxes_to_canvas(np.array([[0, 0, width, height]], np.float32))[0]
    expected = [offset[1], offset[0], offset[1] + inner[1], offset[0] + inner[0]]
    np.testing.assert_allclose(whole, expected, atol=1e-3)


@pytest.mark.parametrize("mode", ["letterbox", "stretch"])
@pytest.mark.parametrize(
    ("image_size", "canvas_size"),
    [
        ((480, 640), (416, 416)),
        ((640, 480), (416, 416)),
        ((100, 130), (320, 608)),  # enlarged
        ((1500, 2000), (320, 608)),  # by far smaller: averaged
        ((400, 400), (416, 416)),
        ((100, 2000), (416, 416)),  # a panorama
    ],
)
def test_pixels_go_where_boxes_go(image_size, canvas_size, mode):
    height, width = image_size
    left, top, right, bottom = width // 4, height // 5, width * 3 // 4, height * 4 // 5
    image = np.zeros((height, width, 3), np.uint8)
    image[top:bottom, left:right] = 255
    box = Letterbox(image_size, canvas_size, mode)
    canvas = box.apply(image)
    assert canvas.shape == (*canvas_size, 3)
    bright = canvas[..., 0] > CANVAS_GREY
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    found = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    expected = box.boxes_to_canvas(np.array([[left, top, right, bottom]], np.float32))[0]
    # Darknet's resize keeps corner pixels in the corners: it moves the rest by up to half an enlarged pixel.
    shift = max(1, *box.scale) / 2 if mode == "stretch" else 0
    np.testing.assert_allclose(found, expected, atol=1 + shift)


def test_stretch_is_darknets_resize_by_hand():
    image = np.zeros((2, 3, 3), np.uint8)
    image[0, :, 0], image[1, :, 0] = (0, 100, 200), (50, 150, 250)
    box = Letterbox((2, 3), (3, 5), "stretch")
    expected = [[0, 50, 100, 150, 200], [25, 75, 125, 175, 225], [50, 100, 150, 200, 250]]
    np.testing.assert_allclose(box.apply_unrounded(image)[..., 0], expected, atol=1e-3)
    np.testing.assert_array_equal(box.apply(image)[..., 0], expected)
    # Two of five columns: the corners alone, nothing averaged.
    np.testing.assert_array_equal(Letterbox((2, 3), (2, 2), "stretch").apply(image)[..., 0], [[0, 200], [50, 250]])


def test_the_bars_are_grey_and_the_picture_is_not_touched():
    image = np.full((480, 640, 3), (10, 20, 30), np.uint8)
    before = image.copy()
    canvas = Letterbox((480, 640), (416, 416)).apply(image)
    assert (canvas[:52] == CANVAS_GREY).all()
    assert (canvas[364:] == CANVAS_GREY).all()
    assert (canvas[52:364] == (10, 20, 30)).all()
    np.testing.assert_array_equal(image, before)


def test_a_picture_of_the_canvas_size_comes_through_unchanged():
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    np.testing.assert_array_equal(Letterbox((64, 96), (64, 96)).apply(image), image)


def test_shrinking_averages():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    canvas = Letterbox((64, 64), (16, 16)).apply(stripes)
    np.testing.assert_allclose(canvas, 100, atol=1)  # plain bilinear would pick stripes


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (2, 2999), (40_000, 2)])
@pytest.mark.parametrize("mode", ["letterbox", "stretch"])
def test_extreme_shapes(size, mode):
    image = np.full((*size, 3), 250, np.uint8)
    canvas = Letterbox(size, (64, 96), mode).apply(image)
    assert canvas.shape == (64, 96, 3)
    assert (canvas == 250).any()


def test_apply_refuses_another_picture():
    with pytest.raises(ValueError, match=r"expected a picture of \(4, 6\), got \(6, 4\)"):
        Letterbox((4, 6), (32, 32)).apply(np.zeros((6, 4, 3), np.uint8))


def test_no_boxes_stay_no_boxes():
    assert Letterbox((4, 6), (32, 32)).boxes_to_image(np.zeros((0, 4), np.float32)).shape == (0, 4)


@given(SIDES, SIDES, CANVAS_SIDES, CANVAS_SIDES, MODES)
def test_scales_at_once_agree_but_for_rounding(height, width, rows, columns, mode):
    sizes = np.array([[height, width]], np.int32)
    box = Letterbox((height, width), (rows, columns), mode)
    expected = letterbox_scales(sizes, (rows, columns), mode)[0] * (height, width)
    np.testing.assert_allclose(expected, box.inner_size, atol=1)
