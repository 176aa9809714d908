"""The confusion matrix by hand, by plain loops, and by hotcoco where no detection has a choice."""

from __future__ import annotations

import numpy as np
import pytest
from detection_cases import random_case
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import make_dataset, make_detections

from yolo.analysis.confusion import confusion_matrix
from yolo.evaluation.coco_columns import image_ranks, to_xywh
from yolo.evaluation.matching import match
from yolo.evaluation.pairs import pair_overlaps
from yolo.evaluation.results import DetectionColumns

SIDE = 10


def plain(dataset, detections, conf, iou):
    """The rule once more, one detection after the other."""
    size = len(dataset.classes)
    counts = np.zeros((size + 1, size + 1), int)
    pictures, ranks, free = dataset.box_pictures, image_ranks(dataset), set(range(len(dataset.boxes)))
    order = [row for row in range(len(detections)) if detections.scores[row] >= conf[detections.labels[row]]]
    order.sort(key=lambda row: (-detections.scores[row], ranks[detections.pictures[row]]))
    left = []

    def overlaps(row, boxes):
        found = np.repeat(detections.boxes[row][None], len(boxes), axis=0)
        return pair_overlaps(found, dataset.boxes[boxes], dataset.ignore[boxes]).tolist()

    def take(row, *, same, ignored):
        label = detections.labels[row]
        boxes = [
            box
            for box in range(len(pictures))
            if pictures[box] == detections.pictures[row]
            and (not same or dataset.labels[box] == label)
            and dataset.ignore[box] == ignored
            and (ignored or box in free)
        ]
        best = max(zip(overlaps(row, boxes), boxes, strict=True), default=(0, None))
        return best[1] if best[0] >= iou else None

    for row in order:
        box = take(row, same=True, ignored=False)
        if box is not None:
            free.discard(box)
            counts[dataset.labels[box], dataset.labels[box]] += 1
        elif take(row, same=True, ignored=True) is None:
            left.append(row)
    for row in left:
        box = take(row, same=False, ignored=False)
        free.discard(box)
        counts[size if box is None else dataset.labels[box], detections.labels[row]] += 1
    for box in free:
        counts[dataset.labels[box], size] += not dataset.ignore[box]
    return counts


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9), st.sampled_from([0.1, 0.5, 0.75]))
def test_the_matrix_is_that_of_plain_loops(seed, iou):
    dataset, detections = random_case(seed)
    if len(detections) > 100:
        return
    conf = np.random.default_rng(seed).choice([0.0, 0.3, 0.6], len(dataset.classes))
    confusion = confusion_matrix(dataset, detections, conf=conf, iou=iou)
    np.testing.assert_array_equal(confusion.counts, plain(dataset, detections, conf, iou))
    own = match(dataset, detections, ious=(iou,))
    kept = own.scores >= conf[own.labels]
    hits = np.bincount(own.labels[kept & own.right[0]], minlength=len(conf))
    np.testing.assert_array_equal(np.diag(confusion.counts)[:-1], hits)
    np.testing.assert_array_equal(confusion.counts[:-1].sum(axis=1), own.true_counts)


def test_by_hand():
    """A hit, a dog found as a cat, a missed cat, a detection of nothing, one below the threshold."""
    dataset = make_dataset(
        [(0, 0, 0, 0, 10, 10, False), (0, 1, 20, 0, 30, 10, False), (1, 0, 0, 0, 10, 10, False)], pictures=2
    )
    found = make_detections(
        [
            (0, 0, 0, 0, 10, 10, 0.9),
            (0, 0, 20, 0, 30, 9, 0.8),
            (0, 1, 50, 50, 60, 60, 0.7),
            (1, 0, 0, 0, 10, 10, 0.2),
        ]
    )
    confusion = confusion_matrix(dataset, found, conf=0.5)
    assert confusion.counts.tolist() == [[1, 0, 1], [1, 0, 0], [0, 1, 0]]
    assert confusion.shares.tolist() == [[0.5, 0, 0.5], [1, 0, 0], [0, 1, 0]]
    assert confusion.most_confused() == [("dog", "cat", 1)]
    assert confusion.rule.startswith("Detections that score at least 0.5, best first.")
    assert confusion.to_dict()["counts"] == confusion.counts.tolist()
    looser = confusion_matrix(dataset, found, conf=(0.2, 0.9))
    assert looser.counts.tolist() == [[2, 0, 0], [1, 0, 0], [0, 0, 0]]
    assert "the threshold of their class" in looser.rule


def test_a_detection_keeps_to_its_own_class_though_it_overlaps_another_more():
    dataset = make_dataset([(0, 0, 0, 0, 10, 10, False), (0, 1, 0, 2, 10, 10, False)], pictures=1)
    found = make_detections([(0, 0, 0, 2, 10, 10, 0.9), (0, 1, 0, 2, 10, 10, 0.8)])
    assert confusion_matrix(dataset, found, conf=0).counts.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]


def test_ignored_boxes_absorb_any_number_of_detections_of_their_class():
    dataset = make_dataset([(0, 0, 0, 0, 50, 50, True)], pictures=1)
    found = make_detections([(0, 0, 0, 0, 10, 10, 0.9), (0, 0, 20, 0, 30, 10, 0.8), (0, 1, 0, 0, 10, 10, 0.7)])
    assert confusion_matrix(dataset, found, conf=0).counts.tolist() == [[0, 0, 0], [0, 0, 0], [0, 1, 0]]


def test_the_matrix_without_detections_or_boxes():
    dataset = make_dataset([(0, 1, 0, 0, 5, 5, False)], pictures=1)
    assert confusion_matrix(dataset, make_detections([]), conf=0.5).counts.tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 0]]
    empty = make_dataset([], pictures=1)
    found = make_detections([(0, 1, 0, 0, 5, 5, 0.6)])
    assert confusion_matrix(empty, found, conf=0.5).counts.tolist() == [[0, 0, 0], [0, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize("seed", range(3))
def test_hotcoco_counts_the_same_where_each_box_has_one_detection(seed):
    from hotcoco import COCO, COCOeval

    rng = np.random.default_rng(seed)
    cells = [(picture, 2 * SIDE * column) for picture in range(6) for column in range(8)]
    boxes = [(picture, int(rng.integers(2)), x, 0, x + SIDE, SIDE, False) for picture, x in cells if rng.random() < 0.7]
    rows = [
        (picture, int(rng.integers(2)), x, 0, x + SIDE, int(rng.integers(3, SIDE + 1)), round(float(rng.random()), 3))
        for picture, x in cells
        if rng.random() < 0.7
    ]
    dataset, found = make_dataset(boxes, pictures=6), make_detections(rows)
    truth = [
        {"id": 1 + row, "image_id": 1 + row_picture, "category_id": 1 + label, "bbox": box, "area": 1, "iscrowd": 0}
        for row, (row_picture, label, box) in enumerate(
            zip(dataset.box_pictures.tolist(), dataset.labels.tolist(), to_xywh(dataset.boxes).tolist(), strict=True)
        )
    ]
    official = COCO(
        {
            "images": [{"id": 1 + image, "width": 300, "height": 300} for image in range(6)],
            "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
            "annotations": truth,
        }
    )
    entries = [
        {"image_id": 1 + picture, "category_id": 1 + label, "bbox": box, "score": score}
        for picture, label, box, score in zip(
            found.pictures.tolist(), found.labels.tolist(), to_xywh(found.boxes).tolist(), found.scores, strict=True
        )
    ]
    matrix = COCOeval(official, official.load_res(entries), "bbox").confusion_matrix(min_score=0.3)["matrix"]
    own = confusion_matrix(dataset, found, conf=0.3).counts
    np.testing.assert_array_equal(own, matrix.astype(int))
    assert (own > 0).sum() >= 6


def test_detections_in_any_order_give_the_same_matrix():
    dataset, detections = random_case(7)
    order = np.random.default_rng(0).permutation(len(detections))
    columns = (detections.pictures, detections.labels, detections.scores + np.arange(len(order)) * 1e-6)
    first = DetectionColumns(*columns, detections.boxes)
    other = DetectionColumns(*(column[order] for column in columns), detections.boxes[order])
    counts = [confusion_matrix(dataset, each, conf=0).counts for each in (first, other)]
    np.testing.assert_array_equal(*counts)
