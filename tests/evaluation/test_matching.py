"""Our matching is COCOeval's: the same average precisions, box by box, also by area and number of detections."""

from __future__ import annotations

import numpy as np
import pytest
from detection_cases import random_case
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import make_dataset, make_detections

from yolo.evaluation.average_precision import average_precisions, recall_steps
from yolo.evaluation.coco_pycocotools import run_pycocotools
from yolo.evaluation.matching import match, running_count
from yolo.evaluation.pairs import overlapping_pairs
from yolo.ops.boxes import iou

AREAS = ((0, 1e10), (0, 32**2), (32**2, 96**2), (96**2, 1e10))


def official(dataset, detections):
    """Average precision (T, C, areas, max detections) by pycocotools; NaN where it is undefined."""
    classes = np.unique(dataset.labels[~dataset.ignore])
    values = np.full((10, len(dataset.classes), 4, 3), np.nan)
    if len(classes):
        precision = run_pycocotools(dataset, detections, classes)[1]
        found = precision.mean(axis=1)
        values[:, classes] = np.where(found < 0, np.nan, found)
    return values


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9))
def test_average_precision_is_pycocotools(seed):
    dataset, detections = random_case(seed)
    wanted = official(dataset, detections)
    for at, area in enumerate(AREAS):
        own = average_precisions(match(dataset, detections, area=area))
        np.testing.assert_allclose(own, wanted[:, :, at, 2], rtol=0, atol=1e-12)


def test_random_cases_reach_values_between_0_and_1():
    found = np.concatenate([average_precisions(match(*random_case(seed))).ravel() for seed in range(40)])
    assert ((found > 0) & (found < 1)).mean() > 0.3


def test_one_image_by_hand():
    """Two true boxes; detections: a hit, its duplicate, a miss by IoU and a hit with the lowest score."""
    dataset = make_dataset([(0, 0, 0, 0, 10, 10, False), (0, 0, 20, 0, 30, 10, False)], pictures=1)
    found = make_detections(
        [(0, 0, 0, 0, 10, 10, 0.9), (0, 0, 0, 0, 10, 9, 0.8), (0, 0, 20, 0, 30, 4, 0.7), (0, 0, 20, 0, 30, 6, 0.6)]
    )
    matches = match(dataset, found, ious=(0.5, 0.75))
    assert matches.matched.tolist() == [[0, -1, -1, 1], [0, -1, -1, -1]]
    # At 0.5 the recalls up to 0.5 have precision 1, the others 2/4: 51 and 50 of 101.
    assert average_precisions(matches)[:, 0] == pytest.approx([(51 + 50 * 0.5) / 101, 51 / 101])


def test_at_most_so_many_detections_an_image_and_class():
    dataset = make_dataset([(0, 0, 0, 0, 10, 10, False)], pictures=2)
    found = make_detections([(0, 0, 50, 50, 60, 60, 0.9), (0, 0, 0, 0, 10, 10, 0.8), (1, 0, 0, 0, 10, 10, 0.7)])
    assert match(dataset, found, max_detections=1).rows.tolist() == [0, 2]
    assert match(dataset, found, max_detections=2).rows.tolist() == [0, 1, 2]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**9), st.booleans())
def test_pairs_are_those_of_plain_loops(seed, same_class):
    dataset, detections = random_case(seed)
    pairs = overlapping_pairs(dataset, detections, least=0.1, same_class=same_class, crowds=False)
    overlaps = np.asarray(iou(detections.boxes[:, None], dataset.boxes[None])).astype(float)
    allowed = detections.pictures[:, None] == dataset.box_pictures[None]
    if same_class:
        allowed &= detections.labels[:, None] == dataset.labels[None]
    clear = np.abs(overlaps - 0.1) > 1e-5  # single precision may decide otherwise
    wanted = np.argwhere(allowed & (overlaps > 0.1) & clear)
    own = np.column_stack([pairs.found, pairs.true])
    assert {tuple(row) for row in wanted} <= {tuple(row) for row in own}
    assert all(allowed[f, t] for f, t in own)
    assert pairs.overlap == pytest.approx(overlaps[pairs.found, pairs.true], abs=1e-5)


def test_recall_steps_sum_to_101():
    for truths in (1, 3, 7, 50, 101, 1000):
        assert recall_steps(truths).sum() == 101
    assert recall_steps(2).tolist() == [0, 51, 50]


def test_running_count():
    assert running_count(np.array([5, 3, 5, 5, 3])).tolist() == [0, 0, 1, 2, 1]
    assert running_count(np.array([], np.int64)).tolist() == []
