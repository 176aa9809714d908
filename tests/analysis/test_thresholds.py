"""Thresholds from curves, by hand and against trying every one."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from detection_cases import random_case
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import make_dataset, make_detections

from yolo.analysis.curves import class_curves, make_curve
from yolo.analysis.thresholds import (
    best_f1,
    best_f1_thresholds,
    class_thresholds,
    for_precision,
    for_recall,
    lowest,
)
from yolo.evaluation.matching import match


def curve(outcomes, scores, true_count):
    """Curve of detections by falling score; 1 is right, 0 wrong."""
    right = np.array(outcomes, bool)
    return make_curve("cat", true_count, np.array(scores, float), right, ~right)


ROWS = curve([1, 1, 0, 1, 0], [0.9, 0.8, 0.6, 0.5, 0.2], 4)
"""Precision 1, 1, 2/3, 3/4, 3/5; recall 1/4, 1/2, 1/2, 3/4, 3/4; F1 2/5, 4/6, 4/7, 6/8, 6/9."""


def test_choices_by_hand():
    assert best_f1(ROWS) == pytest.approx((0.5 + 0.2) / 2)
    assert for_precision(ROWS, 0.75) == pytest.approx((0.5 + 0.2) / 2)
    assert for_precision(ROWS, 0.76) == pytest.approx((0.8 + 0.6) / 2)
    assert for_precision(ROWS, 0.5) == 0.2  # of the last one there is no lower score
    assert for_recall(ROWS, 0.5) == pytest.approx((0.8 + 0.6) / 2)
    assert for_recall(ROWS, 0.75) == pytest.approx((0.5 + 0.2) / 2)
    assert math.isnan(for_recall(ROWS, 0.8))
    assert math.isnan(for_precision(curve([0, 1], [0.9, 0.8], 1), 0.6))


def test_without_a_right_detection():
    nothing = curve([0, 0], [0.9, 0.8], 3)
    assert math.isnan(best_f1(nothing))
    assert math.isnan(for_precision(nothing, 0.01))
    assert math.isnan(for_recall(nothing, 0.01))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**9), st.floats(0.05, 1))
def test_no_threshold_is_better(seed, wanted):
    """Every score of a class is tried, and what the chosen threshold keeps is counted."""
    matches = match(*random_case(seed), ious=(0.5,))
    for label, each in enumerate(class_curves(matches)):
        own = (matches.labels == label) & (matches.right[0] | matches.wrong[0])
        if not each.true_count or not (own & matches.right[0]).any():
            continue

        def counted(threshold, own=own, each=each):
            kept = own & (matches.scores >= threshold)
            right = (kept & matches.right[0]).sum()
            return right / max(kept.sum(), 1), right / each.true_count, 2 * right / (kept.sum() + each.true_count)

        tried = [counted(score) for score in np.unique(matches.scores[own])]
        assert counted(best_f1(each))[2] == pytest.approx(max(f1 for _, _, f1 in tried))
        threshold = for_precision(each, wanted)
        reaching = [recall for precision, recall, _ in tried if precision >= wanted and recall > 0]
        assert math.isnan(threshold) == (not reaching)
        if reaching:
            assert counted(threshold)[0] >= wanted
            assert counted(threshold)[1] == max(reaching)
        threshold = for_recall(each, wanted)
        enough = [precision for precision, recall, _ in tried if recall >= wanted]
        assert math.isnan(threshold) == (not enough)
        if enough:
            assert counted(threshold)[1] >= wanted


def scene(cats=12, dogs=2):
    """Every cat is found at 0.8, with one wrong at 0.3; of the dogs one at 0.5; another class has detections alone."""
    truth = [(i, 0, 0, 0, 10, 10, False) for i in range(cats)] + [(i, 1, 50, 50, 60, 60, False) for i in range(dogs)]
    found = [(i, 0, 0, 0, 10, 10, 0.8) for i in range(cats)] + [
        (0, 0, 90, 90, 99, 99, 0.3),
        (0, 1, 50, 50, 60, 60, 0.5),
    ]
    found += [(i, 2, 0, 0, 10, 10, 0.9) for i in range(20)]
    dataset = make_dataset(truth, pictures=20, classes=("cat", "dog", "bird"))
    return match(dataset, make_detections(found), ious=(0.5,))


def test_few_boxes_take_the_threshold_of_all_classes():
    """The birds, of which nothing is known, do not count in it: 13 of 14 boxes down to 0.5 is the best F1."""
    cat, dog, bird = class_thresholds(scene(), best_f1, fewest=10)
    assert cat == ("cat", pytest.approx(0.55), 1.0, 1.0, True, True)
    assert dog == ("dog", pytest.approx(0.4), 1.0, 0.5, False, False)
    assert bird.value == pytest.approx(0.4)
    assert not bird.own
    assert best_f1_thresholds(scene(), fewest=10) == {"cat": cat.value, "dog": dog.value, "bird": bird.value}
    assert class_thresholds(scene(), best_f1, fewest=1)[1].value == 0.5


def test_what_is_out_of_reach_is_said():
    rows = class_thresholds(scene(dogs=12), partial(for_recall, wanted=0.9), closest=lowest, fewest=10)
    assert [(row.own, row.reached) for row in rows] == [(True, True), (True, False), (False, False)]
    assert (rows[1].value, rows[1].recall) == (0.5, pytest.approx(1 / 12))
    rows = class_thresholds(scene(), partial(for_precision, wanted=1.0), fewest=10)
    assert (rows[0].reached, rows[0].precision) == (True, 1.0)


def test_nothing_found_gives_no_thresholds():
    nothing = match(make_dataset([(0, 0, 0, 0, 9, 9, False)], pictures=1), make_detections([]), ious=(0.5,))
    assert class_thresholds(nothing, best_f1) == []
    assert best_f1_thresholds(nothing) == {}
