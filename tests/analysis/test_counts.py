"""Counts at a threshold, against the curves and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from detection_cases import random_case
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import make_dataset, make_detections

from yolo.analysis.counts import counts_at
from yolo.analysis.curves import class_curves
from yolo.analysis.thresholds import best_f1
from yolo.evaluation.matching import match


def test_counts_by_hand():
    """Two cats, one found at 0.6, its duplicate at 0.5 and a wrong one at 0.9; a dog that is missed."""
    truth = [(0, 0, 0, 0, 10, 10, False), (1, 0, 0, 0, 10, 10, False), (1, 1, 50, 50, 60, 60, False)]
    found = [(0, 0, 0, 0, 10, 10, 0.6), (0, 0, 0, 0, 10, 9, 0.5), (1, 0, 30, 30, 40, 40, 0.9)]
    matches = match(make_dataset(truth, pictures=4), make_detections(found))
    cat, dog = counts_at(matches, [0.55, 0.1])
    assert (cat.right, cat.wrong, cat.missed) == (1, 1, 1)
    assert (cat.precision, cat.recall, cat.f1, cat.false_positives_per_image) == (0.5, 0.5, 0.5, 0.25)
    assert (dog.right, dog.wrong, dog.missed, dog.recall, dog.f1) == (0, 0, 1, 0, 0)
    assert np.isnan(dog.precision)
    assert counts_at(matches, [0.6, 1])[0].right == 1  # a threshold keeps the scores equal to it
    assert counts_at(matches, [0.5, 0])[0].wrong == 2
    assert cat.to_dict()["class"] == "cat"


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**9))
def test_best_f1_is_the_top_of_each_curve(seed):
    matches = match(*random_case(seed), ious=(0.5,))
    curves = class_curves(matches)
    thresholds = [best_f1(curve) for curve in curves]
    for curve, counts, threshold in zip(curves, counts_at(matches, thresholds), thresholds, strict=True):
        assert np.isnan(threshold) == (not curve.right.any())
        if curve.right.any():
            assert counts.f1 == pytest.approx(curve.f1.max(), abs=1e-12)
