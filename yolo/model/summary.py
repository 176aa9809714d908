"""Summary of a detector's network, layer by layer: shapes, parameters, operations."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import keras
from keras import layers

from yolo.darknet.summary import Row, Summary, convolution_kind
from yolo.model.detector import Detector
from yolo.model.networks.layers import Convolution


def summarise_detector(detector: Detector) -> Summary:
    """Summarise the layers of a detector's network, those of a nested backbone included."""
    network = detector.network
    trainable = sum(math.prod(weight.shape) for weight in network.trainable_weights)
    return Summary(tuple(_rows(network, "")), trainable, network.count_params() - trainable)


def _rows(network: keras.Model, prefix: str) -> Iterator[Row]:
    """One row per operation; the rows of a nested model appear in its place."""
    operations = network.layers if isinstance(network, keras.Sequential) else network.operations
    for operation in operations:
        if isinstance(operation, keras.Model):
            yield from _rows(operation, f"{prefix}{operation.name}/")
        elif not isinstance(operation, layers.InputLayer):
            yield _row(operation, prefix + operation.name)


def _row(operation: Any, name: str) -> Row:
    shape = tuple(operation.output.shape[1:])
    parameters = operation.count_params() if isinstance(operation, layers.Layer) else 0
    inner = operation.convolution if isinstance(operation, Convolution) else operation
    return Row(name, _kind(operation), shape, parameters, _flops(inner, shape))


def _flops(operation: Any, shape: tuple[int, ...]) -> int:
    """Two operations for each weight of a kernel at each position of the output (h, w, channels)."""
    match operation:
        case layers.SeparableConv2D():
            kernels = [operation.depthwise_kernel, operation.pointwise_kernel]
        case layers.Conv2D() | layers.DepthwiseConv2D() | layers.Dense():
            kernels = [operation.kernel]
        case _:
            kernels = []
    return 2 * sum(math.prod(kernel.shape) for kernel in kernels) * math.prod(shape[:-1])


def _kind(operation: Any) -> str:
    """Description of an operation, such as ``convolution 3x3 /2 leaky``."""
    match operation:
        case Convolution():
            return f"{_kind(operation.convolution)} {operation.activation}"
        case layers.SeparableConv2D():
            return f"separable {convolution_kind(operation.kernel_size, operation.strides)}"
        case layers.DepthwiseConv2D():
            return convolution_kind(operation.kernel_size, operation.strides, depthwise=True)
        case layers.Conv2D():
            return convolution_kind(operation.kernel_size, operation.strides, groups=operation.groups)
    return type(operation).__name__.lower()
