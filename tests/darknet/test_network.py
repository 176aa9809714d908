"""Networks of Darknet files on Keras, held against OpenCV's importer and against Darknet's C code as plain loops.

`references/` holds what OpenCV 4.14 computes for small networks (references/make.py); what it does not know (relu6,
several shortcut sources, strides that differ, scale_wh) and what is all about places (maxpool, reorg) has a
transcription here.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from cfg_texts import conv, draw_weights, sections
from keras import ops

import yolo
from yolo.darknet.plan import ACTIVATIONS, KINDS, make_plan
from yolo.darknet.weights import ConvolutionWeights
from yolo.model.networks import layers as model_layers
from yolo.model.networks.from_cfg import _convolution, _other
from yolo.model.networks.layers import Convolutions, MaxPool, Reorganize
from yolo.ops.decode import decode
from yolo.weights.darknet_files import set_weights

REFERENCES = sorted((Path(__file__).parents[1] / "references").glob("*.npz"))
TOLERANCE = 1e-4
"""Of an array's largest magnitude; measured: 1.3e-6 at most."""


def assert_close(found, expected, tolerance=TOLERANCE):
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert np.abs(expected).max() > 0
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


# OpenCV


def test_there_are_references_of_all_they_can_speak_of():
    text = "".join(str(np.load(path)["cfg"]) for path in REFERENCES)
    kinds = set(KINDS) - {"conv", "max", "avg", "softmax"}  # other names; the end of a classifier
    assert [kind for kind in kinds if f"[{kind}]" not in text] == []
    assert [each for each in ACTIVATIONS if f"activation={each}\n" not in text] == ["relu6"]


@pytest.mark.parametrize("path", REFERENCES, ids=lambda path: path.stem)
def test_heads_are_those_of_opencv(path, tmp_path):
    with np.load(path) as stored:
        reference = dict(stored)
    (tmp_path / "a.cfg").write_text(str(reference["cfg"]))
    (tmp_path / "a.weights").write_bytes(reference["weights"].tobytes())
    names = ["a", "b", "c"] if path.stem == "region" else ["a", "b"]
    detector = yolo.load(tmp_path / "a.weights", cfg=tmp_path / "a.cfg", names=names)
    images = reference["image"][None]
    maps = [ops.convert_to_numpy(raw)[0] for raw in detector(images)]
    compiled = detector.predict_on_batch(images)
    heads = [reference[name] for name in ("head0", "head1") if name in reference]
    for raw, graph, expected in zip(maps, compiled, heads, strict=True):
        assert_close(raw.reshape(expected.shape), expected)
        assert_close(graph[0], raw, 1e-5)

    rows = [reference[name] for name in ("rows0", "rows1") if name in reference]
    if rows:
        boxes, objects, classes = (ops.convert_to_numpy(part)[0] for part in decode(detector(images), detector.slots))
        size = np.array(detector.canvas[::-1] * 2)
        corners = boxes / size
        centres, sides = (corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]
        found = np.concatenate([centres, sides, objects[:, None], objects[:, None] * classes], axis=1)
        expected = np.concatenate(rows)
        above = expected != 0  # OpenCV sets scores below a threshold to 0
        assert above[:, :5].all()
        assert_close(found * above, expected)


# Darknet's C code


def maps(*shape, seed=0):
    return np.random.default_rng(seed).normal(0, 2, shape).astype("f4")


def run(parts, part, *inputs):
    """What a section gives for these inputs; ``parts`` come before it in the file and tell their shapes."""
    size = inputs[0].shape[1:3]
    layer = make_plan(sections(*parts, part, size=size)).layers[-1]
    found = ops.convert_to_numpy(_other(layer.settings, [ops.convert_to_tensor(each) for each in inputs]))
    assert found.shape[1:] == layer.shape
    return found


def maxpool_in_c(x, size, strides, padding):
    """forward_maxpool_layer of Darknet's maxpool_layer.c, (B, h, w, C)."""
    batch, height, width, channels = x.shape
    rows, columns = (
        (side + padding - size) // stride + 1 for side, stride in zip((height, width), strides, strict=True)
    )
    out = np.full((batch, rows, columns, channels), -np.inf, np.float32)
    offset = -(padding // 2)  # C's -pad / 2
    for i, j, n, m in np.ndindex(rows, columns, size, size):
        y, across = offset + i * strides[0] + n, offset + j * strides[1] + m
        if 0 <= y < height and 0 <= across < width:
            out[:, i, j] = np.maximum(out[:, i, j], x[:, y, across])
    return out


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 13])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("sides", [(7, 8), (6, 5)])
def test_maxpool_with_darknets_own_padding(size, stride, sides):
    x = maps(2, *sides, 3) - 10  # a padding of zeros would be the largest
    found = run((), ("maxpool", {"size": size, "stride": stride}), x)
    np.testing.assert_array_equal(found, maxpool_in_c(x, size, (stride, stride), size - 1))


@pytest.mark.parametrize(
    ("size", "strides", "padding"),
    [(2, (2, 2), 0), (3, (2, 2), 1), (3, (2, 2), 4), (3, (1, 2), 2), (2, (2, 1), 1), (2, (1, 1), 2), (5, (3, 2), 0)],
)
@pytest.mark.parametrize("sides", [(7, 8), (6, 5)])
def test_maxpool_with_other_paddings(size, strides, padding, sides):
    x = maps(2, *sides, 3) - 10
    options = {"size": size, "stride_y": strides[0], "stride_x": strides[1], "padding": padding}
    expected = maxpool_in_c(x, size, strides, padding)
    np.testing.assert_array_equal(run((), ("maxpool", options), x), expected)
    layer = MaxPool(size, strides, padding)
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x)), expected)
    assert layer.compute_output_shape(x.shape) == expected.shape
    assert layer.compute_output_shape((None, None, None, 3)) == (None, None, None, 3)


def reorg_in_c(x, stride):
    """reorg_cpu of Darknet's blas.c with forward = 0, as forward_reorg_layer calls it, on flat (C, h, w) memory."""
    height, width, channels = x.shape
    flat = x.transpose(2, 0, 1).ravel()
    out = np.zeros_like(flat)
    fewer = channels // (stride * stride)
    for k, j, i in np.ndindex(channels, height, width):
        c2, offset = k % fewer, k // fewer
        w2, h2 = i * stride + offset % stride, j * stride + offset // stride
        out[i + width * (j + height * k)] = flat[w2 + width * stride * (h2 + height * stride * c2)]
    small = out.reshape(channels * stride * stride, height // stride, width // stride)
    return small.transpose(1, 2, 0)


@pytest.mark.parametrize(("stride", "shape"), [(1, (3, 2, 5)), (2, (4, 6, 8)), (2, (6, 2, 4)), (3, (3, 6, 18))])
def test_reorg(stride, shape):
    x = np.arange(2 * np.prod(shape), dtype="f4").reshape(2, *shape)
    expected = np.stack([reorg_in_c(each, stride) for each in x])
    np.testing.assert_array_equal(run([conv(shape[2])], ("reorg", {"stride": stride}), x), expected)
    layer = Reorganize(stride)
    assert layer.compute_output_shape(x.shape) == expected.shape


IN_C = {
    "linear": lambda x: x,
    "leaky": lambda x: np.where(x > 0, x, 0.1 * x),
    "relu": lambda x: x * (x > 0),
    "relu6": lambda x: np.minimum(np.maximum(x, 0), 6),
    "logistic": lambda x: 1 / (1 + np.exp(-x)),
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "swish": lambda x: x / (1 + np.exp(-x)),
}
"""activations.h, in float64."""


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name):
    x = np.linspace(-12, 12, 97)
    found = ops.convert_to_numpy(model_layers.ACTIVATIONS[name](ops.convert_to_tensor(x.astype("f4"))))
    np.testing.assert_allclose(found, IN_C[name](x), rtol=2e-6, atol=1e-6)


def convolution_in_c(x, settings, weights: ConvolutionWeights):
    """forward_convolutional_layer: im2col and gemm a group, normalize_cpu, biases, activation; in float64."""
    x = np.pad(x.astype(float), ((0, 0), *[(settings.padding,) * 2] * 2, (0, 0)))
    down, across = settings.strides
    rows = (x.shape[1] - settings.size) // down + 1
    columns = (x.shape[2] - settings.size) // across + 1
    out = np.zeros((len(x), rows, columns, settings.filters))
    inward, outward = settings.channels // settings.groups, settings.filters // settings.groups
    for f, i, j in np.ndindex(settings.filters, rows, columns):
        first = f // outward * inward
        window = x[:, i * down : i * down + settings.size, j * across : j * across + settings.size]
        window = window[..., first : first + inward]
        out[:, i, j, f] = (window * weights.kernel[f].transpose(1, 2, 0)).sum(axis=(1, 2, 3))
    if settings.batch_normalize:
        out = (out - weights.means) / (np.sqrt(weights.variances.astype(float)) + 1e-6) * weights.scales
    return IN_C[settings.activation](out + weights.biases)


@pytest.mark.parametrize(
    "options",
    [
        {"filters": 5, "size": 3, "pad": 1},
        {"filters": 5, "size": 3, "pad": 1, "stride": 2, "batch_normalize": 1, "activation": "leaky"},
        {"filters": 5, "size": 3, "padding": 2, "stride": 3, "activation": "relu6"},
        {"filters": 5, "size": 4, "pad": 1, "stride": 2, "activation": "mish"},
        {"filters": 5, "size": 2, "padding": 0, "activation": "swish"},
        {"filters": 5, "size": 5, "padding": 1, "batch_normalize": 1},
        {"filters": 8, "size": 3, "pad": 1, "groups": 2, "activation": "relu"},
        {"filters": 8, "size": 3, "pad": 1, "groups": 4, "stride": 2, "batch_normalize": 1},
        {"filters": 4, "size": 3, "pad": 1, "groups": 4, "stride": 2, "activation": "leaky"},
        {"filters": 4, "size": 5, "padding": 3, "groups": 4, "batch_normalize": 1},
        {"filters": 4, "size": 3, "pad": 1, "groups": 4, "stride_x": 2, "stride_y": 1},
        {"filters": 5, "size": 3, "pad": 1, "stride_x": 1, "stride_y": 3, "activation": "logistic"},
        {"filters": 4, "size": 1, "groups": 4, "stride": 2},
    ],
    ids=lambda options: " ".join(f"{key}={value}" for key, value in options.items()),
)
@pytest.mark.parametrize("sides", [(7, 8), (6, 9)])
def test_convolutions(options, sides):
    check_convolution({"activation": "linear", **options}, sides)


@pytest.mark.parametrize("sides", [(1, 1), (2, 2), (1, 3)])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_convolutions_of_maps_smaller_than_their_kernel(groups, sides):
    options = {"filters": 4, "size": 3, "pad": 1, "stride": 2, "groups": groups, "activation": "linear"}
    check_convolution(options, sides)


def check_convolution(options, sides):
    plan = make_plan(sections(conv(4), ("convolutional", options), size=sides))
    settings, shape = plan.layers[1].settings, plan.layers[1].shape
    weights = draw_weights([settings], seed=1)
    x = maps(2, *sides, 4)
    made = Convolutions(0)
    _convolution(settings, ops.convert_to_tensor(x), made, None)
    set_weights(SimpleNamespace(convolutions=made.layers), weights)
    found = ops.convert_to_numpy(made.layers[0](x))
    assert found.shape[1:] == shape
    assert made.layers[0].compute_output_shape(x.shape) == found.shape
    assert_close(found, convolution_in_c(x, settings, weights[0]), 1e-5)


def test_shortcuts_add_the_channels_they_share():
    # shortcut_multilayer_cpu: of each source the channels that the layer before has too
    x, more, fewer = maps(2, 4, 3, 5), maps(2, 4, 3, 7, seed=1), maps(2, 4, 3, 2, seed=2)
    parts = [conv(7), conv(2), conv(5)]
    found = run(parts, ("shortcut", {"from": "0,-2", "activation": "leaky"}), x, more, fewer)
    expected = x + more[..., :5]
    expected[..., :2] += fewer
    np.testing.assert_allclose(found, IN_C["leaky"](expected), rtol=1e-6, atol=1e-6)


def test_routes_join_one_group_of_each():
    one, other = maps(2, 4, 3, 4), maps(2, 4, 3, 6, seed=1)
    parts = [conv(6), conv(4)]
    found = run(parts, ("route", {"layers": "-1,0", "groups": 2, "group_id": 1}), one, other)
    np.testing.assert_array_equal(found, np.concatenate([one[..., 2:], other[..., 3:]], axis=-1))
    np.testing.assert_array_equal(run(parts, ("route", {"layers": "0"}), other), other)


def test_scaling():
    x, channels, places = maps(2, 4, 3, 5), maps(2, 1, 1, 5, seed=1), maps(2, 4, 3, 1, seed=2)
    plan = make_plan(sections(conv(5), ("avgpool", {}), ("scale_channels", {"from": 0, "activation": "relu"})))
    found = ops.convert_to_numpy(_other(plan.layers[-1].settings, [channels, x]))
    np.testing.assert_allclose(found, np.maximum(channels * x, 0), rtol=1e-6)
    found = run([conv(5), conv(1)], ("scale_channels", {"from": 0, "scale_wh": 1}), places, x)
    np.testing.assert_allclose(found, places * x, rtol=1e-6)
    found = run([conv(5), conv(5)], ("sam", {"from": 0, "activation": "leaky"}), x, x[::-1])
    np.testing.assert_allclose(found, IN_C["leaky"](x * x[::-1]), rtol=1e-6)


def test_upsampling_averages_and_softmax():
    x = maps(2, 3, 4, 5)
    expected = 0.5 * x.repeat(3, axis=1).repeat(3, axis=2)
    np.testing.assert_array_equal(run([conv(5)], ("upsample", {"stride": 3, "scale": 0.5}), x), expected)
    mean = run([conv(5)], ("avgpool", {}), x)
    np.testing.assert_allclose(mean, x.mean(axis=(1, 2), keepdims=True), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(run([conv(5)], ("dropout", {}), x), x)
    one = maps(2, 1, 1, 5)
    expected = np.exp(one) / np.exp(one).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(run([conv(5)], ("softmax", {}), one), expected, rtol=1e-5)
