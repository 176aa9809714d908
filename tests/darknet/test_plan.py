"""Parsing of network files: settings, inputs and shapes worked by hand; faults with line and section."""

from __future__ import annotations

import pytest
from cfg_texts import YOLO, conv, detector, section, sections

from yolo.darknet.cfg import MOST_LAYERS
from yolo.darknet.network import (
    PICTURE,
    AveragePool,
    Convolution,
    Dropout,
    Head,
    MaxPool,
    Reorganize,
    Route,
    Scale,
    Shortcut,
    Softmax,
    Upsample,
    head_of,
)
from yolo.darknet.plan import ACTIVATIONS, KINDS, MOST_SOURCES, make_detector_plan, make_plan
from yolo.errors import ConfigError

NOT_BEHIND = "takes the output of a head; put a [route] to another layer before it"
LINEAR = "a linear [convolutional] section has to stand right before it"
PAIRS = "expected pairs of positive widths and heights"
MULTIPLES = "give another size, such as multiples of 32"
MANY = "there are 1 anchors, counted from 0"


def layers(*parts, size=(32, 32), **options):
    return make_plan(sections(*parts, size=size), "a.cfg", **options).layers


def last(*parts, **options):
    return layers(*parts, **options)[-1]


def fault(text, make=make_plan, **options):
    with pytest.raises(ConfigError) as raised:
        make(text, "a.cfg", **options)
    return str(raised.value)


# Convolutions


@pytest.mark.parametrize(
    ("options", "size", "shape"),
    [
        # (side + 2 padding - size) / stride + 1, rounded down
        ({"size": 3, "pad": 1}, (32, 48), (32, 48, 8)),
        ({"size": 3, "pad": 1, "stride": 2}, (32, 48), (16, 24, 8)),
        ({"size": 3, "pad": 1, "stride": 2}, (33, 47), (17, 24, 8)),  # (33 + 2 - 3) / 2 + 1; (47 + 2 - 3) / 2 + 1
        ({"size": 3}, (33, 47), (31, 45, 8)),
        ({"size": 3, "padding": 2}, (33, 47), (35, 49, 8)),
        ({"size": 7, "padding": 2, "pad": 1}, (33, 47), (33, 47, 8)),  # pad=1 overrules padding
        ({"size": 4, "pad": 1}, (8, 8), (9, 9, 8)),
        ({"size": 3, "pad": 1, "stride_x": 2, "stride_y": 4}, (32, 32), (8, 16, 8)),
        ({"size": 3, "pad": 1, "stride": 2, "stride_y": 1}, (32, 32), (32, 16, 8)),
        ({"size": 1, "stride": 5}, (32, 32), (7, 7, 8)),
    ],
)
def test_shapes_of_convolutions(options, size, shape):
    assert last(("convolutional", {"filters": 8, **options}), size=size).shape == shape


def test_settings_of_convolutions():
    first, second, third = layers(
        ("convolutional", {}),
        ("conv", {"filters": 6, "size": 5, "stride": 2, "pad": 1, "activation": "mish", "batch_normalize": 1}),
        ("convolutional", {"filters": 9, "size": 3, "padding": 1, "groups": 3, "activation": "leaky"}),
    )
    assert first.settings == Convolution(1, 1, (1, 1), 0, 1, False, "logistic", 3)  # Darknet's own choices
    assert second.settings == Convolution(6, 5, (2, 2), 2, 1, True, "mish", 1)
    assert third.settings == Convolution(9, 3, (1, 1), 1, 3, False, "leaky", 6)
    assert [each.inputs for each in (first, second, third)] == [(PICTURE,), (0,), (1,)]
    assert [each.index for each in (first, second, third)] == [0, 1, 2]
    # filters x (channels of a group x size x size + biases or four of the batch norm)
    assert first.settings.weights == 1 * (3 + 1)
    assert second.settings.weights == 6 * (1 * 25 + 4)
    assert third.settings.weights == 9 * (2 * 9 + 1)
    assert third.settings.kernel_shape == (9, 2, 3, 3)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation):
    assert last(conv(2, activation=activation)).settings.activation == activation


# Sections without weights


@pytest.mark.parametrize(
    ("options", "size", "settings", "shape"),
    [
        # (side + padding - size) / stride + 1; the padding is size - 1 unless it is given
        ({"size": 2, "stride": 2}, (32, 33), MaxPool(2, (2, 2), 1), (16, 17, 3)),
        ({"size": 2, "stride": 1}, (13, 13), MaxPool(2, (1, 1), 1), (13, 13, 3)),
        ({"size": 3, "stride": 2}, (13, 14), MaxPool(3, (2, 2), 2), (7, 7, 3)),
        ({"size": 13, "stride": 1}, (13, 5), MaxPool(13, (1, 1), 12), (13, 5, 3)),
        ({"stride": 3}, (32, 32), MaxPool(3, (3, 3), 2), (11, 11, 3)),  # (32 + 2 - 3) / 3 + 1
        ({}, (32, 32), MaxPool(1, (1, 1), 0), (32, 32, 3)),
        ({"size": 2, "stride": 2, "padding": 0}, (33, 32), MaxPool(2, (2, 2), 0), (16, 16, 3)),
        ({"size": 2, "stride_x": 2, "stride_y": 1}, (8, 8), MaxPool(2, (1, 2), 1), (8, 4, 3)),
        ({"stride": 2, "stride_y": 1}, (8, 8), MaxPool(2, (1, 2), 1), (8, 4, 3)),  # the size is that of stride=
        ({"size": 3, "stride": 1, "padding": 3}, (8, 8), MaxPool(3, (1, 1), 3), (9, 9, 3)),
        ({"size": 2, "stride": 1, "padding": 2}, (8, 8), MaxPool(2, (1, 1), 2), (9, 9, 3)),
    ],
)
def test_maxpool(options, size, settings, shape):
    for kind in ("maxpool", "max"):
        found = last((kind, options), size=size)
        assert (found.settings, found.shape) == (settings, shape)


@pytest.mark.parametrize(
    ("part", "settings", "shape"),
    [
        (("avgpool", {}), AveragePool(), (1, 1, 3)),
        (("avg", {}), AveragePool(), (1, 1, 3)),
        (("upsample", {}), Upsample(2, 1.0), (64, 96, 3)),
        (("upsample", {"stride": 3, "scale": 0.5}), Upsample(3, 0.5), (96, 144, 3)),
        (("dropout", {"probability": 0.25}), Dropout(0.25), (32, 48, 3)),
        (("dropout", {}), Dropout(0.5), (32, 48, 3)),
        (("reorg", {}), Reorganize(1), (32, 48, 3)),
    ],
)
def test_sections_of_one_input(part, settings, shape):
    found = last(part, size=(32, 48))
    assert (found.settings, found.inputs, found.shape) == (settings, (PICTURE,), shape)


def test_reorg_trades_sides_for_channels():
    found = last(conv(8), ("reorg", {"stride": 2}), size=(32, 48))
    assert (found.settings, found.shape) == (Reorganize(2), (16, 24, 32))


def test_softmax_of_a_classifier():
    found = last(conv(7), ("avgpool", {}), ("softmax", {"groups": 1}))
    assert (found.settings, found.shape) == (Softmax(), (1, 1, 7))


THREE = (conv(4), conv(6), conv(8))


@pytest.mark.parametrize(
    ("options", "inputs", "channels"),
    [
        ({"layers": -1}, (2,), 8),
        ({"layers": "0"}, (0,), 4),
        ({"layers": "-1, 0,-2"}, (2, 0, 1), 8 + 4 + 6),
        ({"layers": "-1,1", "groups": 2, "group_id": 1}, (2, 1), 4 + 3),
    ],
)
def test_route(options, inputs, channels):
    found = last(*THREE, ("route", options))
    assert (found.inputs, found.shape) == (inputs, (32, 32, channels))
    assert found.settings == Route(options.get("groups", 1), options.get("group_id", 0))


@pytest.mark.parametrize(
    ("options", "settings", "inputs"),
    [
        ({"from": -2}, Shortcut("linear"), (2, 1)),
        ({"from": "0,-2", "activation": "leaky"}, Shortcut("leaky"), (2, 0, 1)),
    ],
)
def test_shortcut_has_the_channels_of_the_layer_before_it(options, settings, inputs):
    found = last(*THREE, ("shortcut", options))
    assert (found.settings, found.inputs, found.shape) == (settings, inputs, (32, 32, 8))


def test_scale_channels_and_sam():
    found = last(conv(8), ("avgpool", {}), ("scale_channels", {"from": 0, "activation": "relu"}))
    assert (found.settings, found.inputs, found.shape) == (Scale("relu"), (1, 0), (32, 32, 8))
    found = last(conv(8), conv(1), ("scale_channels", {"from": 0, "scale_wh": 1}))
    assert (found.settings, found.inputs, found.shape) == (Scale("linear"), (1, 0), (32, 32, 8))
    found = last(conv(8), conv(8), ("sam", {"from": -2}))
    assert (found.settings, found.inputs, found.shape) == (Scale("linear"), (1, 0), (32, 32, 8))


# Heads and whole networks


def test_yolo():
    options = {"mask": "2,0", "anchors": "1,2, 3.5,4, 5,6", "classes": 3, "num": 3, "scale_x_y": 1.05, "jitter": 0.3}
    head = head_of(last(conv(4, 3, stride=4, pad=1), conv(16), ("yolo", options), size=(32, 64)))
    assert head == Head(((5.0, 6.0), (1.0, 2.0)), 3, 4, 1.05, "exponential", False)


def test_yolo_without_mask_takes_all_of_num():
    head = head_of(last(conv(50), ("yolo", {"anchors": "1,2, 3,4, 5,6", "num": 2})))
    assert head.anchors == ((1.0, 2.0), (3.0, 4.0))
    assert head.classes == 20


def test_new_coords():
    head = head_of(last(conv(6, activation="logistic"), ("yolo", {"anchors": "1,2", "classes": 1, "new_coords": 1})))
    assert (head.sizes, head.scale_xy) == ("squared", 1.0)


def test_the_anchors_of_a_region_are_counted_in_cells():
    options = {"anchors": "1.5,2, 3,0.25", "num": 2, "classes": 4, "softmax": 1, "coords": 4, "rescore": 1}
    head = head_of(last(conv(2, stride=8), conv(18), ("region", options)))
    assert head == Head(((12.0, 16.0), (24.0, 2.0)), 4, 8, 1.0, "exponential", True)
    assert not head_of(last(conv(18), ("region", {**options, "softmax": 0}))).softmax


TWO_HEADS = detector(
    conv(4, 3, stride=4, pad=1),
    conv(14),
    YOLO,
    section("route", {"layers": 0}),
    conv(4, 3, stride=2, pad=1),
)


def test_heads_are_sorted_coarse_to_fine():
    plan = make_detector_plan(TWO_HEADS, "a.cfg")
    assert [(layer.index, head_of(layer).stride) for layer in plan.heads] == [(6, 8), (2, 4)]
    assert [each.filters for each in plan.convolutions] == [4, 14, 4, 14]
    assert (plan.canvas, plan.letterbox, plan.source) == ((32, 32), "stretch", "a.cfg")


def test_another_canvas():
    plan = make_detector_plan(TWO_HEADS, "a.cfg", canvas=(64, 96))
    assert plan.canvas == (64, 96)
    assert [layer.shape for layer in plan.heads] == [(8, 12, 14), (16, 24, 14)]


def test_letter_box():
    assert make_plan("[net]\nheight=32\nwidth=32\nletter_box=1").letterbox == "letterbox"


# Faults: the line is that of the option, or of the section. [net] has lines 1 to 3, the next section begins in line 4.


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[net]\nwidth=32", "a.cfg:1: [net]: height is missing"),
        ("[net]\nheight=0\nwidth=32", "a.cfg:2: [net] height=0: expected a number in 1..16384"),
        ("[net]\nheight=32\nwidth=16385", "a.cfg:3: [net] width=16385: expected a number in 1..16384"),
        (
            "[net]\nheight=32\nwidth=32\nchannels=1",
            "a.cfg:4: [net] channels=1: only pictures in colour (channels=3) are supported",
        ),
        ("[net]\nheight=32\nwidth=32\nletter_box=2", "a.cfg:4: [net] letter_box=2: expected a number in 0..1"),
        (
            sections(*[("dropout", {})] * (MOST_LAYERS + 1)),
            f"a.cfg:{3 + MOST_LAYERS + 1}: more layers than the {MOST_LAYERS} a network may have here",
        ),
        (
            sections(("lstm", {"a": 1})),
            f"a.cfg:4: [lstm]: this section is not supported; there are {', '.join(KINDS)}",
        ),
        (sections("[]"), f"a.cfg:4: []: this section is not supported; there are {', '.join(KINDS)}"),
    ],
)
def test_faults_of_the_whole(text, message):
    assert fault(text) == message


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        # Convolutions
        (
            [("convolutional", {"activation": "selu"})],
            f"a.cfg:5: [convolutional] activation=selu: not supported; there are {', '.join(ACTIVATIONS)}",
        ),
        ([("convolutional", {"filters": 0})], "a.cfg:5: [convolutional] filters=0: expected a number in 1..1e+06"),
        (
            [("convolutional", {"size": 1, "dilation": 2})],
            "a.cfg:6: [convolutional] dilation=2: not supported (only 1)",
        ),
        ([("convolutional", {"xnor": 1})], "a.cfg:5: [convolutional] xnor=1: not supported (only 0)"),
        (
            [("convolutional", {"color": 1})],
            "a.cfg:5: [convolutional] color=1: unknown option; "
            "remove the line if it does not change what the network computes",
        ),
        (
            [("convolutional", {"filters": 4, "groups": 2})],
            "a.cfg:6: [convolutional] groups=2: 3 channels and 4 filters cannot be split evenly",
        ),
        (
            [("convolutional", {"filters": 4, "groups": 3})],
            "a.cfg:6: [convolutional] groups=3: 3 channels and 4 filters cannot be split evenly",
        ),
        (
            [("convolutional", {"size": 40})],
            "a.cfg:4: [convolutional]: nothing is left of the picture (-7 x -7); give a larger size",
        ),
        (
            [("convolutional", {"padding": 20_000})],
            "a.cfg:4: [convolutional]: nothing is left of the picture (40032 x 40032); give a larger size",
        ),
        (
            [("convolutional", {"filters": 300_000})],
            "a.cfg:4: [convolutional]: its output of 32 x 32 x 300000 is too large",
        ),
        (
            [conv(10_000, 100, pad=1, stride=32), conv(100_000)],
            "a.cfg:10: [convolutional]: the network has more than 1073741824 weights",
        ),
        # Pools and their like
        (
            [("maxpool", {"size": 2, "padding": 3})],
            "a.cfg:6: [maxpool] padding=3: a window of 2 could lie outside of the map; give at most 2",
        ),
        ([("maxpool", {"maxpool_depth": 1})], "a.cfg:5: [maxpool] maxpool_depth=1: not supported (only 0)"),
        ([("upsample", {"stride": -2})], "a.cfg:5: [upsample] stride=-2: expected a number in 1..1e+06"),
        ([("dropout", {"probability": 1})], "a.cfg:5: [dropout] probability=1: expected a number in 0..0.999"),
        ([("reorg", {"stride": 2})], "a.cfg:5: [reorg] stride=2: 32 x 32 x 3 cannot be cut into blocks"),
        ([conv(4), ("reorg", {"reverse": 1})], "a.cfg:9: [reorg] reverse=1: not supported (only 0)"),
        ([("softmax", {})], "a.cfg:4: [softmax]: only behind a map of one cell, not 32 x 32"),
        # References
        ([conv(4), ("route", {})], "a.cfg:8: [route]: layers is missing"),
        (
            [conv(4), ("route", {"layers": ","})],
            f"a.cfg:9: [route] layers=,: names 0 layers; expected 1 to {MOST_SOURCES}",
        ),
        (
            [conv(4), ("route", {"layers": 1})],
            "a.cfg:9: [route] layers=1: refers to layer 1; only the layers 0 to 0 come before it",
        ),
        (
            [conv(4), ("route", {"layers": "-1,-2"})],
            "a.cfg:9: [route] layers=-1,-2: refers to layer -1; only the layers 0 to 0 come before it",
        ),
        (
            [conv(4), ("route", {"layers": ",".join("0" * (MOST_SOURCES + 1))})],
            f"a.cfg:9: [route] layers={'0,' * 26}0...: names {MOST_SOURCES + 1} layers; expected 1 to {MOST_SOURCES}",
        ),
        (
            [conv(4), conv(4, 3), ("route", {"layers": "0,1"})],
            "a.cfg:12: [route]: the shapes of its sources do not fit together (32x32x4 of 0, 30x30x4 of 1)",
        ),
        (
            [conv(4), conv(5), ("route", {"layers": "0,1", "groups": 2})],
            "a.cfg:14: [route] groups=2: 4, 5 channels cannot be split evenly",
        ),
        (
            [conv(4), ("route", {"layers": 0, "groups": 2, "group_id": 2})],
            "a.cfg:11: [route] group_id=2: there are only 2 groups, counted from 0",
        ),
        (
            [conv(4), conv(4, 3), ("shortcut", {"from": "-2"})],
            "a.cfg:12: [shortcut]: the shapes of its sources do not fit together (30x30x4 of 1, 32x32x4 of 0)",
        ),
        (
            [conv(4), conv(4), ("shortcut", {"from": "-2", "weights_type": "per_feature"})],
            "a.cfg:14: [shortcut] weights_type=per_feature: not supported (only none)",
        ),
        (
            [conv(4), conv(4), ("scale_channels", {"from": -2})],
            "a.cfg:12: [scale_channels]: the shapes of its sources do not fit together (32x32x4 of 1, 32x32x4 of 0)",
        ),
        (
            [conv(4), ("avgpool", {}), ("scale_channels", {"from": "0,0"})],
            "a.cfg:9: [scale_channels]: the shapes of its sources do not fit together "
            "(1x1x4 of 1, 32x32x4 of 0, 32x32x4 of 0)",
        ),
        (
            [conv(4), conv(2), ("sam", {"from": -2})],
            "a.cfg:12: [sam]: the shapes of its sources do not fit together (32x32x2 of 1, 32x32x4 of 0)",
        ),
        ([conv(14), YOLO, conv(2)], f"a.cfg:13: [convolutional]: {NOT_BEHIND}"),
        ([conv(14), YOLO, ("route", {"layers": 1})], f"a.cfg:13: [route]: {NOT_BEHIND}"),
        # Heads
        ([("yolo", {"anchors": "1,2"})], f"a.cfg:4: [yolo]: {LINEAR}"),
        ([conv(14, activation="leaky"), YOLO], f"a.cfg:8: [yolo]: {LINEAR}"),
        ([conv(14), ("dropout", {}), YOLO], f"a.cfg:9: [yolo]: {LINEAR}"),
        (
            [conv(15), YOLO],
            "a.cfg:5: [convolutional] filters=15: the [yolo] behind it (line 8) needs filters=14: "
            "2 anchors x (5 + 2 classes)",
        ),
        ([conv(14), ("yolo", {})], "a.cfg:8: [yolo]: anchors is missing"),
        ([conv(14), ("yolo", {"anchors": "1,2,3"})], f"a.cfg:9: [yolo] anchors=1,2,3: {PAIRS}"),
        ([conv(14), ("yolo", {"anchors": "1,-2"})], f"a.cfg:9: [yolo] anchors=1,-2: {PAIRS}"),
        ([conv(14), ("yolo", {"anchors": "1,2", "num": 2})], "a.cfg:10: [yolo] num=2: anchors= holds only 1 pairs"),
        ([conv(14), ("yolo", {"anchors": "1,2", "mask": 1})], f"a.cfg:10: [yolo] mask=1: {MANY}"),
        ([conv(14), ("yolo", {"anchors": "1,2", "mask": ","})], f"a.cfg:10: [yolo] mask=,: {MANY}"),
        (
            [conv(14), ("yolo", {"anchors": "1,2", "scale_x_y": 5})],
            "a.cfg:10: [yolo] scale_x_y=5: expected a number in 0.5..4",
        ),
        (
            [conv(14), ("yolo", {"anchors": "1,2", "new_coords": 1})],
            "a.cfg:10: [yolo] new_coords=1: the convolution before it has to be logistic",
        ),
        (
            [conv(14), ("region", {"anchors": "1,2", "coords": 5})],
            "a.cfg:10: [region] coords=5: not supported (only 4)",
        ),
        (
            [conv(14), ("region", {"anchors": "1,2", "tree": "9k.tree"})],
            "a.cfg:10: [region] tree=9k.tree: not supported (only )",
        ),
        (
            [conv(14, 3, padding=0), YOLO],
            f"a.cfg:9: [yolo]: a grid of 30 x 30 does not divide the canvas of 32 x 32; {MULTIPLES}",
        ),
        (
            [conv(14, stride_x=2, stride_y=1), YOLO],
            f"a.cfg:10: [yolo]: a grid of 32 x 16 does not divide the canvas of 32 x 32; {MULTIPLES}",
        ),
        (
            [("upsample", {}), conv(14), YOLO],
            f"a.cfg:9: [yolo]: a grid of 64 x 64 does not divide the canvas of 32 x 32; {MULTIPLES}",
        ),
    ],
)
def test_faults_of_sections(parts, message):
    assert fault(sections(*parts)) == message


OTHER_CLASSES = "[yolo]\nanchors=4,6\nclasses=3"
SQUARED = "[yolo]\nanchors=4,6\nclasses=2\nnew_coords=1"
REGION = "[region]\nanchors=4,6\nclasses=2\nsoftmax={}"


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([conv(14)], "a.cfg: no [yolo] or [region] section: the network does not detect"),
        (
            [conv(4), conv(14), YOLO, section("route", {"layers": 0}), conv(8), OTHER_CLASSES],
            "a.cfg:23: [yolo]: the heads differ in their classes (2 and 3)",
        ),
        (
            [conv(4), conv(14), YOLO, section("route", {"layers": 0}), conv(7, activation="logistic"), SQUARED],
            "a.cfg:23: [yolo]: [yolo] and [region] heads in one network are not supported",
        ),
        (
            [conv(4), conv(14), YOLO, section("route", {"layers": 0}), conv(7), REGION.format(1)],
            "a.cfg:23: [region]: [yolo] and [region] heads in one network are not supported",
        ),
        (
            [conv(4), conv(5), section("route", {"layers": 0}), conv(14), YOLO],
            "a.cfg:8: [convolutional]: no [yolo] or [region] section uses this layer; such networks are not supported",
        ),
    ],
)
def test_faults_of_detectors(parts, message):
    assert fault(sections(*parts), make_detector_plan) == message


def test_a_canvas_that_does_not_fit():
    text = detector(conv(4, 3, stride=32, pad=1))
    assert fault(text, make_detector_plan, canvas=(64, 100)) == (
        "a.cfg:14: [yolo]: a grid of 2 x 4 does not divide the canvas of 64 x 100; "
        "give another size, such as multiples of 32"
    )


def test_the_largest_number_of_layers():
    assert len(layers(*[("dropout", {})] * MOST_LAYERS)) == MOST_LAYERS


def test_every_kind_of_section_names_itself_in_a_fault():
    for kind in KINDS:
        message = fault(
            sections(conv(14), (kind, {"anchors": "1,2", "classes": 9, "from": 0, "layers": 0, "nonsense": 1}))
        )
        assert message.startswith("a.cfg:")
        assert f": [{kind}]" in message
