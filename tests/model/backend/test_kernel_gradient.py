"""Gradient of a convolution's kernel as nine matrix products."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from yolo.model.backend import kernel_gradient
from yolo.model.backend.kernel_gradient import convolve, products_are_faster
from yolo.model.networks.layers import Convolution


def case(height, width, channels=3, filters=5, batch=2):
    """Whole numbers, whose sums are exact in float32: inputs and kernel."""
    rng = np.random.default_rng(0)
    inputs, kernel = (
        tf.constant(rng.integers(-4, 5, shape), tf.float32)
        for shape in ((batch, height, width, channels), (3, 3, channels, filters))
    )
    return inputs, kernel


def outputs_and_gradients(function, *values):
    """Output, and gradients of its sum weighted by whole numbers."""
    with tf.GradientTape() as tape:
        tape.watch(values)
        outputs = function(*values)
        weights = tf.constant(np.random.default_rng(1).integers(-4, 5, outputs.shape), tf.float32)
        loss = tf.reduce_sum(outputs * tf.cast(weights, outputs.dtype))
    return [outputs, *tape.gradient(loss, values)]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("height", "width"), [(2, 2), (4, 4), (6, 4), (2, 8)])
def test_outputs_and_gradients_are_those_of_tensorflow(height, width, stride):
    def plain(inputs, kernel):
        return tf.nn.conv2d(tf.pad(inputs, [[0, 0], [1, 1], [1, 1], [0, 0]]), kernel, stride, "VALID")

    values = case(height, width)
    expected = outputs_and_gradients(plain, *values)
    for ours, theirs in zip(
        outputs_and_gradients(lambda *each: convolve(*each, stride), *values), expected, strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_odd_maps_without_strides_and_a_batch_of_unknown_size():
    values = case(5, 3)
    expected = outputs_and_gradients(lambda x, w: tf.nn.conv2d(x, w, 1, "SAME"), *values)

    @tf.function(input_signature=[tf.TensorSpec((None, 5, 3, 3)), tf.TensorSpec((3, 3, 3, 5))])
    def ours(inputs, kernel):
        return convolve(inputs, kernel, 1)

    for found, wanted in zip(outputs_and_gradients(ours, *values), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("shape", "dtype", "stride", "expected"),
    [
        ((8, 13, 13, 512), "bfloat16", 1, True),
        ((8, 20, 20, 256), "bfloat16", 1, True),
        ((8, 21, 20, 256), "bfloat16", 1, False),  # large
        ((8, 13, 13, 255), "bfloat16", 1, False),  # thin
        ((8, 104, 104, 128), "bfloat16", 2, True),
        ((8, 104, 104, 127), "bfloat16", 2, False),
        ((8, 27, 26, 512), "bfloat16", 2, False),  # odd
        ((8, 13, 13, 512), "float32", 1, False),
        ((8, 26, 26, 512), "float32", 2, False),
        ((8, None, None, 512), "bfloat16", 2, False),
        ((8, 12, 12, 512), "bfloat16", 3, False),
    ],
)
def test_where_the_products_are_faster(shape, dtype, stride, expected, monkeypatch):
    monkeypatch.setattr(kernel_gradient, "accelerator", lambda: "cpu")
    assert products_are_faster(keras.KerasTensor(shape, dtype), stride) == expected


def test_accelerators_keep_their_own(monkeypatch):
    monkeypatch.setattr(kernel_gradient, "accelerator", lambda: "gpu")
    assert not products_are_faster(keras.KerasTensor((8, 13, 13, 512), "bfloat16"), 1)


@pytest.mark.parametrize("strides", [1, 2])
def test_the_layer_trains_as_without_them(strides, monkeypatch):
    """In bfloat16, the layer's gradients differ by rounding only; some processors round every sum."""
    layer = Convolution(8, 3, strides, dtype="mixed_bfloat16", seed=0)
    inputs = tf.constant(np.random.default_rng(0).normal(size=(2, 6, 6, 256)), tf.bfloat16)
    layer.build(inputs.shape)
    used = []
    monkeypatch.setattr("yolo.model.networks.layers.convolve", lambda *each: used.append(each[-1]) or convolve(*each))

    def gradients(faster):
        monkeypatch.setattr("yolo.model.networks.layers.products_are_faster", lambda *_: faster)
        with tf.GradientTape() as tape:
            outputs = layer(inputs, training=True)
            loss = tf.reduce_sum(tf.cast(outputs, tf.float32) ** 3)
        return [outputs, *tape.gradient(loss, [each.value for each in layer.trainable_variables])]

    ours, theirs = gradients(True), gradients(False)
    assert used == [strides]
    np.testing.assert_array_equal(ours[0], theirs[0])
    for found, wanted in zip(ours[1:], theirs[1:], strict=True):
        assert found.dtype == wanted.dtype == tf.float32
        assert np.linalg.norm(found - wanted) < 2**-6 * np.linalg.norm(wanted)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 1),
        ({"strides": 2}, 2),
        ({"strides": (2, 1)}, 0),
        ({"kernel_size": 1}, 0),
        ({"padding": 0}, 0),
        ({"groups": 2}, 0),
        ({"batch_norm": False}, 0),  # a bias
        ({"depthwise": True}, 0),
    ],
)
def test_which_convolutions_may_use_them(options, expected):
    assert Convolution(4, **{"kernel_size": 3, **options}).stride_of_square == expected
