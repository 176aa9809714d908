"""Conversion of weights between a Detector's layers and Darknet's weights files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from keras import layers, ops

from yolo.darknet.network import Convolution as ConvolutionSettings
from yolo.darknet.weights import ConvolutionWeights, Header, write_weights
from yolo.errors import WeightsError
from yolo.model.detector import Detector
from yolo.model.networks.keras_backbones import backbone_of
from yolo.model.networks.layers import Convolution

TO_KERAS = (2, 3, 1, 0)
"""Axes from (filters, channels, height, width) to (height, width, channels, filters)."""
TO_KERAS_DEPTHWISE = (2, 3, 0, 1)
"""Axes for depthwise kernels, whose filters are their channels."""


def settings_of(layer: Convolution) -> ConvolutionSettings:
    """Darknet settings of a layer, which determine what a weights file holds for it."""
    inner = layer.convolution
    depthwise = isinstance(inner, layers.DepthwiseConv2D)
    size, _, inward, filters = inner.kernel.shape
    return ConvolutionSettings(
        filters=inward if depthwise else filters,
        size=size,
        strides=inner.strides,
        padding=size // 2,
        groups=inward if depthwise else inner.groups,
        batch_normalize=layer.batch_norm is not None,
        activation=layer.activation,
        channels=inward if depthwise else inward * inner.groups,
    )


def set_weights(detector: Detector, convolutions: Sequence[ConvolutionWeights]) -> None:
    """Assign the numbers of a weights file to a detector's first convolutions, as many as the file has."""
    for layer, each in zip(detector.convolutions, convolutions, strict=False):
        depthwise = isinstance(layer.convolution, layers.DepthwiseConv2D)
        layer.convolution.kernel.assign(each.kernel.transpose(TO_KERAS_DEPTHWISE if depthwise else TO_KERAS))
        if layer.batch_norm is None:
            layer.convolution.bias.assign(each.biases)
        else:
            layer.batch_norm.set_weights([each.scales, each.biases, each.means, each.variances])


def get_weights(detector: Detector) -> list[ConvolutionWeights]:
    """Numbers of a detector in the form of a weights file."""
    found = []
    for layer in detector.convolutions:
        depthwise = isinstance(layer.convolution, layers.DepthwiseConv2D)
        kernel = ops.convert_to_numpy(layer.convolution.kernel)
        kernel = kernel.transpose(np.argsort(TO_KERAS_DEPTHWISE if depthwise else TO_KERAS))
        if layer.batch_norm is None:
            found.append(ConvolutionWeights(ops.convert_to_numpy(layer.convolution.bias), kernel))
        else:
            scales, biases, means, variances = layer.batch_norm.get_weights()
            found.append(ConvolutionWeights(biases, kernel, scales, means, variances))
    return found


def save_darknet_weights(detector: Detector, path: str | Path) -> None:
    """Write a detector's weights as a Darknet file, with the version and image count they came with.

    Raises:
        WeightsError: the network is not Darknet's, or the file cannot be written.
    """
    if backbone_of(detector.network) is not None or not detector.convolutions:
        raise WeightsError(f"{path}: {detector.variant} is not a Darknet network; save it as .keras")
    write_weights(path, _header_of(detector, path), get_weights(detector))


def _header_of(detector: Detector, path: str | Path) -> Header:
    """Darknet header recorded with the weights; training adds the images seen since.

    Raises:
        WeightsError: the record of the header in the model file is damaged.
    """
    try:
        header = Header(**{key: int(value) for key, value in detector.origin.get("darknet", {}).items()})
    except (AttributeError, TypeError, ValueError) as error:
        raise WeightsError(f"{path}: the model's record of its Darknet header is damaged ({error})") from error
    fits = header.wide or header.seen < 2**31
    return header if fits else replace(header, minor=2)
