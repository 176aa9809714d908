"""Box overlaps worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from yolo.ops import boxes as box_ops


def value(function, a, b):
    tensors = (ops.convert_to_tensor(np.array([each], np.float32)) for each in (a, b))
    return float(ops.convert_to_numpy(function(*tensors))[0])


SAME, UNIT, APART = [0, 0, 2, 2], [0, 0, 1, 1], [2, 0, 3, 1]


@pytest.mark.parametrize(
    ("name", "a", "b", "expected"),
    [
        ("iou", SAME, SAME, 1.0),
        ("iou", [0, 0, 2, 2], [1, 1, 3, 3], 1 / 7),
        ("iou", UNIT, [1, 0, 2, 1], 0.0),  # they touch
        ("iou", UNIT, UNIT[::-1], 0.0),  # an inverted box has no area
        ("giou", SAME, SAME, 1.0),
        ("giou", UNIT, APART, -1 / 3),  # 0 - (3 - 2) / 3
        ("giou", [0, 0, 2, 2], [1, 1, 3, 3], 1 / 7 - 2 / 9),
        ("diou", SAME, SAME, 1.0),
        ("diou", UNIT, APART, -4 / 10),  # centres 2 apart, diagonal squared 9 + 1
        ("diou", [0, 0, 4, 4], [1, 1, 3, 3], 0.25),  # one centre
        ("ciou", SAME, SAME, 1.0),
        ("ciou", [0, 0, 4, 4], [1, 1, 3, 3], 0.25),  # one shape
    ],
)
def test_known_overlaps(name, a, b, expected):
    assert value(getattr(box_ops, name), a, b) == pytest.approx(expected, abs=1e-6)
    assert value(getattr(box_ops, name), b, a) == pytest.approx(expected, abs=1e-6)


def test_ciou_by_the_formula():
    a, b = [0, 0, 4, 2], [0, 0, 2, 4]
    overlap = 4 / 12
    distance = (1 + 1) / 32  # centres (2, 1) and (1, 2), hull 4 x 4
    penalty = 4 / math.pi**2 * (math.atan(2) - math.atan(0.5)) ** 2
    expected = overlap - distance - penalty**2 / (1 - overlap + penalty)
    assert value(box_ops.ciou, a, b) == pytest.approx(expected, abs=1e-6)


def test_the_gradient_of_ciou_holds_the_weight_of_its_penalty_still():
    """Finite differences of the formula in float64, the weight taken once."""
    a, b = np.array([1.0, 2.0, 9.0, 5.0]), np.array([3.0, 1.0, 8.0, 11.0])

    def parts(box):
        width, height = (min(box[2 + i], b[2 + i]) - max(box[i], b[i]) for i in (0, 1))
        areas = [(each[2] - each[0]) * (each[3] - each[1]) for each in (box, b)]
        overlap = width * height / (sum(areas) - width * height)
        diagonal = sum((max(box[2 + i], b[2 + i]) - min(box[i], b[i])) ** 2 for i in (0, 1))
        distance = sum(((box[i] + box[2 + i] - b[i] - b[2 + i]) / 2) ** 2 for i in (0, 1))
        angles = [math.atan((each[2] - each[0]) / (each[3] - each[1])) for each in (box, b)]
        return overlap, distance / diagonal, 4 / math.pi**2 * (angles[0] - angles[1]) ** 2

    overlap, _, penalty = parts(a)
    weight = penalty / (1 - overlap + penalty)
    steps = np.eye(4) * 1e-6
    values = [[o - d - weight * p for o, d, p in (parts(a + step), parts(a - step))] for step in steps]
    variable = tf.constant(a, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        found = box_ops.ciou(variable, tf.constant(b, tf.float32))
    expected = [(up - down) / 2e-6 for up, down in values]
    np.testing.assert_allclose(tape.gradient(found, variable), expected, rtol=1e-4, atol=1e-6)


def test_pairwise_is_every_with_every():
    a, b = np.array([[0, 0, 2, 2], [1, 1, 3, 3]], np.float32), np.array([[0, 0, 2, 2], [0, 0, 1, 1], [9, 9, 10, 10]])
    found = ops.convert_to_numpy(box_ops.pairwise_iou(ops.convert_to_tensor(a), ops.convert_to_tensor(b, "float32")))
    np.testing.assert_allclose(found, [[1, 0.25, 0], [1 / 7, 0, 0]], atol=1e-6)


def test_shapes_overlap_as_if_centred():
    a = ops.convert_to_tensor(np.array([[2, 4], [3, 3]], np.float32))
    b = ops.convert_to_tensor(np.array([[4, 2], [1, 1]], np.float32))
    found = ops.convert_to_numpy(box_ops.shape_iou(a, b))
    np.testing.assert_allclose(found, [[4 / 12, 1 / 8], [6 / 11, 1 / 9]], atol=1e-6)


boxes = st.tuples(*[st.floats(-500, 500, width=32)] * 2, *[st.floats(0, 300, width=32)] * 2).map(
    lambda sides: [sides[0], sides[1], sides[0] + sides[2], sides[1] + sides[3]]
)


@settings(max_examples=60, deadline=None)
@given(boxes, boxes)
def test_overlaps_are_finite_and_ordered(a, b):
    iou, giou, diou, ciou = (value(getattr(box_ops, name), a, b) for name in ("iou", "giou", "diou", "ciou"))
    assert 0 <= iou <= 1 + 1e-5
    assert -1 - 1e-5 <= giou <= iou + 1e-5
    assert diou <= iou + 1e-5
    assert ciou <= diou + 1e-5
    assert diou >= -2.1
    assert math.isfinite(ciou)
