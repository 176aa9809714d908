"""Architecture of a detector: layers and heads of a built-in network, a Darknet file or a Keras backbone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.anchors import published_anchors, sort_anchors
from yolo.config import LetterboxMode, NmsConfig, canvas_size, check
from yolo.darknet import network as darknet
from yolo.darknet.cfg import read_cfg
from yolo.darknet.edit import retarget
from yolo.darknet.network import Plan, head_of
from yolo.darknet.nms import nms_of
from yolo.darknet.plan import make_detector_plan
from yolo.errors import ConfigError
from yolo.model.networks.from_cfg import build_plan
from yolo.model.networks.keras_backbones import PREFIX, backbone_variant
from yolo.model.networks.layers import Convolutions
from yolo.model.networks.yolov3 import VARIANTS, Variant
from yolo.ops.boxes import Tensor
from yolo.ops.slots import YOLOV3, Coding

DEFAULT_SIZE = 416
DEFAULT_LETTERBOX: LetterboxMode = "letterbox"

Anchors = tuple[NDArray[np.float32], ...]
"""(A, 2) widths and heights in canvas pixels per scale, coarse to fine."""


@dataclass(frozen=True)
class Architecture:
    """Everything needed to build a network and to decode its heads."""

    model: str
    """Name of the model: a built-in one, ``keras:NAME`` or that of the Darknet file."""
    build: Callable[[Tensor, Convolutions, Sequence[Any]], list[Tensor]]
    """Function from images (B, H, W, 3) in 0..255 and the heads' initial biases to one map (B, h, w, A x (5 + C)) per
    scale."""
    canvas: tuple[int, int]
    letterbox: LetterboxMode
    strides: tuple[int, ...]
    """Stride of each scale, coarse to fine."""
    anchors: Anchors
    coding: Coding
    nms: NmsConfig = field(default_factory=NmsConfig)
    """Thresholds of the detector unless others are given; a Darknet file says their kind."""
    backbone: int = 0
    """Number of numbered convolutions, counted from the first, that form the backbone."""
    cfg: str | None = None
    """Text of the Darknet network file; None for other models."""
    fixed_canvas: bool = False
    """Whether the layers fit one canvas size only, as those of Keras backbones do."""


def design(
    model: str,
    *,
    cfg: str | None,
    classes: int,
    anchors: Any,
    size: int | tuple[int, int] | None,
    letterbox: LetterboxMode | None,
) -> Architecture:
    """Design the network that a model name means.

    Args:
        model: one of `VARIANTS`, ``keras:`` and the name of a backbone, or the name of a Darknet network file.
        cfg: text of that file; None: read the file.
        classes: number of classes.
        anchors: (A, 2) pairs, distributed over the scales by area, or one such list per scale, coarse to
            fine; None: the network's own.
        size: side of the canvas or (height, width); None: the network's own.
        letterbox: how images are fitted to the canvas; None: the network's own.

    Raises:
        ConfigError: an argument is invalid or does not fit the others.
    """
    if cfg is not None or model.endswith(".cfg"):
        text = read_cfg(model) if cfg is None else cfg
        return _design_cfg(Path(model).name, text, classes=classes, anchors=anchors, size=size, letterbox=letterbox)
    variant, canvas = _find_variant(model), canvas_size(size or DEFAULT_SIZE)
    scales = len(variant.strides)
    flat = published_anchors(variant.anchors, canvas) if anchors is None else anchors
    return Architecture(
        model=model,
        build=variant.build,
        canvas=canvas,
        letterbox=letterbox or DEFAULT_LETTERBOX,
        strides=variant.strides,
        anchors=arrange_anchors(flat, [1] * scales),
        coding=YOLOV3,
        backbone=variant.backbone,
        fixed_canvas=model.startswith(PREFIX),
    )


def _find_variant(model: str) -> Variant:
    if model.startswith(PREFIX):
        return backbone_variant(model)
    known = f"one of {', '.join(VARIANTS)}, a Darknet .cfg file, or {PREFIX}NAME of a backbone in keras.applications"
    check(model in VARIANTS, "model", known, model)
    return VARIANTS[model]


def _design_cfg(
    name: str,
    text: str,
    *,
    classes: int,
    anchors: Any,
    size: int | tuple[int, int] | None,
    letterbox: LetterboxMode | None,
) -> Architecture:
    """Design the network of a Darknet file, adapted to the given classes, anchors and canvas."""
    own = make_detector_plan(text, name, canvas=None if size is None else sides(size))
    counts = [len(head_of(layer).anchors) for layer in own.heads]
    shares = [count // math.gcd(*counts) for count in counts]
    text = retarget(
        text,
        name,
        canvas=own.canvas,
        letterbox=letterbox or own.letterbox,
        classes=classes,
        anchors=None if anchors is None else arrange_anchors(anchors, shares),
    )
    plan = make_detector_plan(text, name)
    heads = [head_of(layer) for layer in plan.heads]
    return Architecture(
        model=name,
        build=partial(build_plan, plan=plan),
        canvas=plan.canvas,
        letterbox=plan.letterbox,
        strides=tuple(head.stride for head in heads),
        anchors=tuple(np.array(head.anchors, np.float32) for head in heads),
        coding=Coding(heads[0].sizes, heads[0].softmax, tuple(head.scale_xy for head in heads)),
        nms=nms_of(plan),
        backbone=_backbone_length(plan),
        cfg=text,
    )


def _backbone_length(plan: Plan) -> int:
    """Count the convolutions that come before the necks.

    The backbone ends with the last section before a head that adds or downsamples; in a plain chain it also includes
    what follows at that size, up to the first 1 x 1 convolution.
    """
    body = plan.layers[: min(head.index for head in plan.heads)]
    ends = [layer.index + 1 for layer in body if _shrinks(layer.settings) or _adds(layer.settings)]
    end = max(ends, default=0)
    if not any(_adds(layer.settings) for layer in body):
        end = next((layer.index for layer in body[end:] if getattr(layer.settings, "size", 1) == 1), end)
    return sum(isinstance(layer.settings, darknet.Convolution) for layer in body[:end])


def _shrinks(settings: darknet.Settings) -> bool:
    return isinstance(settings, darknet.Convolution | darknet.MaxPool) and max(settings.strides) > 1


def _adds(settings: darknet.Settings) -> bool:
    return isinstance(settings, darknet.Shortcut | darknet.Scale)


def sides(size: int | tuple[int, int]) -> tuple[int, int]:
    """Height and width from one side or both; whether a network supports them is checked when its grids are known."""
    both = tuple(size) if isinstance(size, Iterable) else (size, size)
    good = len(both) == 2 and all(isinstance(side, Integral) and side > 0 for side in both)
    check(good, "size", "one number or height and width", size)
    return int(both[0]), int(both[1])


def arrange_anchors(anchors: Any, shares: Sequence[int]) -> Anchors:
    """Distribute anchors over the scales, coarse to fine.

    Args:
        anchors: one list of pairs per scale, kept as it is; or (A, 2) pairs, the largest of which go
            to the coarsest scale.
        shares: proportion of the pairs that each scale gets.

    Raises:
        ConfigError: they are not positive pairs of numbers, or cannot be distributed in that proportion.
    """
    if _nested(anchors):
        check(len(anchors) == len(shares), "anchors", f"one list for each of {len(shares)} heads", len(anchors))
        return tuple(_checked_anchors(each) for each in anchors)
    flat = sort_anchors(_checked_anchors(anchors))
    portion, rest = divmod(len(flat), sum(shares))
    if rest or not portion:
        near = max(1, round(len(flat) / sum(shares))) * sum(shares)
        raise ConfigError(
            f"anchors: {len(flat)} cannot be divided evenly among {len(shares)} heads; fit a multiple of "
            f"{sum(shares)} (yolov3 anchors DATA --count {near} --out FILE)"
        )
    # Sorted by area: the finest scale's come first.
    borders = np.cumsum([portion * share for share in shares[::-1]])[:-1]
    return tuple(np.split(flat, borders)[::-1])


def _nested(anchors: Any) -> bool:
    """Whether these are lists of pairs, one per scale, rather than pairs."""
    try:
        return np.ndim(anchors[0][0]) == 1
    except (TypeError, IndexError, KeyError, ValueError):
        return False


def _checked_anchors(anchors: Any) -> NDArray[np.float32]:
    """Convert to pairs (A, 2) and check them.

    Raises:
        ConfigError: they are not positive pairs of numbers.
    """
    try:
        shapes = np.asarray(anchors, np.float32)
    except (TypeError, ValueError):
        shapes = np.zeros(0, np.float32)
    good = shapes.ndim == 2 and shapes.shape[1] == 2 and bool((shapes > 0).all() and np.isfinite(shapes).all())
    check(good, "anchors", "pairs of positive widths and heights", anchors)
    return shapes
