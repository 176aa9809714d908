"""The fast evaluator gives pycocotools' numbers, which the slow one computes itself."""

from __future__ import annotations

import logging
import sys

import numpy as np
import pytest
from detection_cases import random_case
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import coco_file, make_dataset, make_detections

from yolo.evaluation import coco, coco_hotcoco
from yolo.evaluation.coco import CocoMetrics, coco_metrics
from yolo.evaluation.results import DetectionColumns, read_results
from yolo.structs import Dataset


def values(metrics: CocoMetrics) -> np.ndarray:
    return np.concatenate([list(metrics.summary.values()), metrics.ap, metrics.ap50])


def assert_same(dataset: Dataset, detections: DetectionColumns) -> np.ndarray:
    fast, slow = (values(coco_metrics(dataset, detections, evaluator=name)) for name in ("hotcoco", "pycocotools"))
    np.testing.assert_allclose(fast, slow, rtol=0, atol=1e-9)
    return fast


def test_random_cases():
    """Of 150 cases most have figures between 0 and 1, and some undefined ones: else they would show nothing."""
    found = [assert_same(*random_case(seed)) for seed in range(150)]
    headlines = np.array([each[0] for each in found])
    assert ((headlines > 0) & (headlines < 1)).sum() > 75
    assert np.isnan(headlines).any()
    assert sum(np.isnan(each[9:]).any() for each in found) > 20


@settings(max_examples=50, deadline=None)
@given(st.integers(1000, 10**9))
def test_any_case(seed):
    assert_same(*random_case(seed))


def test_images_go_through_in_blocks(monkeypatch):
    """Equal scores in several images are ranked by the images' ids, also across blocks."""
    monkeypatch.setattr(coco_hotcoco, "BLOCK", 2)
    for seed in range(40):
        assert_same(*random_case(seed))


def test_more_than_100_detections_in_an_image():
    """The true box is found by the 100th detection of its class at best: the 101st is not looked at."""
    dataset = make_dataset([(0, 0, 0, 0, 50, 50, False)], pictures=1)
    wrong = [(0, 0, 100, 100, 150, 150, 0.9)] * 99
    right = (0, 0, 0, 0, 50, 50, 0.5)
    for count, recall in ((99, 1.0), (100, 0.0)):
        found = make_detections([*wrong, wrong[0]][:count] + [right])
        assert coco_metrics(dataset, found).summary["AR100"] == recall
        assert_same(dataset, found)


def test_official_detections(shared):
    folder = shared / "data/cocoeval"
    dataset = coco_file(folder / "instances_val2014_100.json")
    found = assert_same(dataset, read_results(folder / "instances_val2014_fakebbox100_results.json", dataset))
    assert found[0] == pytest.approx(0.505, abs=5e-4)  # printed in COCO's demo


def test_truth_of_a_real_file(shared):
    dataset = coco_file(shared / "data/coco128/instances.json")
    rng = np.random.default_rng(0)
    moved = dataset.boxes + rng.normal(0, 8, dataset.boxes.shape).astype(np.float32)
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2])
    scores = rng.integers(1, 20, len(moved)) / 20
    assert_same(dataset, DetectionColumns(dataset.box_pictures, dataset.labels, scores, moved))


@pytest.fixture
def without_hotcoco(monkeypatch):
    monkeypatch.setitem(sys.modules, "hotcoco", None)
    coco.has_hotcoco.cache_clear()
    yield
    coco.has_hotcoco.cache_clear()


@pytest.mark.usefixtures("without_hotcoco")
def test_pycocotools_takes_over_and_one_message_says_so(caplog):
    dataset, found = random_case(4)
    expected = values(coco_metrics(dataset, found, evaluator="pycocotools"))
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            np.testing.assert_array_equal(values(coco_metrics(dataset, found)), expected)
    assert len(caplog.records) == 1
    assert "pycocotools computes the same metrics" in caplog.text


def test_neither_prints(capfd):
    for name in ("hotcoco", "pycocotools"):
        coco_metrics(*random_case(4), evaluator=name)
    assert capfd.readouterr() == ("", "")
