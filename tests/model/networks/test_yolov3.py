"""The networks: sizes, order and first weights."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from yolo.model.assembly import head_bias
from yolo.model.detector import Detector
from yolo.model.networks.layers import Convolution
from yolo.model.networks.yolov3 import VARIANTS

COCO = [f"class {index}" for index in range(80)]


def make(model, **options):
    return Detector(model, **{"classes": COCO, "size": 64, **options})


def convolutions(detector):
    """In the order of their numbers."""
    layers = [layer for layer in detector.network.layers if isinstance(layer, Convolution)]
    return sorted(layers, key=lambda layer: int(layer.name.removeprefix("conv_")))


@pytest.mark.parametrize(
    ("model", "parameters"), [("yolov3", 62_001_757), ("yolov3-spp", 63_052_381), ("yolov3-tiny", 8_858_734)]
)
def test_parameters(model, parameters):
    assert make(model).count_params() == parameters


@pytest.mark.parametrize(
    ("model", "shapes"),
    [
        ("yolov3", [(2, 3, 3, 7), (4, 6, 3, 7), (8, 12, 3, 7)]),
        ("yolov3-spp", [(2, 3, 3, 7), (4, 6, 3, 7), (8, 12, 3, 7)]),
        ("yolov3-tiny", [(2, 3, 3, 7), (4, 6, 3, 7)]),
    ],
)
def test_maps_of_a_rectangular_canvas_coarse_to_fine(model, shapes):
    detector = make(model, classes=["a", "b"], size=(64, 96))
    maps = detector(np.zeros((1, 64, 96, 3), np.uint8))
    assert [tuple(raw.shape[1:]) for raw in maps] == shapes
    assert all(keras.backend.standardize_dtype(raw.dtype) == "float32" for raw in maps)
    assert len(detector.slots) == sum(h * w * a for h, w, a, _ in shapes)


@pytest.mark.parametrize("model", VARIANTS)
def test_convolutions_stand_in_the_order_of_darknets_file(model, shared):
    sections = []
    for line in (shared / "data" / "darknet" / f"{model}.cfg").read_text().splitlines():
        if line.startswith("["):
            sections.append((line.strip(), {}))
        elif "=" in line and not line.startswith("#"):
            key, value = line.split("=")
            sections[-1][1][key.strip()] = value.strip()
    expected = [
        (int(o["filters"]), int(o["size"]), int(o["stride"]), o.get("batch_normalize") == "1")
        for kind, o in sections
        if kind == "[convolutional]"
    ]
    found = [
        (c.convolution.filters, c.convolution.kernel_size[0], c.convolution.strides[0], c.batch_norm is not None)
        for c in convolutions(make(model))
    ]
    assert found == expected


def test_stride_2_pads_all_four_sides():
    layer = Convolution(1, 3, 2, activation="linear", batch_norm=False)
    layer.build((None, 4, 4, 1))
    layer.convolution.set_weights([np.arange(9, dtype=np.float32).reshape(3, 3, 1, 1), np.zeros(1, np.float32)])
    picture = np.zeros((1, 4, 4, 1), np.float32)
    picture[0, 0, 0, 0] = 1  # lies under the kernel's middle, 4, when one row and column of padding stand before it
    found = ops.convert_to_numpy(layer(picture))[0, :, :, 0]
    np.testing.assert_array_equal(found, [[4, 0], [0, 0]])
    assert layer.compute_output_shape((1, 4, 4, 1)) == (1, 2, 2, 1)


def test_batch_norm_and_leaky_relu_by_hand():
    layer = Convolution(1, 1)
    layer.build((None, 1, 2, 1))
    layer.convolution.set_weights([np.ones((1, 1, 1, 1), np.float32)])
    # 3 (x - 1) / sqrt(4 + epsilon) + 0.5 in inference
    layer.batch_norm.set_weights([np.array([each], np.float32) for each in (3.0, 0.5, 1.0, 4.0)])
    found = ops.convert_to_numpy(layer(np.array([[[[3.0], [-1.0]]]], np.float32), training=False)).ravel()
    np.testing.assert_allclose(found, [3.5, -0.25], rtol=1e-5)


def test_batch_norm_in_training_is_keras_own():
    """Values, running statistics and gradients of the fused operation."""
    import tensorflow as tf

    from yolo.model.networks.layers import BatchNorm

    rng = np.random.default_rng(0)
    inputs = tf.constant(rng.normal(2, 3, (4, 5, 6, 7)).astype(np.float32))
    weights = tf.constant(rng.normal(0, 1, (4, 5, 6, 7)).astype(np.float32))
    results = []
    for kind in (BatchNorm, keras.layers.BatchNormalization):
        layer = kind(momentum=0.9, epsilon=1e-5)
        layer.build(inputs.shape)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs, training=True)
            total = tf.reduce_sum(outputs * weights)
        gradients = tape.gradient(total, [inputs, *layer.trainable_variables])
        results.append([outputs, layer.moving_mean, layer.moving_variance, *gradients])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=1e-3, atol=2e-4)


def test_equal_seeds_make_equal_networks():
    one, same, other = (make("yolov3-tiny", seed=seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not np.array_equal(one[0], other[0])
    kernels = [each.convolution.kernel for each in convolutions(make("yolov3-tiny"))]
    for kernel in kernels[1:9]:  # He: variance 2 / fan-in
        fan_in = np.prod(kernel.shape[:3])
        assert float(ops.std(kernel)) == pytest.approx(np.sqrt(2 / fan_in), rel=0.05)


def test_the_first_biases_are_the_priors():
    bias = head_bias(32, 3, 4, (416, 416))
    assert 1 / (1 + np.exp(-bias[4])) == pytest.approx(8 / (13 * 13 * 3), rel=1e-5)
    np.testing.assert_allclose(1 / (1 + np.exp(-bias[5:])), 0.25, rtol=1e-5)
    assert bias[:4].tolist() == [0, 0, 0, 0]
    head = convolutions(make("yolov3-tiny"))[9]
    np.testing.assert_array_equal(
        ops.convert_to_numpy(head.convolution.bias).reshape(3, 85)[1], head_bias(32, 3, 80, (64, 64))
    )
