"""Scores of single pictures."""

from __future__ import annotations

import numpy as np
import pytest
from detection_cases import random_case
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import make_dataset, make_detections

from yolo.evaluation.matching import match
from yolo.evaluation.picture_scores import picture_scores
from yolo.evaluation.voc import average_precision_12


def test_scores_by_hand():
    """First: hit, miss, hit of 2 true boxes of 2 classes. Others: nothing found; nothing there, one wrong detection."""
    truth = [(0, 0, 0, 0, 10, 10, False), (0, 1, 50, 50, 60, 60, False), (1, 0, 0, 0, 10, 10, False)]
    found = [(0, 0, 0, 0, 10, 10, 0.9), (0, 0, 80, 80, 90, 90, 0.8), (0, 1, 50, 50, 60, 60, 0.3)]
    found += [(2, 0, 5, 5, 9, 9, 0.5), (2, 1, 5, 5, 9, 9, 0.1)]
    matches = match(make_dataset(truth, pictures=4), make_detections(found))
    # The wrong one of the third picture is surer than one of the two right ones.
    assert picture_scores(matches) == pytest.approx([(1 + 2 / 3) / 2, 0, 0.5, 1])


def test_wrong_detections_in_empty_pictures_where_none_is_right():
    matches = match(make_dataset([], pictures=2), make_detections([(1, 0, 5, 5, 9, 9, 0.5)]))
    assert picture_scores(matches).tolist() == [1, 0]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**9))
def test_scores_are_those_of_each_picture_alone(seed):
    dataset, detections = random_case(seed)
    matches = match(dataset, detections)
    found = picture_scores(matches)
    true = matches.true_pictures[~matches.true_ignored]
    for picture in np.unique(true):
        rows = np.flatnonzero(matches.pictures == picture)
        rows = rows[np.argsort(-matches.scores[rows], kind="stable")]
        counted = [rows[~ignored[rows]] for ignored in matches.ignored]
        values = [
            average_precision_12(matches.right[at, each], int((true == picture).sum())) if len(each) else 0.0
            for at, each in enumerate(counted)
        ]
        assert found[picture] == pytest.approx(np.mean(values), abs=1e-9)
