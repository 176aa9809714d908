"""Parameters and operations: by hand, and as published."""

from __future__ import annotations

import keras
import pytest
from keras import layers

from yolo.darknet.plan import make_plan
from yolo.darknet.summary import summarise_plan
from yolo.model.detector import Detector
from yolo.model.summary import _rows, summarise_detector

COCO = [f"class {index}" for index in range(80)]

SMALL = """
[net]
height=64
width=96
channels=3

[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leaky

[convolutional]
batch_normalize=1
filters=8
groups=8
size=3
stride=1
pad=1
activation=relu

[maxpool]
size=2
stride=2

[convolutional]
filters=12
groups=2
size=1
activation=linear

[yolo]
mask=0,1
anchors=10,10, 20,20
classes=1
num=2
"""


EXPECTED = [
    # kind, output, parameters, 2 x weights of the kernel x places
    ("convolution 3x3 /2 leaky", (32, 48, 8), 3 * 3 * 3 * 8 + 4 * 8, 2 * 3 * 3 * 3 * 8 * 32 * 48),
    ("depthwise 3x3 relu", (32, 48, 8), 3 * 3 * 8 + 4 * 8, 2 * 3 * 3 * 8 * 32 * 48),
    ("maxpool", (16, 24, 8), 0, 0),
    ("convolution 1x1 in 2 groups linear", (16, 24, 12), 4 * 12 + 12, 2 * 4 * 12 * 16 * 24),
]


def test_a_network_file_by_hand():
    summary = summarise_plan(make_plan(SMALL))
    assert [(row.kind, row.shape, row.parameters, row.flops) for row in summary.rows[:4]] == EXPECTED
    assert [row.name for row in summary.rows] == ["0", "1", "2", "3", "4"]
    assert summary.rows[4].kind == "yolo"
    assert summary.fixed == 2 * 8 + 2 * 8
    assert summary.parameters == sum(row[2] for row in EXPECTED)
    assert summary.flops == sum(row[3] for row in EXPECTED)


def test_the_detector_built_from_it_has_the_same_figures():
    plan, built = (
        summarise_plan(make_plan(SMALL)),
        summarise_detector(Detector("small.cfg", cfg=SMALL, classes=["a"])),
    )
    assert (built.trainable, built.fixed, built.flops) == (plan.trainable, plan.fixed, plan.flops)
    weighted = [row[1:] for row in EXPECTED if row[2]]
    assert [(row.shape, row.parameters, row.flops) for row in built.rows if row.parameters] == weighted
    assert [row.kind for row in built.rows if row.parameters] == [row[0] for row in EXPECTED if row[2]]


def test_other_layers_of_keras_by_hand():
    images = keras.Input((8, 8, 4))
    x = layers.SeparableConv2D(6, 3, padding="same", use_bias=False, name="separable")(images)
    x = layers.DepthwiseConv2D(3, strides=2, padding="same", name="depthwise")(x)
    x = layers.Dense(5, name="dense")(x)  # at every place, as in ConvNeXt
    x = keras.Sequential([layers.Conv2D(2, 1, name="inner")], name="outer")(x)
    rows = {row.name: row for row in _rows(keras.Model(images, x * 2.0), "")}
    assert {name: (row.parameters, row.flops) for name, row in rows.items() if row.parameters} == {
        "separable": (3 * 3 * 4 + 4 * 6, 2 * (3 * 3 * 4 + 4 * 6) * 64),
        "depthwise": (3 * 3 * 6 + 6, 2 * 3 * 3 * 6 * 16),
        "dense": (6 * 5 + 5, 2 * 6 * 5 * 16),
        "outer/inner": (5 * 2 + 2, 2 * 5 * 2 * 16),
    }
    assert rows["depthwise"].kind == "depthwise 3x3 /2"
    assert rows["separable"].kind == "separable convolution 3x3"


@pytest.mark.parametrize(
    ("model", "size", "parameters", "published"),
    [
        ("yolov3", 416, 62_001_757, 65.86),  # pjreddie.com/darknet/yolo
        ("yolov3", 608, 62_001_757, 140.69),
        ("yolov3-tiny", 416, 8_858_734, 5.56),
        ("yolov3-spp", 608, 63_052_381, 141.45),
    ],
)
def test_published_figures(model, size, parameters, published):
    summary = summarise_detector(Detector(model, classes=COCO, size=size))
    assert summary.parameters == parameters == sum(row.parameters for row in summary.rows)
    assert summary.flops / 1e9 == pytest.approx(published, rel=0.001)


def test_batch_norms_running_figures_are_fixed():
    summary = summarise_detector(Detector("yolov3", classes=COCO, size=32))
    norms = [row for row in summary.rows if row.name.startswith("conv_") and "linear" not in row.kind]
    assert summary.fixed == 2 * sum(row.shape[-1] for row in norms)


@pytest.mark.parametrize(
    ("file", "published"), [("yolov3.cfg", 140.69), ("yolov3-tiny.cfg", 5.56), ("darknet53.cfg", 18.57)]
)
def test_published_figures_from_the_network_file_alone(file, published, shared):
    text = (shared / "data" / "darknet" / file).read_text()
    assert summarise_plan(make_plan(text)).flops / 1e9 == pytest.approx(published, rel=0.001)


@pytest.mark.parametrize(
    ("name", "parameters", "multiply_adds"),
    [
        ("ResNet50", 23_587_712, 3.86e9),  # He et al. 2015, table 1: 3.8
        ("MobileNetV2", 2_257_984, 0.30e9),  # Sandler et al. 2018, table 4
        ("ConvNeXtTiny", 27_820_128, 4.5e9),  # Liu et al. 2022, table 1; less the classifier's
    ],
)
def test_published_figures_of_backbones(name, parameters, multiply_adds):
    summary = summarise_detector(Detector(f"keras:{name}", classes=["a"], size=224))
    own = [row for row in summary.rows if row.name.startswith("backbone/")]
    assert sum(row.parameters for row in own) == parameters
    assert sum(row.flops for row in own) / 2 == pytest.approx(multiply_adds, rel=0.015)  # they are rounded
