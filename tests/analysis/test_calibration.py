"""Calibration errors by hand, by the authors' arithmetic and against hotcoco; maps against scikit-learn."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from detection_cases import random_case
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import make_dataset, make_detections

from yolo.analysis.calibration import (
    FEWEST,
    Judged,
    class_reliabilities,
    cross_calibrated,
    fit_calibration,
    isotonic_map,
    judge,
    platt_map,
    reliability,
)
from yolo.errors import AnnotationError
from yolo.evaluation.results import DetectionColumns
from yolo.scores import Calibration, logit, sigmoid

BOX = (0, 0, 10, 10)
LOWER = (0, 5, 10, 15)
"""IoU 1/3 with BOX."""


def test_both_errors_by_hand():
    """Cats: exact at 0.9, IoU 1/3 at 0.5, nothing at 0.52; a dog, exact at 0.7; birds, of which none is annotated.

    At IoU 0.5 the bins hold 0.9 (right), {0.5} (wrong), {0.52} (wrong), 0.7 (right): gaps 0.1, 0.5, 0.52, 0.3, so that
    D-ECE is 1.42 / 4. LaECE of the cats is (0.1 + |0.5 - 1/3| + 0.52) / 3, of the dogs 0.3.
    """
    truth = [(0, 0, *BOX, False), (1, 0, *BOX, False), (0, 1, *BOX, False)]
    found = [(0, 0, *BOX, 0.9), (1, 0, *LOWER, 0.5), (2, 0, *BOX, 0.53), (0, 1, *BOX, 0.7), (0, 2, *BOX, 0.95)]
    dataset = make_dataset(truth, pictures=3, classes=("cat", "dog", "bird"))
    judged = judge(dataset, make_detections(found))
    whole = reliability(judged)
    assert whole.counts.sum() == 4
    assert whole.ece == pytest.approx((0.1 + 0.5 + 0.53 + 0.3) / 4)
    cats = (0.1 + 0.5 - 1 / 3 + 0.53) / 3
    assert whole.laece == pytest.approx((cats + 0.3) / 2)
    cat, dog, bird = class_reliabilities(judged, dataset.classes)
    assert (cat.ece, cat.laece) == (pytest.approx(1.13 / 3), pytest.approx(cats))
    assert (dog.ece, dog.laece) == (pytest.approx(0.3), pytest.approx(0.3))
    assert math.isnan(bird.ece)
    assert math.isnan(bird.laece)


def test_a_bin_is_compared_as_a_whole():
    """Half of the detections at 0.5 are right; a border belongs to the bin below, 0 to the first."""
    truth = [(i, 0, *BOX, False) for i in range(4)]
    found = [(i, 0, *(BOX if i < 2 else LOWER), 0.5) for i in range(4)] + [(5, 0, *BOX, 0.0), (6, 0, *BOX, 1.0)]
    whole = reliability(judge(make_dataset(truth, pictures=7), make_detections(found)), bins=2)
    assert whole.counts.tolist() == [5, 1]
    assert whole.confidence.tolist() == [0.4, 1]
    assert whole.accuracy.tolist() == [0.4, 0]
    assert whole.ece == pytest.approx(1 / 6)


def laece_of_the_authors(scores, ious, counted):
    """One class of `compute_single_errors` of fiveai/detection_calibration: loops over bins, and the weighted sum."""
    edges, total = np.linspace(0.0, 1.0, 26), 0.0
    for low, high in pairwise(edges):
        inside = counted & (scores <= high) & ((low <= scores) if low == 0 else (low < scores))
        if inside.any():
            total += inside.sum() / counted.sum() * abs(ious[inside].mean() - scores[inside].mean())
    return total


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**9))
def test_laece_is_the_authors(seed):
    judged = judge(*random_case(seed))
    own = [
        laece_of_the_authors(*(each[judged.labels == label] for each in (judged.scores, judged.overlaps, counts)))
        for label in np.unique(judged.labels)
        if (counts := judged.overlaps_count)[judged.labels == label].any()
    ]
    found = reliability(judged).laece
    assert math.isnan(found) if not own else found == pytest.approx(np.mean(own))


@pytest.mark.parametrize("seed", [2, *range(4, 13)])
def test_d_ece_is_hotcocos(seed):
    """Over classes with true boxes: hotcoco takes detections of the others as wrong."""
    from hotcoco import COCO, COCOeval

    truth, found = random_case(seed)
    known = np.isin(found.labels, truth.labels[~truth.ignore])
    found = DetectionColumns(*(getattr(found, name)[known] for name in ("pictures", "labels", "scores", "boxes")))
    assert len(found.boxes)
    images = [{"id": i + 1, "width": 640, "height": 640, "file_name": f"{i}.jpg"} for i in range(len(truth))]
    boxes = np.concatenate([truth.boxes[:, :2], truth.boxes[:, 2:] - truth.boxes[:, :2]], axis=1)
    annotations = [
        {"id": i + 1, "image_id": int(p) + 1, "category_id": int(c) + 1, "bbox": b, "area": float(a), "iscrowd": int(k)}
        for i, (p, c, b, a, k) in enumerate(
            zip(truth.box_pictures, truth.labels, boxes.tolist(), truth.areas, truth.ignore, strict=True)
        )
    ]
    categories = [{"id": i + 1, "name": name} for i, name in enumerate(truth.classes)]
    sides = np.concatenate([found.boxes[:, :2], found.boxes[:, 2:] - found.boxes[:, :2]], axis=1)
    results = [
        {"image_id": int(p) + 1, "category_id": int(c) + 1, "bbox": b, "score": float(s)}
        for p, c, b, s in zip(found.pictures, found.labels, sides.tolist(), found.scores, strict=True)
    ]
    source = COCO({"images": images, "annotations": annotations, "categories": categories})
    evaluator = COCOeval(source, source.load_res(results), "bbox")
    evaluator.evaluate()
    theirs = evaluator.calibration(n_bins=10, iou_threshold=0.5)
    ours = reliability(judge(truth, found), bins=10)
    assert ours.counts.sum() == theirs["num_detections"]
    assert ours.ece == pytest.approx(theirs["ece"], abs=1e-9)


def test_the_centres_of_the_pools_are_scikit_learns():
    from sklearn.isotonic import IsotonicRegression

    rng = np.random.default_rng(0)
    scores = rng.beta(0.5, 2, 3000)
    right = rng.random(3000) < scores**1.7
    corners = np.array(isotonic_map(scores, right))[1:-1]
    theirs = IsotonicRegression().fit(scores, right)
    values, counts = np.unique(theirs.predict(scores), return_counts=True)
    assert (values[0], values[-1]) == (0, 1)
    assert corners[1:-1, 1] == pytest.approx(values[1:-1])
    assert corners[0, 1] == min(0.5 / (counts[0] + 1), values[1] / 2)
    assert corners[-1, 1] == max(1 - 0.5 / (counts[-1] + 1), (1 + values[-2]) / 2)
    assert np.abs(theirs.predict(corners[:, 0]) - values).max() < 1e-9


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 999), st.booleans()), min_size=2, max_size=60))
def test_isotonic_maps_keep_the_order(rows):
    """Distinct scores never change places, and the pairs are a map that a file can hold."""
    scores, right = (np.array(each) for each in zip(*rows, strict=True))
    corners = isotonic_map(scores / 1000, right)
    calibration = Calibration("isotonic", (corners,), ((0,),))
    ordered = np.unique(scores / 1000)
    mapped = calibration.apply(np.zeros((len(ordered), 4)), np.zeros(len(ordered), int), ordered)
    assert (np.diff(mapped) >= 0).all()
    assert mapped.min() > 0
    assert mapped.max() < 1


def test_platt_is_the_logistic_regression_of_the_logit():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(1)
    scores = rng.beta(0.7, 1.5, 2000)
    right = rng.random(2000) < sigmoid(0.6 * logit(scores) - 0.8)
    ((slope, offset),) = platt_map(scores, right)
    high, low = (right.sum() + 1) / (right.sum() + 2), 1 / ((~right).sum() + 2)
    targets = np.where(right, high, low)
    rows = np.tile(logit(scores), 2)[:, None]
    weights = np.concatenate([targets, 1 - targets])
    theirs = LogisticRegression(C=1e9, tol=1e-8, max_iter=1000).fit(
        rows, np.repeat([1, 0], 2000), sample_weight=weights
    )
    assert (slope, offset) == (
        pytest.approx(theirs.coef_[0, 0], abs=1e-3),
        pytest.approx(theirs.intercept_[0], abs=1e-3),
    )
    assert (slope, offset) == (pytest.approx(0.6, abs=0.1), pytest.approx(-0.8, abs=0.15))


def simulated(count, *, classes=1, seed=0):
    """Overconfident detections: right with the square of their score."""
    rng = np.random.default_rng(seed)
    scores, labels = rng.random(count), rng.integers(0, classes, count)
    right = rng.random(count) < scores**2
    every = np.ones(count, bool)
    sizes = rng.choice([20.0, 50.0, 150.0], count)
    return Judged(np.arange(count), np.arange(count), labels, scores, sizes, right, every, right * 0.8, every)


@pytest.mark.parametrize("method", ["isotonic", "platt"])
def test_calibration_mends_what_it_has_not_seen(method):
    learned, other = simulated(4000), simulated(4000, seed=1)
    fitted = fit_calibration(learned, 1, method)
    boxes = np.zeros((4000, 4))
    mended = Judged(**{**vars(other), "scores": fitted.apply(boxes, other.labels, other.scores)})
    assert reliability(other).ece == pytest.approx(1 / 6, abs=0.02)  # the mean of s - s^2
    assert reliability(mended).ece < 0.03


def test_few_detections_take_the_map_of_all_classes():
    """Class 1 has too few wrong ones; the sizes of class 2 take the map of their class."""
    parts = [(0, 60, 60), (1, 60, FEWEST - 1), (2, FEWEST, FEWEST)]
    labels = np.concatenate([np.full(right + wrong, label) for label, right, wrong in parts])
    right = np.concatenate([np.arange(right + wrong) < right for _, right, wrong in parts])
    rng = np.random.default_rng(0)
    count = len(labels)
    sizes = np.where(np.arange(count) % 2, 20.0, 200.0)
    every = np.ones(count, bool)
    judged = Judged(
        np.arange(count), np.arange(count), labels, rng.random(count), sizes, right, every, right * 1.0, every
    )
    fitted = fit_calibration(judged, 4, "platt", by_size=True)
    zero, one, two, absent = fitted.chosen
    assert (one, absent) == ((0, 0, 0), (0, 0, 0))
    assert (len(set(zero)), len(set(two))) == (3, 1)
    assert zero[1] not in zero[::2]  # medium boxes: none are there
    assert two[0] not in (0, *zero)
    assert fit_calibration(judged, 4, "platt").chosen[1:] == ((0,), (two[0] - 2,), (0,))


@pytest.mark.parametrize(("outcome", "word"), [(True, "wrong"), (False, "right")])
def test_detections_of_one_outcome_cannot_be_calibrated(outcome, word):
    judged = simulated(50)
    with pytest.raises(AnnotationError, match=f"no detection is {word}"):
        fit_calibration(Judged(**{**vars(judged), "right": np.full(50, outcome)}), 1, "platt")


def test_each_part_is_calibrated_by_the_others():
    """In two parts: the scores of each are what a map fitted to the other gives."""
    rng = np.random.default_rng(3)
    found = [(i, 0, *(BOX if rng.random() < 0.5 else LOWER), float(rng.random())) for i in range(200)]
    dataset, detections = make_dataset([(i, 0, *BOX, False) for i in range(200)], pictures=200), make_detections(found)
    crossed = cross_calibrated(dataset, detections, "platt", parts=2)
    part = np.random.default_rng(0).permutation(200) % 2
    judged = judge(dataset, detections)
    for own in (0, 1):
        rows = part == own
        fitted = fit_calibration(judged.of(part[judged.pictures] != own), 2, "platt")
        expected = fitted.apply(detections.boxes, detections.labels, detections.scores)[rows]
        assert crossed.scores[rows] == pytest.approx(expected)
