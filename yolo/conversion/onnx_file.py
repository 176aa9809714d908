"""Conversion to ONNX, by tf2onnx."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolo.conversion.conversion import MAPS, Conversion, check_precision
from yolo.conversion.description import Description
from yolo.conversion.entries import entry_texts
from yolo.conversion.graph import head_function, maps_function
from yolo.conversion.onnx_graph import OPSET, graph_of, joined
from yolo.conversion.onnx_suppression import (
    CANDIDATES,
    candidates_function,
    check_suppression,
    operator_model,
    ranking_function,
)
from yolo.model.backend.precision import computing_in

if TYPE_CHECKING:
    from yolo.model.detector import Detector


def to_onnx(detector: Detector, conversion: Conversion = MAPS) -> tuple[Any, Description]:
    """Convert a detector to an `onnx.ModelProto`.

    Network and decoding are converted one by one and joined, so that the precision of the first is chosen alone.
    """
    check_precision("onnx", conversion.precision)
    description = conversion.describe(detector)
    if conversion.contents == "detections":
        check_suppression(description.nms)
    canvas = detector.canvas if description.fixed_canvas else (None, None)
    with computing_in("float32"):
        maps = maps_function(detector, canvas=canvas, batch=conversion.batch)
    model = graph_of(maps, description.map_names)
    if conversion.precision == "float16":
        model = in_float16(model)
    if conversion.contents == "predictions":
        model = joined(model, graph_of(head_function(detector, conversion), description.outputs))
    elif conversion.contents == "detections":
        model = joined(
            model,
            graph_of(candidates_function(detector, conversion), CANDIDATES),
            operator_model(description.raw_nms, OPSET),
            graph_of(ranking_function(detector, conversion), description.outputs),
        )
    set_description(model, description)
    return model, description


def in_float16(model: Any) -> Any:
    """Copy of a model with weights and computation in float16, inputs and outputs in float32."""
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    half = convert_float_to_float16(model, keep_io_types=True)
    OnnxModel.graph_topological_sort(half.graph)  # the converter puts the casts of inputs at the end
    return half


def set_description(model: Any, description: Description) -> None:
    """Store a description, and what other programs read, in an `onnx.ModelProto`."""
    import onnx

    onnx.helper.set_model_props(model, entry_texts(description))


def write_onnx(model: Any, path: Path) -> None:
    """Write a model."""
    import onnx

    onnx.save(model, str(path))
