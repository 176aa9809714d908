"""Feature maps of a layer and filters of the first one, as values that can be drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from yolo.explaining.layers import find_layer
from yolo.explaining.look import Look
from yolo.explaining.receptive_field import Field, effective_field, receptive_field

if TYPE_CHECKING:
    from yolo.ops.boxes import Tensor

Floats = NDArray[np.float32]


def feature_maps(look: Look, layer: str) -> Floats:
    """Feature maps (h, w, channels) of a layer for a picture, those that vary most first.

    Raises:
        ConfigError: there is no such layer.
    """
    from yolo.model.backend.activations import trace

    network = look.detector.network
    (values,) = trace(network, network.outputs, [find_layer(network, layer)], look.canvas).activations
    order = np.argsort(-values[0].std(axis=(0, 1)), kind="stable")
    return values[0][..., order]


def filter_pictures(kernel: Floats) -> Floats:
    """Filters of a kernel (h, w, 3, filters) as pictures (filters, h, w, 3) in 0..1, the largest ones first.

    A weight of 0 is the grey 0.5; each filter is scaled by its own largest weight.
    """
    filters = np.moveaxis(kernel, -1, 0)
    size = np.abs(filters).max(axis=(1, 2, 3), keepdims=True)
    order = np.argsort(-size.ravel(), kind="stable")
    return (0.5 + 0.5 * filters / np.maximum(size, 1e-12))[order]


def fields_of(look: Look, output: Tensor, cell: tuple[int, int]) -> tuple[Field, Field]:
    """Theoretical and effective receptive field, in canvas pixels, of a cell (row, column) of a layer's output."""
    from yolo.model.backend.activations import trace

    network = look.detector.network
    traced = trace(network, [output], [network.inputs[0]], look.canvas)
    weights = np.zeros_like(traced.outputs[0])
    weights[:, cell[0], cell[1]] = 1.0
    (gradient,) = traced.pull([weights])
    return receptive_field(network, output, cell), effective_field(gradient[0])


def cell_at(look: Look, output: Tensor, point: tuple[float, float]) -> tuple[int, int]:
    """Cell (row, column) of a layer's output at a point (x, y) of the picture."""
    x, y = look.box.boxes_to_canvas(np.array([[*point, *point]], np.float32))[0, :2].tolist()
    (height, width), (rows, columns) = look.box.canvas_size, output.shape[1:3]
    return min(int(y * rows / height), rows - 1), min(int(x * columns / width), columns - 1)
