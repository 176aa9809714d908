"""Thinned curves keep few points and the shape."""

from __future__ import annotations

import numpy as np
import pytest

from yolo.analysis.curves import make_curve
from yolo.analysis.thinning import COLUMNS, thinned


@pytest.fixture(scope="module")
def long_curve():
    rng = np.random.default_rng(0)
    scores = rng.random(50_000)
    right = rng.random(50_000) < scores**2
    return make_curve("thing", 20_000, scores, right, ~right)


def test_points_of_a_thinned_curve_are_some_of_the_whole(long_curve):
    few = thinned(long_curve)
    assert 4 * COLUMNS <= len(few.thresholds) <= 16 * COLUMNS
    rows = np.searchsorted(-long_curve.thresholds, -few.thresholds)
    np.testing.assert_array_equal(long_curve.thresholds[rows], few.thresholds)
    np.testing.assert_array_equal(long_curve.right[rows], few.right)
    np.testing.assert_array_equal(long_curve.wrong[rows], few.wrong)
    assert (rows[0], rows[-1]) == (0, len(long_curve.thresholds) - 1)


def test_thinning_keeps_the_shape(long_curve):
    few = thinned(long_curve)
    assert few.f1.max() == long_curve.f1.max()
    assert few.precision[10:].min() == long_curve.precision.min()
    between = np.interp(long_curve.recall, few.recall, few.precision)
    start = long_curve.recall > 0.02  # before, precision jumps with each detection
    assert np.abs(between - long_curve.precision)[start].max() < 0.015
    area, whole = (np.trapezoid(each.precision, each.recall) for each in (few, long_curve))
    assert area == pytest.approx(whole, abs=1e-3)


def test_short_curves_stay_as_they_are():
    curve = make_curve("thing", 3, np.array([0.9, 0.5]), np.array([True, False]), np.array([False, True]))
    assert thinned(curve) is curve
