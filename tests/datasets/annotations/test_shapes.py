"""Boxes around shapes, and what counts as a number."""

import math

import pytest

from yolo.datasets.annotations.shapes import bounds, ellipse_bounds, number, points, size_in, turned_bounds


@pytest.mark.parametrize(
    ("value", "expected"),
    [(3, 3.0), ("2.5", 2.5), (" 4 ", 4.0), (True, None), (None, None), ("x", None), ([1], None), ("", None)],
)
def test_numbers(value, expected):
    assert number(value) == expected


@pytest.mark.parametrize("value", [10**400, "1e400", -1e12, float("inf"), float("nan")])
def test_numbers_that_are_no_coordinates(value):
    assert math.isnan(number(value))


def test_points_are_pairs_or_objects():
    assert points([[1, 2], {"x": 3, "y": "4"}, [5, 6, 0]]) == [(1, 2), (3, 4), (5, 6)]
    for value in (None, [], [1, 2], [[1]], [{"x": 1}], [[1, None]], "ab"):
        assert points(value) is None


def test_bounds_of_points():
    assert bounds([(3, 1), (1, 5), (2, 2)]) == (1, 1, 3, 5)
    assert all(math.isnan(side) for side in bounds([(3, 1), (math.nan, 5)]))


def test_an_ellipse_turned_by_45_degrees():
    """Half the sides of its box are sqrt((3^2 + 4^2) / 2)."""
    half = math.sqrt(12.5)
    expected = (10 - half, 20 - half, 10 + half, 20 + half)
    assert ellipse_bounds(10, 20, 3, 4, math.pi / 4) == pytest.approx(expected)


def test_a_rectangle_turned_about_its_corner():
    """30 degrees clockwise: the lower left corner goes left by 10 sin 30, the right one right by 20 cos 30."""
    box = turned_bounds(100, 50, 20, 10, math.pi / 6)
    assert box == pytest.approx((95, 50, 100 + 20 * math.sqrt(0.75), 60 + 10 * math.sqrt(0.75)))


def test_sizes():
    assert size_in({"height": 100, "width": "200"}) == (100, 200)
    for holder in (None, [], {}, {"height": 100}, {"height": 0, "width": 5}, {"height": None, "width": 5}):
        assert size_in(holder) is None
