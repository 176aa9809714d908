"""Receptive fields: the pixels of the canvas on which one cell of a layer depends.

The theoretical field follows from kernels, strides and padding alone (Araujo et al. 2019, Computing receptive fields of
convolutional neural networks). Here it is computed without formulas: rows and columns that reach the cell are marked
layer by layer, from the cell back to the image, so that padding, pools, branches and borders are exact. The effective
field is where the gradient really lies (Luo et al. 2016), which is far smaller.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.explaining.layers import inputs_of, operations_of, outputs_of

if TYPE_CHECKING:
    import keras

    from yolo.ops.boxes import Tensor

Mask = NDArray[np.bool_]
"""Marked rows, or columns, of a map."""
MASS = 0.95
"""Share of the gradient that the effective field holds."""


class Field(NamedTuple):
    """Rectangle of canvas pixels, edges included as continuous coordinates: x1, y1, x2, y2."""

    x1: int
    y1: int
    x2: int
    y2: int

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in canvas pixels."""
        return self.y2 - self.y1, self.x2 - self.x1


def receptive_field(network: keras.Model, output: Tensor, cell: tuple[int, int]) -> Field:
    """Smallest rectangle of the canvas with all pixels on which a cell (row, column) of a layer's output depends.

    Operations whose reach is unknown, and pooling over the whole map, reach everywhere.

    Raises:
        ValueError: the layer has no such cell.
    """
    rows, columns = (_one(int(length), at) for length, at in zip(output.shape[1:3], cell, strict=True))
    start = {id(output): (rows, columns)}
    reached = _back(network, start)
    down, across = (np.flatnonzero(axis).tolist() for axis in reached[id(network.inputs[0])])
    if not down or not across:
        return Field(0, 0, 0, 0)
    return Field(across[0], down[0], across[-1] + 1, down[-1] + 1)


def effective_field(gradient: NDArray[np.float32]) -> Field:
    """Rectangle around the centre of mass of a gradient (H, W, 3) that holds `MASS` of its absolute values per axis."""
    weight = np.abs(gradient).sum(axis=-1)
    spans = [_span(weight.sum(axis=axis)) for axis in (0, 1)]  # columns, then rows
    (x1, x2), (y1, y2) = spans
    return Field(x1, y1, x2, y2)


def _span(weights: NDArray[np.float32]) -> tuple[int, int]:
    """First and last index, exclusive, between the two tails of (1 - `MASS`) / 2 each."""
    total = np.cumsum(weights, dtype=np.float64)
    if not total[-1] > 0:
        return 0, 0
    tail = (1 - MASS) / 2 * total[-1]
    return int(np.searchsorted(total, tail, side="right")), int(np.searchsorted(total, total[-1] - tail)) + 1


def _one(length: int, index: int) -> Mask:
    if not 0 <= index < length:
        raise ValueError(f"expected a cell in 0..{length - 1}, got {index}")
    mask = np.zeros(length, bool)
    mask[index] = True
    return mask


def _back(network: keras.Model, marked: dict[int, tuple[Mask, Mask]]) -> dict[int, tuple[Mask, Mask]]:
    """Rows and columns of every tensor, by id, on which the marked ones depend."""
    import keras

    reached = dict(marked)

    def mark(tensor: Tensor, masks: tuple[Mask, Mask]) -> None:
        before = reached.get(id(tensor))
        reached[id(tensor)] = masks if before is None else (before[0] | masks[0], before[1] | masks[1])

    for tensor in network.inputs:
        reached.setdefault(id(tensor), tuple(np.zeros(int(side), bool) for side in tensor.shape[1:3]))  # type: ignore[arg-type]
    for operation in reversed(operations_of(network)):
        if isinstance(operation, keras.layers.InputLayer):
            continue
        outputs = [each for each in outputs_of(operation) if id(each) in reached]
        if not outputs:
            continue
        if isinstance(operation, keras.Model):
            pairs = zip(operation.outputs, outputs_of(operation), strict=True)
            inner = {id(own): reached[id(outer)] for own, outer in pairs if id(outer) in reached}
            found = _back(operation, inner)
            for own, outer in zip(operation.inputs, inputs_of(operation), strict=True):
                mark(outer, found[id(own)])
            continue
        for tensor in inputs_of(operation):
            for output in outputs:
                mark(tensor, _through(operation, tensor, reached[id(output)]))
    return reached


def _through(operation: Any, source: Tensor, masks: tuple[Mask, Mask]) -> tuple[Mask, Mask]:
    """Rows and columns of an operation's input on which marked ones of its output depend."""
    step = _step(operation)
    lengths = [_length(source, axis) for axis in (1, 2)]
    along = [step(axis, length, mask) for axis, (length, mask) in enumerate(zip(lengths, masks, strict=True))]
    return along[0], along[1]


def _length(tensor: Tensor, axis: int) -> int:
    """Length of a spatial axis; 1 where a tensor has none."""
    return int(tensor.shape[axis]) if len(tensor.shape) > axis and tensor.shape[axis] else 1


def _step(operation: Any) -> Callable[[int, int, Mask], Mask]:
    """Function from (axis, length of the input, marked outputs) to the marked inputs of an operation."""
    from keras import layers

    from yolo.model.networks.layers import Convolution, MaxPool

    inner = operation.convolution if isinstance(operation, Convolution) else operation
    match inner:
        case layers.Conv2D() | layers.DepthwiseConv2D() | layers.SeparableConv2D():
            side = operation.padding.padding if isinstance(operation, Convolution) and operation.padding else None
            return lambda axis, length, mask: _windows(
                mask,
                length,
                kernel=inner.kernel_size[axis],
                stride=inner.strides[axis],
                dilation=inner.dilation_rate[axis],
                before=side[axis][0] if side else _before(inner, axis, length, inner.dilation_rate[axis]),
            )
        case layers.MaxPooling2D() | layers.AveragePooling2D():
            return lambda axis, length, mask: _windows(
                mask,
                length,
                kernel=inner.pool_size[axis],
                stride=inner.strides[axis],
                before=_before(inner, axis, length, 1),
            )
        case MaxPool():
            return lambda axis, length, mask: _windows(
                mask, length, kernel=inner.size, stride=inner.strides[axis], before=inner.padding // 2
            )
        case layers.ZeroPadding2D():
            return lambda axis, length, mask: mask[inner.padding[axis][0] :][:length]
        case layers.UpSampling2D() if inner.interpolation == "nearest":
            return lambda axis, length, mask: np.asarray(mask.reshape(length, inner.size[axis]).any(axis=1))
    return _pointwise


def _before(operation: Any, axis: int, length: int, dilation: int) -> int:
    """Padding before the first cell: none, or TensorFlow's for ``same``."""
    if operation.padding != "same":
        return 0
    kernel = operation.kernel_size[axis] if hasattr(operation, "kernel_size") else operation.pool_size[axis]
    stride = operation.strides[axis]
    reach = (kernel - 1) * dilation + 1
    return max((-(-length // stride) - 1) * stride + reach - length, 0) // 2


def _windows(mask: Mask, length: int, *, kernel: int, stride: int, before: int, dilation: int = 1) -> Mask:
    """Inputs in the windows of the marked outputs."""
    starts = np.flatnonzero(mask) * stride - before
    index = (starts[:, None] + np.arange(kernel) * dilation).ravel()
    marked = np.zeros(length, bool)
    marked[index[(index >= 0) & (index < length)]] = True
    return marked


def _pointwise(_: int, length: int, mask: Mask) -> Mask:
    """Cell by cell where the lengths agree; everywhere where one is spread over all, or the reach is unknown."""
    return mask.copy() if len(mask) == length else np.full(length, mask.any())
