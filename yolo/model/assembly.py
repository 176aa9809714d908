"""Keras networks built from an architecture: a detector's own, and further graphs that share its layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from yolo.errors import ConfigError
from yolo.model.architecture import Architecture, design
from yolo.model.networks.layers import Convolution, Convolutions
from yolo.ops.boxes import Tensor

OBJECTS_EXPECTED = 8
"""Objects per image that the heads' initial biases assume."""


def assemble(architecture: Architecture, classes: int, convolutions: Convolutions) -> keras.Model:
    """Build the network of an architecture for a number of classes from these convolutions."""
    canvas = architecture.canvas
    images = keras.Input((*canvas, 3), name="images")
    biases = [
        np.tile(head_bias(stride, len(shapes), classes, canvas), len(shapes))
        for stride, shapes in zip(architecture.strides, architecture.anchors, strict=True)
    ]
    maps = architecture.build(images, convolutions, biases)
    shaped = [
        layers.Reshape((*raw.shape[1:3], len(shapes), 5 + classes), dtype="float32")(raw)
        for raw, shapes in zip(maps, architecture.anchors, strict=True)
    ]
    return keras.Model(images, shaped, name="network")


def head_bias(stride: int, anchors: int, classes: int, canvas: tuple[int, int]) -> NDArray[np.float32]:
    """Initial biases (5 + C,) of a slot: objectness near its frequency, classes at 1 / C.

    Starting at the prior keeps the many empty slots from dominating the first steps (Lin et al. 2017, Focal Loss,
    section 3.3).
    """
    slots = canvas[0] // stride * (canvas[1] // stride) * anchors
    objectness = min(0.1, OBJECTS_EXPECTED / slots)
    of_class = min(0.9, 1 / classes)
    bias = np.zeros(5 + classes, np.float32)
    bias[4], bias[5:] = np.log(objectness / (1 - objectness)), np.log(of_class / (1 - of_class))
    return bias


class SameConvolutions(Convolutions):
    """Factory that returns a network's existing convolutions again, in the order in which they were made."""

    def __init__(self, made: Sequence[Convolution]):
        super().__init__(seed=0)
        self._rest = iter(made)

    def __call__(self, inputs: Tensor, *_: Any, **options: Any) -> Tensor:  # noqa: ARG002 - they were built with these
        return next(self._rest)(inputs)


def network_on(
    architecture: Architecture, classes: int, convolutions: Sequence[Convolution], canvas: tuple[int, int]
) -> keras.Model:
    """Build the network for another (height, width) from the same layers, and so the same weights (multi-scale).


    Args:
        architecture: architecture of the existing network.
        classes: number of classes.
        convolutions: existing convolutions, in the order of Darknet's files.
        canvas: (height, width) of the new network.

    Raises:
        ConfigError: the canvas is not a multiple of the network's strides, or the backbone is a Keras one, which has
            a fixed size.
    """
    if architecture.fixed_canvas:
        raise ConfigError(f"model {architecture.model}: a Keras backbone has a fixed size; leave out multi_scale")
    other = design(
        architecture.model,
        cfg=architecture.cfg,
        classes=classes,
        anchors=architecture.anchors,
        size=canvas,
        letterbox=architecture.letterbox,
    )
    return assemble(other, classes, SameConvolutions(convolutions))
