"""VOC's average precision: against a plain loop after the development kit, and published figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tables import make_dataset, make_detections

from yolo.evaluation import pairs
from yolo.evaluation.results import DetectionColumns
from yolo.evaluation.voc import average_precision_07, average_precision_12, best_matches, voc_metrics
from yolo.structs import Dataset


def devkit(dataset: Dataset, detections: DetectionColumns, label: int, iou: float) -> tuple[float, float]:
    """VOCevaldet.m of one class, line by line; (11-point, every-point) average precision."""
    truth = np.flatnonzero(dataset.labels == label)
    positives = int((~dataset.ignore[truth]).sum())
    mine = np.flatnonzero(detections.labels == label)
    mine = mine[np.argsort(-detections.scores[mine], kind="stable")]
    taken: set[int] = set()
    right, wrong = np.zeros(len(mine)), np.zeros(len(mine))
    for place, row in enumerate(mine):
        best, best_truth = -np.inf, -1
        a = detections.boxes[row].astype(float)
        for index in truth:
            if dataset.box_pictures[index] != detections.pictures[row]:
                continue
            b = dataset.boxes[index].astype(float)
            width = min(a[2], b[2]) - max(a[0], b[0])
            height = min(a[3], b[3]) - max(a[1], b[1])
            if width > 0 and height > 0:
                union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
                if width * height / union > best:
                    best, best_truth = width * height / union, index
        if best >= iou:
            if not dataset.ignore[best_truth]:
                if best_truth in taken:
                    wrong[place] = 1
                else:
                    right[place] = 1
                    taken.add(best_truth)
        else:
            wrong[place] = 1
    return devkit_curves(np.cumsum(right), np.cumsum(wrong), positives)


def devkit_curves(right: NDArray, wrong: NDArray, positives: int) -> tuple[float, float]:
    if positives == 0:
        return np.nan, np.nan
    recall = right / positives
    precision = np.array([r / (r + w) if r + w else 0.0 for r, w in zip(right, wrong, strict=True)])
    eleven = 0.0
    for tenth in range(11):
        reached = precision[recall >= tenth / 10 - 1e-12]
        eleven += (reached.max() if len(reached) else 0.0) / 11
    recalls = np.concatenate([[0], recall, [1]])
    precisions = np.concatenate([[0], precision, [0]])
    for index in range(len(precisions) - 2, -1, -1):
        precisions[index] = max(precisions[index], precisions[index + 1])
    change = np.flatnonzero(recalls[1:] != recalls[:-1]) + 1
    return eleven, float(((recalls[change] - recalls[change - 1]) * precisions[change]).sum())


# Few positions, sizes and scores, so that equal overlaps, duplicates and tied scores are common.
corner = st.integers(0, 4).map(lambda value: 4.0 * value)
side = st.sampled_from([4.0, 6.0, 8.0, 12.0])


@st.composite
def boxes(draw: st.DrawFn) -> tuple[float, ...]:
    x, y = draw(corner), draw(corner)
    return x, y, x + draw(side), y + draw(side)


truths = st.tuples(st.integers(0, 2), st.integers(0, 1), boxes(), st.booleans())
found = st.tuples(st.integers(0, 2), st.integers(0, 1), boxes(), st.sampled_from([0.1, 0.5, 0.5, 0.9]))


@settings(max_examples=400, deadline=None)
@given(st.lists(truths, max_size=12), st.lists(found, max_size=25), st.sampled_from([0.3, 0.5, 0.75]))
def test_equals_the_development_kit(truth_rows, found_rows, iou):
    dataset = make_dataset([(p, c, *box, d) for p, c, box, d in truth_rows], pictures=3)
    detections = make_detections([(p, c, *box, s) for p, c, box, s in found_rows])
    result = voc_metrics(dataset, detections, iou=iou)
    expected = np.array([devkit(dataset, detections, label, iou) for label in range(2)])
    np.testing.assert_allclose(result.ap07, expected[:, 0], atol=1e-12)
    np.testing.assert_allclose(result.ap12, expected[:, 1], atol=1e-12)


def test_matching_in_chunks_is_the_same(monkeypatch):
    random = np.random.default_rng(0)
    corners = random.uniform(0, 50, (300, 2))
    rows = np.concatenate([corners, corners + random.uniform(5, 40, (300, 2))], axis=1)
    dataset = make_dataset([(i % 3, i % 2, *row, 0) for i, row in enumerate(rows[:100])], pictures=3)
    detections = make_detections([(i % 3, i % 2, *row, 0.5) for i, row in enumerate(rows[100:])])
    whole = best_matches(dataset, detections, iou=0.3)
    monkeypatch.setattr(pairs, "CHUNK", 7)
    np.testing.assert_array_equal(best_matches(dataset, detections, iou=0.3), whole)
    assert (whole >= 0).sum() > 50


@pytest.mark.parametrize(
    ("right", "truths", "ap07", "ap12"),
    [
        ([1, 1], 2, 1.0, 1.0),  # all found, nothing else
        ([], 3, 0.0, 0.0),  # nothing found
        ([0, 0], 3, 0.0, 0.0),  # only wrong ones
        ([1, 0, 1], 2, (6 * 1 + 5 * 2 / 3) / 11, 0.5 + 0.5 * 2 / 3),  # precisions 1, 1/2, 2/3
        ([0, 1], 1, 0.5, 0.5),  # a wrong one above the right one
        ([1, 1, 1], 10, 4 / 11, 0.3),  # recall 3/10 reaches the points 0, 0.1, 0.2 and 0.3
    ],
)
def test_average_precision_by_hand(right, truths, ap07, ap12):
    verdicts = np.array(right, bool)
    assert average_precision_07(verdicts, truths) == pytest.approx(ap07, abs=1e-12)
    assert average_precision_12(verdicts, truths) == pytest.approx(ap12, abs=1e-12)


def test_difficult_boxes_count_neither_way():
    dataset = make_dataset([(0, 0, 0, 0, 10, 10, False), (0, 0, 20, 20, 30, 30, True)], pictures=1)
    alone = make_detections([(0, 0, 0, 0, 10, 10, 0.5)])
    both = make_detections([(0, 0, 20, 20, 30, 30, 0.9), (0, 0, 20, 20, 30, 30, 0.8), (0, 0, 0, 0, 10, 10, 0.5)])
    for detections in (alone, both):
        assert voc_metrics(dataset, detections).map12 == 1.0
        assert voc_metrics(dataset, detections).map07 == 1.0


def test_duplicates_are_wrong_and_do_not_fall_back_to_the_next_box():
    dataset = make_dataset([(0, 0, 0, 0, 10, 10, False), (0, 0, 0, 3, 10, 13, False)], pictures=1)
    twice = make_detections([(0, 0, 0, 0, 10, 10, 0.9), (0, 0, 0, 0, 10, 10, 0.8)])
    assert voc_metrics(dataset, twice, iou=0.5).map12 == 0.5


def test_classes_without_a_box_are_undefined_and_left_out_of_the_mean():
    dataset = make_dataset([(0, 0, 0, 0, 10, 10, False), (0, 1, 0, 0, 9, 9, True)], pictures=1)
    result = voc_metrics(dataset, make_detections([(0, 0, 0, 0, 10, 10, 0.9), (0, 1, 50, 50, 60, 60, 0.9)]))
    assert result.map07 == result.map12 == 1.0
    assert np.isnan(result.ap07[1])
    assert np.isnan(voc_metrics(make_dataset([], pictures=1), make_detections([])).map12)


def test_boxes_without_area_match_nothing():
    dataset = make_dataset([(0, 0, 5, 5, 5, 5, False)], pictures=1)
    assert voc_metrics(dataset, make_detections([(0, 0, 5, 5, 5, 5, 0.9)])).map12 == 0.0


def sample(shared: Path) -> dict:
    return json.loads((shared / "data/voceval/sample.json").read_text())


def test_published_sample(shared):
    """rafaelpadilla/Object-Detection-Metrics; its inclusive pixels make each box one wider here."""
    given_data = sample(shared)

    def corners(box: list[float]) -> tuple[float, ...]:
        return box[0], box[1], box[0] + box[2] + 1, box[1] + box[3] + 1

    rows = [(item["image_id"] - 1, 0, *corners(item["bbox"]), 0) for item in given_data["ground_truth"]]
    dataset = make_dataset(rows, pictures=7, classes=("object",))
    detections = make_detections(
        [(item["image_id"] - 1, 0, *corners(item["bbox"]), item["score"]) for item in given_data["detections"]]
    )
    result = voc_metrics(dataset, detections, iou=given_data["iou_threshold"])
    assert result.map07 == pytest.approx(given_data["ap_11_point"], abs=5e-5)
    assert result.map12 == pytest.approx(given_data["ap_every_point"], abs=1e-4)  # published as 24.56 %, cut
