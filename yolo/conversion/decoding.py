"""Decoding and suppression as part of a TensorFlow function, on a fixed canvas or on any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from keras import ops

from yolo.config import NmsConfig
from yolo.ops.decode import Predictions, decode, decode_boxes
from yolo.ops.nms import suppress
from yolo.ops.slots import Slots
from yolo.ops.suppression import Kept

if TYPE_CHECKING:
    from yolo.model.detector import Detector

Tensors = dict[str, Any]
"""Outputs by their names in `Description.outputs`."""


def decoded(detector: Detector, maps: Sequence[Any]) -> Predictions:
    """Decode raw maps (B, h, w, A x (5 + C)), coarse to fine, whose h and w need not be known yet."""
    counts = [len(shapes) for shapes in detector.architecture.anchors]
    if None not in [side for raw in maps for side in raw.shape[1:3]]:
        stride = detector.architecture.strides[0]
        slots = detector.slots_on((maps[0].shape[1] * stride, maps[0].shape[2] * stride))
        shaped = [
            ops.reshape(raw, (-1, *raw.shape[1:3], count, 5 + len(detector.classes)))
            for raw, count in zip(maps, counts, strict=True)
        ]
        return decode(shaped, slots)
    scales = [_decoded_scale(detector, raw, index) for index, raw in enumerate(maps)]
    return Predictions(*(ops.concatenate(parts, axis=1) for parts in zip(*scales, strict=True)))


def _decoded_scale(detector: Detector, raw: Any, index: int) -> Predictions:
    """Decode the map of one scale, its grid made from its shape when it runs."""
    shape, size = detector.architecture, 5 + len(detector.classes)
    anchors = shape.anchors[index].astype(np.float32)
    batch, rows, columns = (ops.shape(raw)[axis] for axis in range(3))
    row, column = ops.meshgrid(ops.arange(rows), ops.arange(columns), indexing="ij")
    cells = ops.cast(ops.stack([ops.reshape(column, (-1,)), ops.reshape(row, (-1,))], axis=-1), "float32")
    scale = (shape.coding.scale_xy or (1.0,) * len(shape.strides))[index]
    # One axis for cells and one for anchors, so that both broadcast and neither is repeated.
    flat = ops.reshape(raw, (batch, -1, len(anchors), size))
    on_grid: dict[str, Any] = {
        "cell": cells[:, None],
        "stride": np.float32(shape.strides[index]),
        "anchor": anchors,
        "scale_xy": np.float32(scale),
    }
    boxes = decode_boxes(flat[..., :4], Slots(**on_grid, layout=None, canvas=(0, 0), coding=shape.coding))  # type: ignore[arg-type]
    classes = ops.softmax(flat[..., 5:]) if shape.coding.softmax else ops.sigmoid(flat[..., 5:])
    return Predictions(
        boxes=ops.reshape(boxes, (batch, -1, 4)),
        objectness=ops.reshape(ops.sigmoid(flat[..., 4]), (batch, -1)),
        classes=ops.reshape(classes, (batch, -1, size - 5)),
    )


def suppressed(predictions: Predictions, nms: NmsConfig, grid: Any) -> Kept:
    """Suppress as `yolo.ops.nms.suppress` does, also where the number of slots is not known yet.

    Args:
        predictions: decoded predictions.
        nms: thresholds and kind of suppression.
        grid: a raw map (B, h, w, ...), whose sides have the ratio of the canvas.
    """
    height, width = (ops.cast(side, "float32") for side in ops.shape(grid)[1:3])
    if predictions.boxes.shape[1] is None:
        predictions = best_slots(predictions, nms.max_candidates)
    return suppress(predictions, nms, canvas=(height, width))


def best_slots(predictions: Predictions, count: int) -> Predictions:
    """Slots with the highest scores, a fixed number of them; where there are fewer, some score -1."""
    scores = predictions.objectness * ops.max(predictions.classes, axis=-1)
    scores = ops.pad(scores, ((0, 0), (0, count)), constant_values=-1.0)
    _, order = ops.top_k(scores, count)
    order = ops.cast(order, "int32")
    boxes, classes = (
        ops.take_along_axis(ops.pad(rows, ((0, 0), (0, count), (0, 0)), constant_values=1.0), order[..., None], axis=1)
        for rows in (predictions.boxes, predictions.classes)
    )
    objectness = ops.pad(predictions.objectness, ((0, 0), (0, count)), constant_values=-1.0)
    return Predictions(boxes, ops.take_along_axis(objectness, order, axis=1), classes)


def predictions_of(found: Predictions) -> Tensors:
    """Boxes (B, P, 4) xyxy in canvas pixels, and scores (B, P, C)."""
    return {"boxes": found.boxes, "scores": found.objectness[..., None] * found.classes}
