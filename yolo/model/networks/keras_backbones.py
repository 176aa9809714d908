"""YOLOv3's neck and heads on the networks of ``keras.applications``: ``keras:EfficientNetB0``.

The backbone is one nested model inside the detector's network, named ``backbone``. It starts with the preprocessing
that its ImageNet weights expect.
"""

from __future__ import annotations

import difflib
import inspect
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import layers

from yolo.errors import ConfigError
from yolo.model.networks.layers import Convolutions
from yolo.model.networks.yolov3 import Variant, pyramid
from yolo.ops.boxes import Tensor
from yolo.system.warning_filters import filtering

PREFIX = "keras:"
"""Prefix of the model names that mean a Keras backbone."""
BACKBONE = "backbone"
"""Name of the nested model."""
STRIDES = (32, 16, 8)
IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
"""Mean of red, green and blue in 0..1."""
IMAGENET_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


def backbone_variant(model: str) -> Variant:
    """Variant for a model name such as ``keras:ResNet50``.

    Raises:
        ConfigError: Keras has no such backbone.
    """
    name = model.removeprefix(PREFIX)
    names = backbone_names()
    if name not in names:
        near = _close(name, names)
        advice = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names)}"
        raise ConfigError(f"model {model}: keras.applications has no {name!r}; {advice}")
    return Variant(
        build=partial(build_detector, name=name),
        strides=STRIDES,
        anchors="yolov3-coco",
        weights=0,
        weights_of_class=0,
        backbone=0,
    )


def backbone_names() -> list[str]:
    """Names of the networks in keras.applications that can be built without their classifier."""
    found = inspect.getmembers(keras.applications, callable)
    return [name for name, constructor in found if "include_top" in inspect.signature(constructor).parameters]


def _close(name: str, names: Sequence[str]) -> list[str]:
    by_lower = {each.lower(): each for each in names}
    return [by_lower[each] for each in difflib.get_close_matches(name.lower(), by_lower, n=4)]


def build_detector(images: Tensor, conv: Convolutions, biases: Sequence[Any], *, name: str) -> list[Tensor]:
    """Build YOLOv3's feature pyramid on a backbone.

    Args:
        images: (B, H, W, 3), RGB in 0..255.
        conv: factory of the convolutions of neck and heads, conv_0, conv_1, ...
        biases: (A x (5 + C),) first biases of each head, coarse to fine.
        name: the backbone in keras.applications.

    Returns:
        One (B, h, w, A x (5 + C)) map for each of the strides 32, 16 and 8.

    Raises:
        ConfigError: the backbone does not take this canvas, or has no maps of these strides.
    """
    backbone = make_backbone(name, images.shape[1:3], seed=conv.seed)
    return pyramid(backbone(preprocessing(name)(images)), conv, biases)


def preprocessing(name: str) -> Callable[[Tensor], Tensor]:
    """Preprocessing that a backbone's ImageNet weights expect for RGB in 0..255; most newer ones contain it already."""
    family = getattr(keras.applications, name).__module__.rpartition(".")[2]
    return getattr(keras.applications, family).preprocess_input


def make_backbone(name: str, canvas: tuple[int, int], *, seed: int) -> keras.Model:
    """Build a backbone with random weights, from preprocessed images to maps of the strides 32, 16 and 8.

    The last map of each stride is taken, as it is the richest: the output of the last block or, where the next stage
    begins with a wider layer before it downsamples (MobileNet, EfficientNet), of that layer. For VGG these are the maps
    before pools 4 and 5, and pool 5 itself for stride 32.

    Raises:
        ConfigError: the backbone does not take this canvas, or has no maps of these strides.
    """
    with _seeded(seed), _named_alike():
        whole = construct(name, canvas, weights=None)
    _teach_normalization(whole)
    return keras.Model(whole.input, [_last_map(whole, name, canvas, stride) for stride in STRIDES], name=BACKBONE)


def construct(name: str, canvas: tuple[int, int], *, weights: str | None) -> keras.Model:
    """Build a network of keras.applications without its classifier; ``weights``: ``imagenet``, or None for random.


    Raises:
        ConfigError: the network, with random weights, does not take this canvas.
    """
    constructor = getattr(keras.applications, name)
    try:
        # Keras warns that MobileNet's weights expect 224 px.
        with filtering("ignore", rf"keras\.|{re.escape(__name__)}"):
            return constructor(include_top=False, weights=weights, input_shape=(*canvas, 3))
    except ValueError as error:
        if weights is not None:
            raise
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"model {PREFIX}{name} on a canvas of {canvas[0]} x {canvas[1]}: {reason}") from error


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed Python's generator, from which Keras draws the seeds of a network's initializers, and restore it on exit."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


@contextmanager
def _named_alike() -> Iterator[None]:
    """Number layer names from 0 inside the context, whatever was built before; Keras counts over the whole process.

    Checkpoints identify variables by their names. Keras has no public way to reset its counters.
    """
    from keras.src.backend.common import global_state

    counters = "object_name_uids"
    before = global_state.get_global_attribute(counters)
    global_state.set_global_attribute(counters, defaultdict(int))
    try:
        yield
    finally:
        global_state.set_global_attribute(counters, before)


def _teach_normalization(whole: keras.Model) -> None:
    """Set the mean and variance of EfficientNet's normalization, which otherwise come with its ImageNet weights.

    With those, Keras appends a division by the square root of the standard deviation (the original divides by the
    variance); here it is folded into the normalization's variance.
    """
    for layer in whole.layers:
        if isinstance(layer, layers.Normalization) and layer.weights:
            layer.adapt_mean.assign(IMAGENET_MEAN)
            layer.adapt_variance.assign(IMAGENET_DEVIATION**3)
            layer.finalize_state()


def _last_map(whole: keras.Model, name: str, canvas: tuple[int, int], stride: int) -> Tensor:
    """Output of the last operation whose map has a stride."""
    size = tuple(side // stride for side in canvas)
    for operation in reversed(whole.operations):
        # Padding before downsampling can give a map the size of a larger one.
        if tuple(operation.output.shape[1:3]) == size and not isinstance(operation, layers.ZeroPadding2D):
            return operation.output
    raise ConfigError(
        f"model {PREFIX}{name}: has no map of stride {stride} on a canvas of {canvas[0]} x {canvas[1]}; "
        "use a backbone that downsamples by whole factors, such as ResNet50"
    )


def backbone_of(network: keras.Model) -> keras.Model | None:
    """Keras backbone of a detector's network, or None."""
    return next((layer for layer in network.layers if layer.name == BACKBONE), None)
