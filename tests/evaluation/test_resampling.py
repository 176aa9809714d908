"""Weighing matched detections anew gives what evaluating the resampled dataset gives."""

from __future__ import annotations

import numpy as np
import pytest
from detection_cases import random_case
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import make_dataset, make_detections

import yolo.evaluation.resampling as module
from yolo.evaluation.average_precision import average_precisions
from yolo.evaluation.coco_pycocotools import run_pycocotools
from yolo.evaluation.matching import match
from yolo.evaluation.resampling import draw_weights, resample, reweighted
from yolo.evaluation.results import DetectionColumns


def repeated(dataset, detections, counts):
    """The resampled dataset itself: each picture as often as it was drawn, under new ids; detections likewise."""
    pictures = np.repeat(np.arange(len(dataset)), counts)
    copies = dataset.subset(pictures)
    object.__setattr__(copies, "image_ids", list(range(len(pictures))))
    parts = [np.flatnonzero(detections.pictures == picture) for picture in pictures]
    rows = np.concatenate(parts) if parts else np.zeros(0, np.int64)
    at = np.repeat(np.arange(len(pictures)), [len(part) for part in parts])
    return copies, DetectionColumns(at, detections.labels[rows], detections.scores[rows], detections.boxes[rows])


def distinct(detections):
    """The same with scores that differ within each picture: ties there have copies in another order."""
    scores = detections.scores + np.arange(len(detections)) * 1e-9
    return DetectionColumns(detections.pictures, detections.labels, scores, detections.boxes)


def by_picture_number(dataset):
    object.__setattr__(dataset, "image_ids", list(range(len(dataset))))
    return dataset


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**9))
def test_each_resample_is_the_evaluation_of_its_copies(seed):
    dataset, detections = random_case(seed)
    dataset, detections = by_picture_number(dataset), distinct(detections)
    matches = match(dataset, detections)
    (weights,) = draw_weights(len(dataset), 4, seed)
    found = reweighted(matches, weights)
    for at in range(4):
        wanted = average_precisions(match(*repeated(dataset, detections, weights[:, at])))
        np.testing.assert_allclose(found.class_ap[:, at], wanted.mean(axis=0), rtol=0, atol=1e-9)
        np.testing.assert_allclose(found.class_ap50[:, at], wanted[0], rtol=0, atol=1e-9)


def many_pictures(seed):
    """Sixty pictures with an object each, found or missed, and false detections."""
    rng = np.random.default_rng(seed)
    truth = [(at, at % 2, 10, 10, 50, 50, at % 9 == 0) for at in range(60)]
    right = [(at, at % 2, 10, 10, 50 - rng.integers(0, 15), 50, rng.random()) for at in range(60)]
    wrong = [(at, at % 2, 100, 100, 150, 150, rng.random() * 0.8) for at in range(60)]
    return make_dataset(truth, pictures=60), make_detections(right[::2] + right[1::4] + wrong)


def test_each_resample_is_pycocotools_on_its_copies():
    dataset, detections = many_pictures(3)
    (weights,) = draw_weights(60, 5, 1)
    found = reweighted(match(dataset, detections), weights)
    for at in range(5):
        precision = run_pycocotools(*repeated(dataset, detections, weights[:, at]), np.array([0, 1]))[1]
        wanted = precision[:, :, :, 0, -1].mean(axis=1)
        np.testing.assert_allclose(found.class_ap[:, at], wanted.mean(axis=0), rtol=0, atol=1e-9)
        assert found.ap[at] == pytest.approx(wanted.mean(), abs=1e-9)
    assert found.ap.std() > 0.01


def test_every_picture_once_is_the_evaluation_itself():
    matches = match(*many_pictures(0))
    found = reweighted(matches, np.ones((60, 1), np.int32))
    np.testing.assert_allclose(found.class_ap[:, 0], average_precisions(matches).mean(axis=0), atol=1e-12)


def test_a_class_without_true_boxes_enters_no_mean():
    """A cat that is found and a dog that is not, in a picture each: without the dog the mean is the cat's."""
    dataset = make_dataset([(0, 0, 0, 0, 10, 10, False), (1, 1, 0, 0, 10, 10, False)], pictures=2)
    found = make_detections([(0, 0, 0, 0, 10, 10, 0.9)])
    resampled = reweighted(match(dataset, found), np.array([[1, 2, 0], [1, 0, 2]], np.int32))
    assert resampled.ap.tolist() == pytest.approx([0.5, 1.0, 0.0])
    assert resampled.class_ap50[0] == pytest.approx([1.0, 1.0, np.nan], nan_ok=True)
    assert np.isnan(resampled.class_ap50[1, 1])


def test_drawn_weights_are_pictures_with_replacement():
    (weights,) = draw_weights(50, 200, 5)
    assert weights.shape == (50, 200)
    assert (weights.sum(axis=0) == 50).all()
    assert abs(weights.var() - (1 - 1 / 50)) < 0.05  # of a binomial of 50 draws with chance 1/50
    assert not (weights == weights[:, :1]).all(axis=0)[1:].any()


def test_blocks_change_nothing(monkeypatch):
    matches = match(*many_pictures(1))
    whole = resample(matches, resamples=25, seed=4)
    monkeypatch.setattr(module, "BLOCK", 60 * 7)
    monkeypatch.setattr(module, "PART", 60)
    parts = resample(matches, resamples=25, seed=4)
    np.testing.assert_allclose(parts.class_ap, whole.class_ap, rtol=0, atol=1e-12)
    np.testing.assert_allclose(parts.class_ap50, whole.class_ap50, rtol=0, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**9), st.sampled_from([(0.0, 1024.0), (1024.0, 9216.0)]))
def test_ranges_of_areas_ignore_other_detections_at_each_threshold(seed, area):
    dataset, detections = random_case(seed)
    dataset, detections = by_picture_number(dataset), distinct(detections)
    (weights,) = draw_weights(len(dataset), 2, seed)
    found = reweighted(match(dataset, detections, area=area), weights)
    for at in range(2):
        copies = repeated(dataset, detections, weights[:, at])
        wanted = average_precisions(match(*copies, area=area)).mean(axis=0)
        np.testing.assert_allclose(found.class_ap[:, at], wanted, rtol=0, atol=1e-9)
