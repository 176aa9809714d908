"""Receptive fields against impulses: a row or column reaches a cell if the cell answers to it."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers
from runtime_models import narrow_detector

from yolo.explaining.layers import layer_outputs
from yolo.explaining.receptive_field import Field, effective_field, receptive_field
from yolo.model.networks.layers import Convolution, MaxPool

SIDE = 24


def conv(kernel, **options):
    return layers.Conv2D(1, kernel, kernel_initializer="ones", use_bias=False, **options)


def branches(x):
    wide = conv(3, padding="same", dilation_rate=3)(x)
    return layers.UpSampling2D(2)(
        layers.concatenate([conv(5, strides=2, padding="same")(x), wide[:, ::1][:, :12, :12]])
    )


def squeezed(x):
    return layers.multiply([conv(3, padding="same")(x), layers.GlobalAveragePooling2D(keepdims=True)(x)])


NETWORKS = {
    "same": lambda x: conv(5, padding="same")(conv(3, padding="same")(x)),
    "valid": lambda x: conv(3, strides=2)(conv(4)(x)),
    "strides": lambda x: conv(3, strides=2, padding="same")(conv(3, strides=3, padding="same")(x)),
    "dilation": lambda x: conv(3, dilation_rate=2, padding="same")(conv(1, strides=2)(x)),
    "oblong": lambda x: conv(1)(conv((1, 5), padding="same")(x)),
    "pools": lambda x: layers.MaxPooling2D(3, 2, padding="same")(layers.AveragePooling2D(2)(x)),
    "darknet's": lambda x: MaxPool(2, (2, 2), 1)(MaxPool(3, (1, 1), 2)(x)),
    "upsampling": lambda x: conv(3, padding="same")(layers.UpSampling2D(2)(conv(3, strides=4, padding="same")(x))),
    "padding": lambda x: conv(3)(layers.ZeroPadding2D(((1, 1), (0, 2)))(x)),
    "depthwise": lambda x: conv(1)(layers.DepthwiseConv2D(3, depthwise_initializer="ones", padding="same")(x)),
    "sum": lambda x: layers.add([x, conv(7, padding="same")(x)]),
    "nested": lambda x: conv(1)(keras.Sequential([layers.Input((SIDE, SIDE, 1)), conv(3, strides=2), conv(3)])(x)),
    "product": squeezed,
}


def by_impulses(network, output, cell):
    """Smallest rectangle of the rows and columns whose ones alone the cell answers to."""
    height, width, channels = network.inputs[0].shape[1:]
    answers = keras.Model(network.inputs[0], output)
    ends = []
    for axis, length in ((1, height), (2, width)):
        images = np.zeros((length, height, width, channels), np.float32)
        for index in range(length):
            images[(index, index) if axis == 1 else (index, slice(None), index)] = 1.0
        found = np.asarray(answers(images))[:, cell[0], cell[1]].any(axis=-1)
        ends.append((int(np.flatnonzero(found)[0]), int(np.flatnonzero(found)[-1]) + 1))
    (y1, y2), (x1, x2) = ends
    return Field(x1, y1, x2, y2)


@pytest.mark.parametrize("name", NETWORKS)
def test_cells_in_the_middle_and_at_the_edges(name):
    inputs = keras.Input((SIDE, SIDE, 1))
    outputs = NETWORKS[name](inputs)
    network = keras.Model(inputs, outputs)
    rows, columns = outputs.shape[1:3]
    for cell in ((0, 0), (rows // 2, columns // 2), (rows - 1, columns - 1), (0, columns - 2)):
        if name == "product":  # an impulse in one factor alone gives 0
            assert receptive_field(network, outputs, cell) == Field(0, 0, SIDE, SIDE)
        else:
            assert receptive_field(network, outputs, cell) == by_impulses(network, outputs, cell)


@pytest.mark.parametrize(("stride", "size"), [(1, 3), (2, 3), (2, 5)])
def test_our_convolution_pads_all_sides(stride, size):
    inputs = keras.Input((SIDE, SIDE, 1))
    layer = Convolution(1, size, stride, activation="linear", batch_norm=False)
    outputs = layer(inputs)
    layer.convolution.kernel.assign(np.ones(layer.convolution.kernel.shape))
    network = keras.Model(inputs, outputs)
    for cell in ((0, 0), (4, 5), (outputs.shape[1] - 1, 0)):
        assert receptive_field(network, outputs, cell) == by_impulses(network, outputs, cell)


def test_a_whole_detector():
    """yolov3-tiny's layers, with positive weights so that nothing cancels."""
    detector = narrow_detector(["a"], size=64, share=16)
    for layer in detector.convolutions:
        layer.convolution.kernel.assign(np.full(layer.convolution.kernel.shape, 0.1))
        if not layer.batch_norm:
            layer.convolution.bias.assign(np.zeros(layer.convolution.bias.shape))
    known = layer_outputs(detector.network)
    for name in ("conv_0", "conv_3", "conv_7", "conv_12"):
        cell = (known[name].shape[1] - 1, 1)
        assert receptive_field(detector.network, known[name], cell) == by_impulses(detector.network, known[name], cell)


def test_the_field_of_three_convolutions_by_hand():
    inputs = keras.Input((32, 32, 3))
    outputs = conv(3, padding="same")(conv(3, strides=2, padding="same")(conv(3, padding="same")(inputs)))
    # 3 cells of the last, 2 apart: 3 * 2 + 1 pixels of the first, and one more on each side
    assert receptive_field(keras.Model(inputs, outputs), outputs, (8, 8)).size == (9, 9)


def test_a_cell_outside_is_a_mistake_of_ours():
    inputs = keras.Input((8, 8, 3))
    outputs = conv(3, padding="same")(inputs)
    with pytest.raises(ValueError, match=r"expected a cell in 0\.\.7, got 8"):
        receptive_field(keras.Model(inputs, outputs), outputs, (8, 0))


def test_the_effective_field_leaves_out_the_tails():
    gradient = np.zeros((10, 100, 3), np.float32)
    gradient[4:6] = -1.0
    assert effective_field(gradient) == Field(2, 4, 98, 6)
    assert effective_field(np.zeros((4, 4, 3), np.float32)) == Field(0, 0, 0, 0)
