"""NMS: chains by hand, limits, and TensorFlow's own on thousands of random cases."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from yolo.config import NmsConfig
from yolo.ops.decode import Predictions
from yolo.ops.nms import suppress


def run(boxes, scores, **options):
    """Kept of one picture: boxes (P, 4), scores (P, C)."""
    scores = np.asarray(scores, np.float32)
    predictions = Predictions(
        boxes=np.asarray(boxes, np.float32)[None],
        objectness=np.ones((1, len(scores)), np.float32),
        classes=scores[None],
    )
    kept = suppress(Predictions(*map(keras.ops.convert_to_tensor, predictions)), NmsConfig(**options))
    kept = type(kept)(*(keras.ops.convert_to_numpy(part)[0] for part in kept))
    return [
        (round(float(score), 4), int(label), box.tolist())
        for box, score, label, valid in zip(kept.boxes, kept.scores, kept.labels, kept.valid, strict=True)
        if valid
    ]


A, B, C = [0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 6.5]
"""IoU of A and B is 0.8, of B and C 0.8125, of A and C 0.65."""


def test_a_suppressed_box_suppresses_nothing():
    found = run([A, B, C], [[0.9], [0.8], [0.7]], iou=0.7)
    assert found == [(0.9, 0, A), (0.7, 0, C)]


def test_the_overlap_has_to_be_above_the_threshold():
    half = [0, 0, 10, 5]  # IoU with A is exactly 0.5
    assert len(run([A, half], [[0.9], [0.8]], iou=0.5)) == 2
    assert len(run([A, half], [[0.9], [0.8]], iou=0.49)) == 1


def test_classes_suppress_their_own_unless_asked_otherwise():
    scores = [[0.9, 0.0], [0.0, 0.8]]
    assert [row[:2] for row in run([A, B], scores)] == [(0.9, 0), (0.8, 1)]
    assert [row[:2] for row in run([A, B], scores, class_agnostic=True)] == [(0.9, 0)]


def test_one_box_may_have_several_classes():
    assert [row[:2] for row in run([A], [[0.6, 0.5, 0.1]])] == [(0.6, 0), (0.5, 1)]


def test_the_threshold_is_part_of_what_passes():
    found = run([A, [20, 20, 30, 30]], [[0.5], [0.4999]], conf=0.5)
    assert found == [(0.5, 0, A)]


def test_objectness_multiplies():
    predictions = Predictions(
        *map(
            keras.ops.convert_to_tensor,
            (np.array([[A]], np.float32), np.array([[0.5]], np.float32), np.array([[[0.8]]], np.float32)),
        )
    )
    kept = suppress(predictions, NmsConfig())
    assert keras.ops.convert_to_numpy(kept.scores)[0, 0] == pytest.approx(0.4)


def test_limits_keep_the_best():
    boxes = [[20 * i, 0, 20 * i + 10, 10] for i in range(6)]
    scores = [[0.3], [0.9], [0.5], [0.8], [0.4], [0.6]]
    assert [row[0] for row in run(boxes, scores, max_detections=3)] == [0.9, 0.8, 0.6]
    assert [row[0] for row in run(boxes, scores, max_candidates=2)] == [0.9, 0.8]


def test_candidates_are_the_best_pairs_not_the_best_boxes():
    boxes = [[20 * i, 0, 20 * i + 10, 10] for i in range(3)]
    scores = [[0.9, 0.8], [0.7, 0.3], [0.6, 0.5]]
    found = run(boxes, scores, max_candidates=4)
    assert [row[:2] for row in found] == [(0.9, 0), (0.8, 1), (0.7, 0), (0.6, 0)]


def test_nothing_above_the_threshold_is_nothing():
    assert run([A, B], [[0.1], [0.2]]) == []


def random_cases(seed, count, boxes):
    """Boxes on a coarse grid, so that overlaps on the threshold occur; no two scores of a case are equal."""
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 12, (count, boxes, 2))
    corners = np.concatenate([corner, corner + rng.integers(1, 9, corner.shape)], -1).astype(np.float32)
    scores = (rng.permuted(np.tile(np.arange(boxes), (count, 1)), axis=1) + 1) / (boxes + 1)
    return corners, scores.astype(np.float32)


@pytest.mark.parametrize(("boxes", "iou"), [(5, 0.5), (20, 0.5), (40, 0.3), (60, 0.7), (60, 0.0)])
def test_it_is_tensorflows_greedy_result(boxes, iou):
    corners, scores = random_cases(boxes, 500, boxes)
    predictions = Predictions(
        *map(keras.ops.convert_to_tensor, (corners, scores, np.ones((500, boxes, 1), np.float32)))
    )
    kept = suppress(predictions, NmsConfig(conf=0.3, iou=iou, max_detections=boxes))
    kept_scores, valid = (keras.ops.convert_to_numpy(part) for part in (kept.scores, kept.valid))
    for case in range(500):
        # Its threshold compares with >, as ours; boxes may be given as corners in any axis order.
        expected = tf.image.non_max_suppression(corners[case], scores[case], boxes, iou, 0.2999)
        np.testing.assert_allclose(kept_scores[case][valid[case]], scores[case][expected.numpy()], rtol=1e-6)


def test_of_equal_scores_the_first_box_comes_first():
    """As in TensorFlow's, on 1000 cases of 30 boxes with eight different scores."""
    corners, _ = random_cases(3, 1000, 30)
    scores = (np.random.default_rng(3).integers(1, 9, (1000, 30)) / 8).astype(np.float32)
    predictions = Predictions(*map(keras.ops.convert_to_tensor, (corners, scores, np.ones((1000, 30, 1), np.float32))))
    kept = suppress(predictions, NmsConfig(conf=0.25, iou=0.5))
    boxes, valid = (keras.ops.convert_to_numpy(part) for part in (kept.boxes, kept.valid))
    for case in range(1000):
        expected = tf.image.non_max_suppression(corners[case], scores[case], 30, 0.5, 0.2499).numpy()
        np.testing.assert_array_equal(boxes[case][valid[case]], corners[case, expected])


def test_across_classes_it_is_tensorflows_result_over_all_pairs():
    corners, _ = random_cases(4, 300, 20)
    rng = np.random.default_rng(4)
    scores = rng.permuted(np.tile(np.linspace(0.01, 0.99, 60, dtype=np.float32), (300, 1)), axis=1).reshape(300, 20, 3)
    predictions = Predictions(*map(keras.ops.convert_to_tensor, (corners, np.ones((300, 20), np.float32), scores)))
    kept = suppress(predictions, NmsConfig(conf=0.2, iou=0.4, class_agnostic=True))
    boxes, labels, valid = (keras.ops.convert_to_numpy(part) for part in (kept.boxes, kept.labels, kept.valid))
    for case in range(300):
        pairs = np.repeat(corners[case], 3, axis=0)
        expected = tf.image.non_max_suppression(pairs, scores[case].ravel(), 60, 0.4, 0.2).numpy()
        np.testing.assert_array_equal(boxes[case][valid[case]], pairs[expected])
        np.testing.assert_array_equal(labels[case][valid[case]], expected % 3)


def test_several_classes_are_tensorflows_result_class_by_class():
    rng = np.random.default_rng(1)
    corners, _ = random_cases(2, 200, 30)
    scores = rng.permuted(np.tile(np.linspace(0.01, 0.99, 90, dtype=np.float32), (200, 1)), axis=1).reshape(200, 30, 3)
    predictions = Predictions(*map(keras.ops.convert_to_tensor, (corners, np.ones((200, 30), np.float32), scores)))
    kept = suppress(predictions, NmsConfig(conf=0.2, iou=0.4))
    kept_scores, labels, valid = (keras.ops.convert_to_numpy(part) for part in (kept.scores, kept.labels, kept.valid))
    for case in range(200):
        for label in range(3):
            chosen = tf.image.non_max_suppression(corners[case], scores[case, :, label], 30, 0.4, 0.2).numpy()
            ours = kept_scores[case][valid[case] & (labels[case] == label)]
            np.testing.assert_allclose(ours, scores[case, chosen, label], rtol=1e-6)
