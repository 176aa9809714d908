"""Decoding of other heads: YOLOv2's classes, Scaled-YOLOv4's sizes, YOLOv4's centres."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from yolo.config import LossConfig
from yolo.ops.decode import decode
from yolo.ops.loss import yolo_loss
from yolo.ops.slots import Coding, make_slots

ANCHOR = np.array([[40, 20]], np.float32)


def slots_of(**coding):
    """One cell row of two cells of stride 32."""
    return make_slots((32, 64), (32,), [ANCHOR], Coding(**coding))


def maps_of(*rows):
    """A map (1, 1, 2, 1, 5 + C) of two slots' numbers."""
    return [ops.convert_to_tensor(np.array(rows, np.float32).reshape(1, 1, 2, 1, -1))]


def decoded(slots, *rows):
    return [ops.convert_to_numpy(part)[0] for part in decode(maps_of(*rows), slots)]


def test_squared_sizes_and_stretched_centres_by_hand():
    # sigmoid(log 3) = 3/4: centre (0.75 * 2 - 0.5, 0.25 * 2 - 0.5) + cell; sizes (2 * 3/4)^2 and (2 / 4)^2
    row = [np.log(3), -np.log(3), np.log(3), -np.log(3), 0, 0]
    boxes, objects, classes = decoded(slots_of(sizes="squared", scale_xy=(2.0,)), row, row)
    np.testing.assert_allclose(boxes, [[32 - 45, 0 - 2.5, 32 + 45, 2.5], [64 - 45, 0 - 2.5, 64 + 45, 2.5]], atol=1e-4)
    np.testing.assert_allclose([objects, classes[:, 0]], 0.5)


def test_classes_that_exclude_each_other():
    row = [0, 0, 0, 0, np.log(3), np.log(2), np.log(5), np.log(3)]
    _, objects, classes = decoded(slots_of(softmax=True), row, row)
    np.testing.assert_allclose(objects, 0.75, atol=1e-6)
    np.testing.assert_allclose(classes, [[0.2, 0.5, 0.3]] * 2, atol=1e-6)


def loss_of(slots, rows, box, label, /, **config):
    truth = {
        "boxes": np.array([[box]], np.float32),
        "labels": np.array([[label]], np.int32),
        "valid": np.array([[True]]),
        "ignore": np.array([[False]]),
    }
    truth = {key: ops.convert_to_tensor(value) for key, value in truth.items()}
    terms = yolo_loss(maps_of(*rows), slots, LossConfig(**config), **truth)
    return [float(ops.convert_to_numpy(term)[0]) for term in terms]


def test_softmax_class_loss_by_hand():
    row = [0, 0, 0, 0, 0, np.log(2), np.log(5), np.log(3)]
    _, _, classes = loss_of(slots_of(softmax=True), [row, row], [10, 10, 30, 30], 2)
    assert classes == pytest.approx(-2 * np.log(0.3), rel=1e-5)  # the weight of the class term is 2
    _, _, smoothed = loss_of(slots_of(softmax=True), [row, row], [10, 10, 30, 30], 2, label_smoothing=0.3)
    assert smoothed == pytest.approx(-2 * (0.8 * np.log(0.3) + 0.1 * np.log(0.5) + 0.1 * np.log(0.2)), rel=1e-5)


@pytest.mark.parametrize("loss", ["squared", "giou"])
def test_the_box_term_is_nothing_where_the_box_is_right(loss):
    # As in the first test: centre (32, 0)... moved down by sigmoid(log 3) on both axes: centre (32, 32), 90 x 5.
    row = [np.log(2), np.log(2), np.log(3), -np.log(3), 0, 0]
    box = [32 * (4 / 3 - 0.5) - 45, 32 * (4 / 3 - 0.5) - 2.5, 32 * (4 / 3 - 0.5) + 45, 32 * (4 / 3 - 0.5) + 2.5]
    slots = slots_of(sizes="squared", scale_xy=(2.0,))
    term, _, _ = loss_of(slots, [row, [0] * 6], box, 0, box=loss)
    assert term == pytest.approx(0, abs=1e-5)
    wrong, _, _ = loss_of(slots, [[1, *row[1:]], [0] * 6], box, 0, box=loss)
    assert wrong > 0.01


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's tape")
def test_the_gradient_of_squared_sizes_is_that_of_differences():
    import tensorflow as tf

    slots = slots_of(sizes="squared", scale_xy=(1.2,))
    rows = np.array([[0.3, -0.2, 0.4, 0.1, 0.5, -0.5], [0.1] * 6], np.float32)

    def total(values):
        truth = (tf.constant([[[8.0, 6, 50, 30]]]), tf.constant([[0]]), tf.constant([[True]]), tf.constant([[False]]))
        terms = yolo_loss(
            [tf.reshape(values, (1, 1, 2, 1, 6))],
            slots,
            LossConfig(box="ciou"),
            **dict(zip(("boxes", "labels", "valid", "ignore"), truth, strict=True)),
        )
        return sum(tf.reduce_sum(term) for term in terms)

    variable = tf.Variable(rows)
    with tf.GradientTape() as tape:
        loss = total(variable)
    slope = tape.gradient(loss, variable).numpy()
    for index in np.ndindex(rows.shape):
        step = np.zeros_like(rows)
        step[index] = 1e-2
        difference = float(total(tf.constant(rows + step)) - total(tf.constant(rows - step))) / 2e-2
        assert slope[index] == pytest.approx(difference, abs=2e-3)
