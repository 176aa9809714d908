"""Keras layers of a network that a Darknet file describes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import layers, ops

from yolo.darknet import network as darknet
from yolo.darknet.network import PICTURE, Plan
from yolo.model.networks.layers import ACTIVATIONS, Convolutions, MaxPool, Reorganize
from yolo.ops.boxes import Tensor


def build_plan(images: Tensor, conv: Convolutions, biases: Sequence[Any], *, plan: Plan) -> list[Tensor]:
    """Build the network of a plan.

    Args:
        images: (B, H, W, 3), RGB in 0..255, on the plan's canvas.
        conv: factory of the convolutions.
        biases: (A x (5 + C),) first biases of each head, coarse to fine.
        plan: of a detection network.

    Returns:
        One (B, h, w, A x (5 + C)) map per head, coarse to fine. The convolution before a head is
        always linear: its activation is part of decoding.
    """
    # The plan guarantees that the convolution of a head comes directly before it.
    head_biases = {head.index - 1: bias for head, bias in zip(plan.heads, biases, strict=True)}
    picture, outputs = layers.Rescaling(1 / 255)(images), list[Tensor]()
    for layer in plan.layers:
        inputs = [picture if index == PICTURE else outputs[index] for index in layer.inputs]
        if isinstance(layer.settings, darknet.Convolution):
            outputs.append(_convolution(layer.settings, inputs[0], conv, head_biases.get(layer.index)))
        else:
            outputs.append(_other(layer.settings, inputs))
    return [outputs[head.index] for head in plan.heads]


def _convolution(settings: darknet.Convolution, x: Tensor, conv: Convolutions, head_bias: Any) -> Tensor:
    down, across = settings.strides
    depthwise = settings.groups == settings.channels == settings.filters > 1 and down == across
    return conv(
        x,
        settings.filters,
        settings.size,
        # TensorFlow's depthwise kernel accepts only equal strides, so does Keras' check of "same".
        down if down == across else (down, across),
        padding=settings.padding,
        groups=settings.groups,
        depthwise=depthwise,
        activation="linear" if head_bias is not None else settings.activation,
        batch_norm=settings.batch_normalize,
        head_bias=head_bias,
    )


def _other(settings: darknet.Settings, inputs: list[Tensor]) -> Tensor:
    """Output of a section without weights."""
    x = inputs[0]
    match settings:
        case darknet.MaxPool():
            x = _max_pool(settings, x)
        case darknet.AveragePool():
            x = layers.GlobalAveragePooling2D(keepdims=True)(x)
        case darknet.Upsample():
            x = layers.UpSampling2D(settings.stride)(x)
            x = x if settings.scale == 1 else x * settings.scale
        case darknet.Route():
            x = _route(settings, inputs)
        case darknet.Shortcut():
            x = ACTIVATIONS[settings.activation](_sum(inputs))
        case darknet.Scale():
            x = ACTIVATIONS[settings.activation](inputs[1] * x)
        case darknet.Dropout():
            x = layers.Dropout(settings.probability)(x)
        case darknet.Reorganize():
            x = Reorganize(settings.stride)(x)
        case darknet.Softmax():
            x = ops.softmax(x)
    return x  # a head only describes its input


def _max_pool(settings: darknet.MaxPool, x: Tensor) -> Tensor:
    """Keras' own pooling where its "same" pads as Darknet does: less than two cells in total per axis."""
    size, strides, padding = settings.size, settings.strides, settings.padding
    same = padding == size - 1 and (strides == (1, 1) or (size == 2 and strides == (2, 2)))
    return layers.MaxPooling2D(size, strides, padding="same")(x) if same else MaxPool(size, strides, padding)(x)


def _route(settings: darknet.Route, inputs: list[Tensor]) -> Tensor:
    """Concatenate the inputs' channels, or one group of the channels of each."""
    if settings.groups > 1:
        widths = [each.shape[-1] // settings.groups for each in inputs]
        inputs = [
            each[..., settings.group * width : (settings.group + 1) * width]
            for each, width in zip(inputs, widths, strict=True)
        ]
    return inputs[0] if len(inputs) == 1 else layers.concatenate(inputs)


def _sum(inputs: list[Tensor]) -> Tensor:
    """Sum with the channels of the first input: missing ones count as 0, surplus ones are dropped."""
    channels = inputs[0].shape[-1]
    return layers.add([_with_channels(each, channels) for each in inputs])


def _with_channels(x: Tensor, channels: int) -> Tensor:
    lacking = channels - x.shape[-1]
    if lacking > 0:
        return ops.pad(x, ((0, 0), (0, 0), (0, 0), (0, lacking)))
    return x[..., :channels] if lacking < 0 else x
