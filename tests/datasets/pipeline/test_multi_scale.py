"""Canvas sizes of multi-scale training."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo.datasets.pipeline.multi_scale import canvas_of_batch, canvases


@pytest.mark.parametrize(
    ("canvas", "multi_scale", "expected"),
    [
        ((416, 416), 0.0, [(416, 416)]),
        ((416, 416), 0.07, [(416, 416)]),
        ((416, 416), 0.08, [(384, 384), (416, 416), (448, 448)]),
        ((320, 320), 0.3, [(224, 224), (256, 256), (288, 288), (320, 320), (352, 352), (384, 384), (416, 416)]),
        ((320, 640), 0.1, [(288, 576), (320, 608), (320, 640), (352, 672), (352, 704)]),
        ((640, 352), 0.05, [(608, 320), (640, 352), (672, 384)]),  # 334.4 and 369.6 px
        ((32, 96), 0.5, [(32, 64), (32, 96), (32, 128)]),
    ],
)
def test_by_hand(canvas: tuple[int, int], multi_scale: float, expected: list[tuple[int, int]]) -> None:
    assert canvases(canvas, multi_scale) == expected


@given(height=st.integers(1, 40), width=st.integers(1, 40), multi_scale=st.floats(0, 0.5))
def test_shape_and_limits(height: int, width: int, multi_scale: float) -> None:
    canvas = (32 * height, 32 * width)
    sizes = canvases(canvas, multi_scale)
    assert canvas in sizes
    assert len(set(sizes)) == len(sizes)
    for rows, columns in sizes:
        assert rows % 32 == columns % 32 == 0 < min(rows, columns)
        assert abs(max(rows, columns) / max(canvas) - 1) <= multi_scale + 1e-6
        # The shorter side is the best multiple of 32 for the shape.
        factor = max(rows, columns) / max(canvas)
        assert abs(min(rows, columns) - min(canvas) * factor) <= max(16, 32 - min(canvas) * factor) + 1e-6


def test_batches_draw_every_size_alike_and_always_the_same() -> None:
    drawn = [canvas_of_batch((320, 320), 0.3, 7, number) for number in range(1400)]
    assert drawn == [canvas_of_batch((320, 320), 0.3, 7, number) for number in range(1400)]
    counts = [drawn.count(size) for size in canvases((320, 320), 0.3)]
    assert sum(counts) == 1400
    assert all(150 < count < 250 for count in counts)
    assert drawn != [canvas_of_batch((320, 320), 0.3, 8, number) for number in range(1400)]


def test_neighbouring_batches_are_independent() -> None:
    sides = [canvas_of_batch((320, 320), 0.3, 0, number)[0] for number in range(1000)]
    assert abs(np.corrcoef(sides[1:], sides[:-1])[0, 1]) < 0.1
