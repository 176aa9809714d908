"""Crops hold the pixels under their boxes, clipped by the image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo.images.crops import crop_boxes

IMAGE = np.arange(6 * 10 * 3, dtype=np.uint8).reshape(6, 10, 3)


@pytest.mark.parametrize(
    ("box", "margin", "rows", "columns"),
    [
        ([2, 1, 5, 4], 0.0, slice(1, 4), slice(2, 5)),
        ([2.9, 1.2, 4.1, 3.5], 0.0, slice(1, 4), slice(2, 5)),  # pixels that are touched are whole
        ([-3, -2, 4, 2], 0.0, slice(0, 2), slice(0, 4)),  # clipped
        ([4, 2, 8, 4], 0.25, slice(1, 5), slice(3, 9)),  # 1 px across, half a pixel down
        ([8, 4, 10, 6], 1.0, slice(2, 6), slice(6, 10)),  # the margin is clipped too
    ],
)
def test_pixels_of_a_crop(box, margin, rows, columns):
    (crop,) = crop_boxes(IMAGE, np.array([box], np.float32), margin=margin)
    np.testing.assert_array_equal(crop, IMAGE[rows, columns])
    assert not np.shares_memory(crop, IMAGE)


def test_a_box_outside_of_the_image_has_no_pixels():
    crops = crop_boxes(IMAGE, np.array([[20, 1, 30, 4], [1, 1, 2, 2], [-5, -5, -1, -1]], np.float32), margin=0)
    assert [crop.size for crop in crops] == [0, 3, 0]


@given(st.tuples(*[st.floats(-20, 20, width=32)] * 4), st.floats(0, 2))
def test_a_crop_covers_the_part_of_the_box_in_the_image(corners, margin):
    x1, x2 = sorted(corners[:2])
    y1, y2 = sorted(corners[2:])
    (crop,) = crop_boxes(IMAGE, np.array([[x1, y1, x2, y2]], np.float32), margin=margin)
    assert crop.shape[0] >= min(y2, 6) - max(y1, 0)
    assert crop.shape[1] >= min(x2, 10) - max(x1, 0)
    assert crop.shape[0] <= 6
    assert crop.shape[1] <= 10
