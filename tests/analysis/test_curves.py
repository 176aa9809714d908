"""Precision, recall and F1 over the threshold, by hand and against plain counting."""

from __future__ import annotations

import numpy as np
import pytest
from detection_cases import random_case
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import make_dataset, make_detections

from yolo.analysis.curves import class_curves, joint_curve
from yolo.evaluation.matching import match


def test_by_hand():
    """A hit at 0.9, a hit and a miss at 0.5, nothing else; three true boxes."""
    truth = [(0, 0, 0, 0, 10, 10, False), (0, 0, 20, 0, 30, 10, False), (0, 0, 40, 0, 50, 10, False)]
    found = [(0, 0, 0, 0, 10, 10, 0.9), (0, 0, 20, 0, 30, 10, 0.5), (0, 0, 70, 0, 80, 10, 0.5)]
    curve = class_curves(match(make_dataset(truth, pictures=1), make_detections(found)))[0]
    assert curve.thresholds.tolist() == [0.9, 0.5]
    assert (curve.right.tolist(), curve.wrong.tolist()) == ([1, 2], [0, 1])
    assert curve.precision == pytest.approx([1, 2 / 3])
    assert curve.recall == pytest.approx([1 / 3, 2 / 3])
    assert curve.f1 == pytest.approx([2 / 4, 4 / 6])


def test_without_truth_or_detections():
    curve = joint_curve(match(make_dataset([], pictures=1), make_detections([(0, 0, 0, 0, 9, 9, 0.5)])))
    assert curve.wrong.tolist() == [1]
    assert np.isnan(curve.recall).all()
    assert curve.f1.tolist() == [0]
    empty = joint_curve(match(make_dataset([(0, 0, 0, 0, 9, 9, False)], pictures=1), make_detections([])))
    assert len(empty.thresholds) == len(empty.f1) == 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**9))
def test_counts_at_every_threshold(seed):
    matches = match(*random_case(seed))
    for label, curve in enumerate(class_curves(matches, at=3)):
        own = matches.labels == label
        for threshold, right, wrong in zip(curve.thresholds, curve.right, curve.wrong, strict=True):
            kept = own & (matches.scores >= threshold)
            assert (right, wrong) == ((kept & matches.right[3]).sum(), (kept & matches.wrong[3]).sum())
