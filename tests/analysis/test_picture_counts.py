"""Counts by picture, and which pictures are worst and best, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from detection_cases import random_case
from hypothesis import given, settings
from hypothesis import strategies as st
from report_cases import three_pictures

from yolo.analysis.curves import joint_curve
from yolo.analysis.picture_counts import best_pictures, count_by_picture, worst_pictures
from yolo.evaluation.matching import match


def test_three_pictures_by_hand(tmp_path):
    counts = count_by_picture(match(*three_pictures(tmp_path)), 0.5)
    assert (counts.right.tolist(), counts.wrong.tolist(), counts.missed.tolist()) == ([1, 1, 0], [1, 1, 0], [1, 1, 0])
    assert counts.wrong_scores == pytest.approx([0.7, 0.55, 0])
    assert counts.f1[:2] == pytest.approx([0.5, 0.5])
    assert np.isnan(counts.f1[2])
    assert worst_pictures(counts, 5).tolist() == [0, 1]  # 1 + 0.7 before 1 + 0.55; nothing is wrong with the third
    assert best_pictures(counts, 5).tolist() == [0, 1]
    assert worst_pictures(counts, 1).tolist() == [0]


def test_a_threshold_keeps_the_scores_equal_to_it(tmp_path):
    matches = match(*three_pictures(tmp_path))
    assert count_by_picture(matches, 0.2).wrong.tolist() == [1, 1, 1]
    assert count_by_picture(matches, 0.21).wrong.tolist() == [1, 1, 0]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**9), st.floats(0, 1))
def test_pictures_add_up_to_the_curve(seed, threshold):
    matches = match(*random_case(seed))
    counts, curve = count_by_picture(matches, threshold), joint_curve(matches)
    kept = int((curve.thresholds >= threshold).sum())
    right, wrong = (int(column[kept - 1]) if kept else 0 for column in (curve.right, curve.wrong))
    assert (counts.right.sum(), counts.wrong.sum()) == (right, wrong)
    assert counts.missed.sum() == curve.true_count - right
