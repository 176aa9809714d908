"""Parser of a Darknet network file into layers with checked settings, inputs and shapes.

It follows the rules of the Darknet program (parser.c of the pjreddie and AlexeyAB versions).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NoReturn

from yolo.config import LetterboxMode, NmsConfig
from yolo.darknet.cfg import MOST_LAYERS, Section, split_sections
from yolo.darknet.network import (
    PICTURE,
    AveragePool,
    Convolution,
    Dropout,
    Head,
    Layer,
    MaxPool,
    Plan,
    Reorganize,
    Route,
    Scale,
    Settings,
    Shape,
    Shortcut,
    Softmax,
    Upsample,
    head_of,
)
from yolo.errors import ConfigError

ACTIVATIONS = ("linear", "leaky", "relu", "relu6", "logistic", "mish", "swish")
MOST_SOURCES = 100
"""Largest number of layers that one layer may refer to."""
LARGEST_SIDE = 16384
LARGEST_MAP = 2**28
"""Largest number of values in one layer's output for one image."""
MOST_WEIGHTS = 2**30
"""Largest number of weights in a network."""


def make_plan(text: str, source: str = "network", *, canvas: tuple[int, int] | None = None) -> Plan:
    """Parse the text of a network file.

    Args:
        text: text of a ``.cfg`` file.
        source: name of the file, for messages.
        canvas: (height, width) of the input; None: that of the file.

    Raises:
        ConfigError: something is wrong or not supported; names file, line and section.
    """
    net, *sections = split_sections(text, source)
    height, width = (net.integer(key, low=1, high=LARGEST_SIDE) for key in ("height", "width"))
    if net.integer("channels", 3) != 3:
        net.fault("only pictures in colour (channels=3) are supported", "channels")
    height, width = canvas or (height, width)
    walk = _Walk(Shape(height, width, 3))
    for section in sections:
        walk.add(section)
    _name_misspelt(net)
    mode: LetterboxMode = "letterbox" if net.flag("letter_box") else "stretch"
    return Plan(source, net, walk.picture[:2], mode, tuple(walk.layers))


def _name_misspelt(net: Section) -> None:
    """Reject an unknown ``[net]`` option that resembles one that matters; other training options are ignored.

    Raises:
        ConfigError: an option looks misspelt.
    """
    ours = ("height", "width", "channels", "letter_box")
    for key in net.options:
        near = get_close_matches(key, ours, 1, 0.8)
        if near and key not in ours:
            net.fault(f"unknown option; is {near[0]} meant?", key)


def make_detector_plan(text: str, source: str = "network", *, canvas: tuple[int, int] | None = None) -> Plan:
    """Parse a detection network as `make_plan` does: it has heads, all of one type and with the same classes.

    Raises:
        ConfigError: it has no heads, or they differ; or an error of `make_plan`.
    """
    plan = make_plan(text, source, canvas=canvas)
    if not plan.heads:
        raise ConfigError(f"{source}: no [yolo] or [region] section: the network does not detect")
    _check_used(plan)
    first = head_of(plan.heads[0])
    for layer in plan.heads:
        head = head_of(layer)
        if head.classes != first.classes:
            layer.section.fault(f"the heads differ in their classes ({first.classes} and {head.classes})")
        if (head.sizes, head.softmax) != (first.sizes, first.softmax):
            layer.section.fault("[yolo] and [region] heads in one network are not supported")
    return plan


def _check_used(plan: Plan) -> None:
    """Reject convolutions that no head uses: Keras would drop them and shift the order of the weights file."""
    used = {head.index for head in plan.heads}
    for layer in reversed(plan.layers):
        if layer.index in used:
            used.update(layer.inputs)
        elif isinstance(layer.settings, Convolution):
            layer.section.fault("no [yolo] or [region] section uses this layer; such networks are not supported")


class _Walk:
    """Parser state: the layers read so far, which later ones may refer to."""

    def __init__(self, picture: Shape):
        self.picture = picture
        self.layers: list[Layer] = []
        self.weights = 0

    def add(self, section: Section) -> None:
        """Read one section whose input is the layer before it."""
        if section.kind not in KINDS:
            section.fault(f"this section is not supported; there are {', '.join(KINDS)}")
        kind = KINDS[section.kind]
        settings, inputs, shape = kind.read(section, self)
        section.finish(COMMON_TRAINING | kind.ignored)
        if any(index >= 0 and isinstance(self.layers[index].settings, Head) for index in inputs):
            section.fault("takes the output of a head; put a [route] to another layer before it")
        if not (0 < shape.height <= LARGEST_SIDE and 0 < shape.width <= LARGEST_SIDE):
            section.fault(f"nothing is left of the picture ({shape.height} x {shape.width}); give a larger size")
        if shape.height * shape.width * shape.channels > LARGEST_MAP:
            section.fault(f"its output of {shape.height} x {shape.width} x {shape.channels} is too large")
        if isinstance(settings, Convolution):
            self.weights += settings.weights
            if self.weights > MOST_WEIGHTS:
                section.fault(f"the network has more than {MOST_WEIGHTS} weights")
        self.layers.append(Layer(len(self.layers), section, inputs, settings, shape))

    @property
    def last(self) -> int:
        return len(self.layers) - 1  # PICTURE (-1) for the first layer

    def shape(self, index: int) -> Shape:
        return self.picture if index == PICTURE else self.layers[index].shape

    def sources(self, section: Section, key: str) -> tuple[int, ...]:
        """Indices of the layers an option refers to: absolute, or relative to this one if negative."""
        found = []
        for value in section.integers(key, low=-MOST_LAYERS):
            index = value if value >= 0 else len(self.layers) + value
            if not 0 <= index < len(self.layers):
                section.fault(f"refers to layer {index}; only the layers 0 to {self.last} come before it", key)
            found.append(index)
        if not 0 < len(found) <= MOST_SOURCES:
            section.fault(f"names {len(found)} layers; expected 1 to {MOST_SOURCES}", key)
        return tuple(found)


Read = tuple[Settings, tuple[int, ...], Shape]


def _strides(section: Section) -> tuple[int, int]:
    stride = section.integer("stride", 1, low=1)
    return section.integer("stride_y", stride, low=1), section.integer("stride_x", stride, low=1)


def _convolutional(section: Section, walk: _Walk) -> Read:
    shape = walk.shape(walk.last)
    section.only(dilation="1", antialiasing="0", binary="0", xnor="0", bin_output="0", flipped="0", share_index="-1")
    section.only(sway="0", rotate="0", stretch="0", stretch_sway="0", deform="0", coordconv="0", reverse="0")
    section.only(dontload="0", dontloadscales="0", assisted_excitation="0")
    size = section.integer("size", 1, low=1)
    padding = size // 2 if section.flag("pad") else section.integer("padding", 0)
    section.asked.add("padding")  # has no effect with pad=1
    settings = Convolution(
        filters=section.integer("filters", 1, low=1),
        size=size,
        strides=_strides(section),
        padding=padding,
        groups=section.integer("groups", 1, low=1),
        batch_normalize=section.flag("batch_normalize"),
        activation=section.choice("activation", ACTIVATIONS, "logistic"),
        channels=shape.channels,
    )
    if shape.channels % settings.groups or settings.filters % settings.groups:
        section.fault(f"{shape.channels} channels and {settings.filters} filters cannot be split evenly", "groups")
    height, width = (
        (side + 2 * padding - size) // stride + 1 for side, stride in zip(shape[:2], settings.strides, strict=True)
    )
    return settings, (walk.last,), Shape(height, width, settings.filters)


def _maxpool(section: Section, walk: _Walk) -> Read:
    section.only(maxpool_depth="0", antialiasing="0")
    shape, strides = walk.shape(walk.last), _strides(section)
    size = section.integer("size", section.integer("stride", 1, low=1), low=1)
    padding = section.integer("padding", size - 1, high=2 * size)
    height, width = ((side + padding - size) // stride + 1 for side, stride in zip(shape[:2], strides, strict=True))
    if padding - padding // 2 >= size:
        section.fault(f"a window of {size} could lie outside of the map; give at most {2 * size - 2}", "padding")
    return MaxPool(size, strides, padding), (walk.last,), Shape(height, width, shape.channels)


def _avgpool(_: Section, walk: _Walk) -> Read:
    return AveragePool(), (walk.last,), Shape(1, 1, walk.shape(walk.last).channels)


def _upsample(section: Section, walk: _Walk) -> Read:
    height, width, channels = walk.shape(walk.last)
    stride = section.integer("stride", 2, low=1)
    settings = Upsample(stride, section.number("scale", 1))
    return settings, (walk.last,), Shape(height * stride, width * stride, channels)


def _route(section: Section, walk: _Walk) -> Read:
    inputs = walk.sources(section, "layers")
    groups = section.integer("groups", 1, low=1)
    group = section.integer("group_id", 0)
    shapes = [walk.shape(index) for index in inputs]
    if group >= groups:
        section.fault(f"there are only {groups} groups, counted from 0", "group_id")
    if len({shape[:2] for shape in shapes}) > 1:
        _mismatch(section, inputs, shapes)
    if any(shape.channels % groups for shape in shapes):
        section.fault(f"{', '.join(str(each.channels) for each in shapes)} channels cannot be split evenly", "groups")
    height, width, _ = shapes[0]
    return Route(groups, group), inputs, Shape(height, width, sum(each.channels for each in shapes) // groups)


def _mismatch(section: Section, inputs: tuple[int, ...], shapes: list[Shape]) -> NoReturn:
    listed = ", ".join(f"{'x'.join(map(str, shape))} of {index}" for index, shape in zip(inputs, shapes, strict=True))
    section.fault(f"the shapes of its sources do not fit together ({listed})")


def _shortcut(section: Section, walk: _Walk) -> Read:
    section.only(weights_type="none", weights_normalization="none", assisted_excitation="0")
    inputs = (walk.last, *walk.sources(section, "from"))
    shapes = [walk.shape(index) for index in inputs]
    if len({shape[:2] for shape in shapes}) > 1:
        _mismatch(section, inputs, shapes)
    return Shortcut(section.choice("activation", ACTIVATIONS, "linear")), inputs, shapes[0]


def _scale_channels(section: Section, walk: _Walk) -> Read:
    inputs = (walk.last, *walk.sources(section, "from"))
    factor, shape = (walk.shape(index) for index in inputs[:2])
    expected = Shape(shape.height, shape.width, 1) if section.flag("scale_wh") else Shape(1, 1, shape.channels)
    if len(inputs) != 2 or factor != expected:
        _mismatch(section, inputs, [walk.shape(index) for index in inputs])
    return Scale(section.choice("activation", ACTIVATIONS, "linear")), inputs, shape


def _sam(section: Section, walk: _Walk) -> Read:
    inputs = (walk.last, *walk.sources(section, "from"))
    shapes = [walk.shape(index) for index in inputs]
    if len(inputs) != 2 or shapes[0] != shapes[1]:
        _mismatch(section, inputs, shapes)
    return Scale(section.choice("activation", ACTIVATIONS, "linear")), inputs, shapes[0]


def _dropout(section: Section, walk: _Walk) -> Read:
    probability = section.number("probability", 0.5, low=0, high=0.999)
    return Dropout(probability), (walk.last,), walk.shape(walk.last)


def _reorg(section: Section, walk: _Walk) -> Read:
    section.only(reverse="0", flatten="0", extra="0")
    height, width, channels = walk.shape(walk.last)
    stride = section.integer("stride", 1, low=1)
    if height % stride or width % stride or channels % (stride * stride):
        section.fault(f"{height} x {width} x {channels} cannot be cut into blocks", "stride")
    return Reorganize(stride), (walk.last,), Shape(height // stride, width // stride, channels * stride * stride)


def _softmax(section: Section, walk: _Walk) -> Read:
    section.only(groups="1", temperature="1", spatial="0")
    shape = walk.shape(walk.last)
    if shape[:2] != (1, 1):  # Darknet would normalize over all cells together
        section.fault(f"only behind a map of one cell, not {shape.height} x {shape.width}")
    return Softmax(), (walk.last,), shape


def _yolo(section: Section, walk: _Walk) -> Read:
    anchors = _anchors(section)
    mask = section.integers("mask") if "mask" in section.options else list(range(len(anchors)))
    if not mask or max(mask) >= len(anchors):
        section.fault(f"there are {len(anchors)} anchors, counted from 0", "mask")
    new_coords = section.flag("new_coords")
    if new_coords and not _behind(walk, "logistic"):
        section.fault("the convolution before it has to be logistic", "new_coords")
    head = Head(
        anchors=tuple(anchors[index] for index in mask),
        classes=section.integer("classes", 20, low=1),
        stride=_stride(section, walk),
        scale_xy=section.number("scale_x_y", 1, low=0.5, high=4),
        sizes="squared" if new_coords else "exponential",
        softmax=False,
        nms_kind=section.text("nms_kind", NmsConfig.kind),
        beta_nms=section.number("beta_nms", NmsConfig.beta, low=0),
    )
    return _checked_head(head, section, walk)


def _region(section: Section, walk: _Walk) -> Read:
    section.only(coords="4", background="0", tree="", map="")
    stride = _stride(section, walk)
    head = Head(
        anchors=tuple((width * stride, height * stride) for width, height in _anchors(section)),
        classes=section.integer("classes", 20, low=1),
        stride=stride,
        scale_xy=1.0,
        sizes="exponential",
        softmax=section.flag("softmax"),
    )
    return _checked_head(head, section, walk)


def _anchors(section: Section) -> list[tuple[float, float]]:
    """Pairs of ``anchors=``, whose number must match ``num=``."""
    values = section.numbers("anchors")
    if not values or len(values) % 2 or min(values) <= 0:
        section.fault("expected pairs of positive widths and heights", "anchors")
    count = section.integer("num", len(values) // 2, low=1)
    if 2 * count > len(values):
        section.fault(f"anchors= holds only {len(values) // 2} pairs", "num")
    return list(zip(values[: 2 * count : 2], values[1 : 2 * count : 2], strict=True))


def _stride(section: Section, walk: _Walk) -> int:
    grid = walk.shape(walk.last)
    down, across = walk.picture.height // grid.height, walk.picture.width // grid.width
    if down != across or (grid.height * down, grid.width * across) != walk.picture[:2]:
        section.fault(
            f"a grid of {grid.height} x {grid.width} does not divide the canvas of {walk.picture.height} x "
            f"{walk.picture.width}; give another size, such as multiples of 32"
        )
    return down


def _behind(walk: _Walk, activation: str) -> bool:
    """Whether the previous layer is a convolution with this activation."""
    settings = walk.layers[-1].settings if walk.layers else None
    return isinstance(settings, Convolution) and settings.activation == activation


def _checked_head(head: Head, section: Section, walk: _Walk) -> Read:
    expected = "logistic" if head.sizes == "squared" else "linear"
    if not _behind(walk, expected):
        section.fault(f"a {expected} [convolutional] section has to stand right before it")
    convolution = walk.layers[-1].section
    filters, needed = walk.layers[-1].shape.channels, len(head.anchors) * (5 + head.classes)
    if filters != needed:
        convolution.fault(
            f"the [{section.kind}] behind it (line {section.line}) needs filters={needed}: "
            f"{len(head.anchors)} anchors x (5 + {head.classes} classes)",
            "filters",
        )
    return head, (walk.last,), walk.shape(walk.last)


_COMMON_TRAINING = """
    clip onlyforward dont_update burnin_update stopbackward train_only_bn learning_rate smooth dontsave
    stream wait_stream
"""
COMMON_TRAINING = frozenset(_COMMON_TRAINING.split())
"""Options of any section that do not change what the network computes."""
_HEAD_TRAINING = """
    jitter resize ignore_thresh truth_thresh random iou_thresh iou_thresh_kind iou_loss iou_normalizer
    obj_normalizer cls_normalizer delta_normalizer uc_normalizer max_delta max map counters_per_class
    label_smooth_eps objectness_smooth focal_loss show_details thresh rescore bias_match
    classfix absolute object_scale noobject_scale class_scale coord_scale mask_scale log
    embedding_layer track_history_size sim_thresh dets_for_track dets_for_show track_ciou_norm
"""
HEAD_TRAINING = frozenset(_HEAD_TRAINING.split())
REGION_IGNORED = HEAD_TRAINING | {"nms_kind", "beta_nms"}
"""Options without effect in ``[region]``: Darknet reads the kind of suppression in ``[yolo]`` alone."""


@dataclass(frozen=True)
class Kind:
    """Reader of one section type: its function and the options it ignores."""

    read: Callable[[Section, _Walk], Read]
    ignored: frozenset[str] = frozenset()


KINDS = {
    "convolutional": Kind(_convolutional),
    "conv": Kind(_convolutional),
    "maxpool": Kind(_maxpool, frozenset({"out_channels"})),
    "max": Kind(_maxpool, frozenset({"out_channels"})),
    "avgpool": Kind(_avgpool),
    "avg": Kind(_avgpool),
    "upsample": Kind(_upsample),
    "route": Kind(_route),
    "shortcut": Kind(_shortcut),
    "scale_channels": Kind(_scale_channels),
    "sam": Kind(_sam),
    "dropout": Kind(_dropout, frozenset({"dropblock", "dropblock_size_rel", "dropblock_size_abs"})),
    "reorg": Kind(_reorg),
    "softmax": Kind(_softmax),
    "yolo": Kind(_yolo, HEAD_TRAINING),
    "region": Kind(_region, REGION_IGNORED),
}
"""Readers of the supported sections by name."""
