"""Conversion to ONNX, by tf2onnx."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from yolo.conversion.description import KEY, Description, describe
from yolo.conversion.graph import maps_function

if TYPE_CHECKING:
    from yolo.model.detector import Detector

OPSET = 17


def to_onnx(detector: Detector) -> tuple[Any, Description]:
    """Convert the network that gives raw maps to an `onnx.ModelProto` of any batch and canvas."""
    import tf2onnx

    function, description = maps_function(detector), describe(detector)
    model, _ = tf2onnx.convert.from_function(function, function.input_signature, opset=OPSET)
    rename_outputs(model, sorted(description.outputs))  # as TensorFlow sorts a dict
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, description.to_text()
    return model, description


def rename_outputs(model: Any, names: list[str]) -> None:
    """Name the outputs of a graph."""
    for output, name in zip(model.graph.output, names, strict=True):
        for node in model.graph.node:
            node.output[:] = [name if each == output.name else each for each in node.output]
            node.input[:] = [name if each == output.name else each for each in node.input]
        output.name = name
