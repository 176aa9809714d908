"""Texts and weights of small Darknet networks for the tests."""

from __future__ import annotations

import numpy as np

from yolo.darknet.weights import ConvolutionWeights

YOLO = "[yolo]\nmask=0,1\nanchors=4,6, 10,8\nclasses=2\nnum=2"


def sections(*parts, size=(32, 32)):
    """A network file: [net] and the sections, each a text or a (kind, options) pair."""
    texts = [f"[net]\nheight={size[0]}\nwidth={size[1]}", *parts]
    return "\n".join(each if isinstance(each, str) else section(*each) for each in texts)


def section(kind, options=None):
    return "\n".join([f"[{kind}]", *(f"{key}={value}" for key, value in (options or {}).items())])


def conv(filters, size=1, activation="linear", **options):
    return section("convolutional", {"filters": filters, "size": size, "activation": activation, **options})


def detector(*parts, size=(32, 32), head=YOLO, filters=14):
    """The sections and a head behind them."""
    return sections(*parts, conv(filters), head, size=size)


def draw_weights(convolutions, seed=0):
    """Random numbers for the convolutions of a plan."""
    rng = np.random.default_rng(seed)
    found = []
    for each in convolutions:
        bias, scale, mean = (rng.normal(middle, 0.1, each.filters).astype("f4") for middle in (0, 1, 0))
        norm = (scale, mean, rng.uniform(0.5, 1.5, each.filters).astype("f4")) if each.batch_normalize else ()
        fan_in = np.prod(each.kernel_shape[1:])
        kernel = rng.normal(0, np.sqrt(2 / fan_in), each.kernel_shape).astype("f4")
        found.append(ConvolutionWeights(bias, kernel, *norm))
    return found


def one_layer(stride, *, side=64, activation="leaky"):
    """The smallest detector there is: a convolution with strides, a head of two anchors and two classes."""
    return f"""[net]
width={side}
height={side}
channels=3
[convolutional]
batch_normalize=1
filters=8
size=3
stride={stride}
pad=1
activation={activation}
[convolutional]
filters=14
size=1
activation=linear
[yolo]
mask=0,1
anchors=10,20, 30,15
classes=2
num=2
"""


def two_scales(classes=10, *, side=96):
    """A narrow network with the two scales of yolov3-tiny, that learns a few pictures within seconds."""
    norm = {"activation": "leaky", "batch_normalize": 1, "pad": 1}
    head = f"classes={classes}\nnum=6\nanchors=8,8, 12,20, 20,12, 24,24, 40,30, 60,60"
    return sections(
        *(conv(filters, 3, stride=2, **norm) for filters in (16, 32, 64, 96, 128)),
        conv(96, **norm),
        conv(3 * (5 + classes)),
        f"[yolo]\nmask=3,4,5\n{head}",
        section("route", {"layers": "-3"}),
        section("upsample", {"stride": 2}),
        section("route", {"layers": "-1,3"}),
        conv(96, 3, **norm),
        conv(3 * (5 + classes)),
        f"[yolo]\nmask=0,1,2\n{head}",
        size=(side, side),
    )


def narrow_tiny(classes=3, *, side=96, share=4):
    """yolov3-tiny, layer by layer, with a fraction of its filters: with half of them two million weights."""
    norm = {"activation": "leaky", "batch_normalize": 1, "pad": 1}
    head = f"classes={classes}\nnum=6\nanchors=10,14, 23,27, 37,58, 81,82, 135,169, 344,319"
    stages = []
    for filters, stride in zip((16, 32, 64, 128, 256, 512), (2, 2, 2, 2, 2, 1), strict=True):
        stages += [conv(filters // share, 3, **norm), section("maxpool", {"size": 2, "stride": stride})]
    return sections(
        *stages,
        conv(1024 // share, 3, **norm),
        conv(256 // share, **norm),
        conv(512 // share, 3, **norm),
        conv(3 * (5 + classes)),
        f"[yolo]\nmask=3,4,5\n{head}",
        section("route", {"layers": "-4"}),
        conv(128 // share, **norm),
        section("upsample", {"stride": 2}),
        section("route", {"layers": "-1,8"}),
        conv(256 // share, 3, **norm),
        conv(3 * (5 + classes)),
        f"[yolo]\nmask=0,1,2\n{head}",
        size=(side, side),
    )


STAGED = """[net]
width=64
height=64
channels=3
[convolutional]
batch_normalize=1
filters=8
size=3
stride=8
pad=1
activation=leaky
[convolutional]
batch_normalize=1
filters=12
size=3
stride=4
pad=1
activation=leaky
[convolutional]
batch_normalize=1
filters=8
size=1
activation=leaky
[convolutional]
filters=14
size=1
activation=linear
[region]
anchors=1,1, 0.5,0.5
classes=2
num=2
softmax=1
"""
"""Two strided convolutions as a backbone, one as a neck, one head."""
