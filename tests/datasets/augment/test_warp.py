"""Rotation, shear and perspective: matrices by hand, pixels against boxes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from augmented import augmented, config, picture, red_box, scene
from hypothesis import given, settings
from hypothesis import strategies as st

from yolo.datasets.augment.warp import mirror, shift, tilt, warp, warp_boxes, zoom

SQUARE = np.array([[-10, -10, 10, 10]], np.float32)


def rotation(degrees: float) -> np.ndarray:
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        (shift(3, -4), [-7, -14, 13, 6]),
        (zoom(1.5), [-15, -15, 15, 15]),
        (mirror(100), [90, -10, 110, 10]),
        (rotation(90), [-10, -10, 10, 10]),
        (rotation(45), np.array([-1, -1, 1, 1]) * 10 * math.sqrt(2)),
        (np.array([[1, 0.5, 0], [0, 1, 0], [0, 0, 1]]), [-15, -10, 15, 10]),  # sheared along x
        (np.array([[1, 0, 0], [0, 1, 0], [0.05, 0, 1]]), [-20, -20, 10 / 1.5, 20]),  # the left edge twice as near
    ],
)
def test_boxes_by_hand(matrix: np.ndarray, expected: object) -> None:
    np.testing.assert_allclose(warp_boxes(SQUARE, matrix), [expected], rtol=1e-6)


def test_no_boxes() -> None:
    assert warp_boxes(np.zeros((0, 4), np.float32), rotation(3)).shape == (0, 4)


@pytest.mark.parametrize("perspective", [0.0, 1e-12])
def test_the_unmoved_picture_and_whole_pixels(perspective: float) -> None:
    """Both of OpenCV's warps, exactly; what lies outside is grey."""
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    matrix = shift(5, -3)
    matrix[2, 0] = perspective
    canvas = np.empty((50, 40, 3), np.uint8)
    warp(canvas, image, matrix)
    expected = np.full_like(canvas, 127)
    expected[:27, 5:] = image[3:, :35]
    np.testing.assert_array_equal(canvas, expected)


def test_a_quarter_turn() -> None:
    """About the centre of the canvas, clockwise as y points down."""
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    canvas = np.empty((40, 30, 3), np.uint8)
    warp(canvas, image, shift(15, 20) @ rotation(90) @ shift(-20, -15))
    np.testing.assert_array_equal(canvas, np.rot90(image, -1))


@settings(max_examples=60, deadline=None)
@given(
    angle=st.floats(-180, 180),
    across=st.floats(-0.3, 0.3),
    a=st.floats(-0.004, 0.004),
    factor=st.floats(0.6, 1.5),
    move=st.tuples(st.floats(-8, 8), st.floats(-8, 8)),
)
def test_boxes_enclose_the_warped_pixels(
    angle: float, across: float, a: float, factor: float, move: tuple[float, float]
) -> None:
    box = (45, 45, 75, 65)
    sheared = np.array([[1, across, 0], [0, 1, 0], [0, 0, 1]])
    tilted = np.array([[1, 0, 0], [0, 1, 0], [a, 0, 1]])
    matrix = shift(60 + move[0], 60 + move[1]) @ zoom(factor) @ rotation(angle) @ sheared @ tilted @ shift(-60, -55)
    canvas = np.empty((120, 120, 3), np.uint8)
    warp(canvas, scene(box, (110, 120)), matrix)
    hull = warp_boxes(np.array([box], np.float32), matrix)[0]
    # Of a corner that points outwards a last fraction of a pixel is not red enough.
    np.testing.assert_allclose(np.clip(hull, 0, 120), red_box(canvas), atol=2.5)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    perspective=st.floats(0, 0.49),
    size=st.tuples(st.integers(32, 600), st.integers(32, 600)),
)
def test_no_point_of_the_canvas_comes_near_infinity(seed: int, perspective: float, size: tuple[int, int]) -> None:
    settings_ = config(perspective=perspective, rotate=180, shear=40)
    matrix = tilt(settings_, size, np.random.default_rng(seed))
    height, width = size
    corners = np.array([[x, y, 1] for x in (-width / 2, width / 2) for y in (-height / 2, height / 2)])
    assert (corners @ matrix[2] >= 1 - perspective - 1e-9).all()
    # One edge is at most so much nearer than the other: the denominators at their middles differ by it.
    for edge in ([width / 2, 0, 1], [0, height / 2, 1]):
        assert abs(matrix[2] @ edge - matrix[2] @ (np.array([-1, -1, 1]) * edge)) <= perspective + 1e-9


def test_angles_stay_within_their_limits_and_fill_them() -> None:
    angles = []
    for seed in range(200):
        matrix = tilt(config(rotate=30), (64, 64), np.random.default_rng(seed))
        angles.append(math.degrees(math.atan2(matrix[1, 0], matrix[0, 0])))
    assert -30 <= min(angles) < -27
    assert 27 < max(angles) <= 30
    shears = [tilt(config(shear=30), (64, 64), np.random.default_rng(seed))[0, 1] for seed in range(200)]
    limit = math.tan(math.radians(30))
    assert -limit <= min(shears) < -0.9 * limit
    assert 0.9 * limit < max(shears) <= limit


def test_shares_of_a_turned_box_are_those_of_its_hull() -> None:
    """A quarter turn on a flat canvas: of the 100 px long bar, upright then, 40 stay."""
    bar = picture(scene((0, 15, 100, 25), (40, 100)), (0, 15, 100, 25))
    _, objects = augmented(config(rotate=180, min_visibility=0.0), bar, size=(40, 100))
    (box,), (share,) = objects.boxes, objects.visible
    matrix = tilt(config(rotate=180), (40, 100), _after_first_draws())
    hull = warp_boxes(np.array([[-50, -5, 50, 5]], np.float32), matrix)[0] + [50, 20, 50, 20]
    cut = np.clip(hull, 0, [100, 40, 100, 40])
    np.testing.assert_allclose(box, cut, atol=1e-3)
    np.testing.assert_allclose(share, np.prod(cut[2:] - cut[:2]) / np.prod(hull[2:] - hull[:2]), rtol=1e-4)
    assert share < 1


def _after_first_draws() -> np.random.Generator:
    """The generator of `augmented` with seed 0 as it comes to `tilt`: mixture, flip, zoom and shift are drawn."""
    random = np.random.default_rng([1, 0])
    random.random(2)
    random.random()
    random.uniform()
    random.uniform(size=2)
    return random
