"""ONNX models in int8, by ONNX Runtime's quantiser, in the QDQ form that other programs read as well."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.exporting.calibration import Canvases
from yolo.exporting.float_part import float_part


def quantize(model: Any, calibration: Canvases) -> Any:
    """Quantise an `onnx.ModelProto` to int8, all but its float part; its metadata is kept.

    Weights are int8, a scale each channel, and activations uint8, as the instruction of AVX-512 VNNI multiplies
    unsigned by signed: with int8 activations a network with ReLU was no faster than in float32, one with leaky ReLU a
    little slower than so. Ranges are the smallest and largest value seen; entropy and percentiles took six times as
    long and were not better.

    Args:
        model: float32 model with one input, images (B, H, W, 3).
        calibration: pictures on the model's canvas.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with TemporaryDirectory() as folder:
        given, prepared, result = (Path(folder) / name for name in ("given.onnx", "prepared.onnx", "int8.onnx"))
        onnx.save(model, str(given))
        # Shapes, and what constant folding leaves: the quantiser sees more of the graph.
        quant_pre_process(str(given), str(prepared), skip_symbolic_shape=True)
        graph = onnx.load(prepared).graph
        quantize_static(
            str(prepared),
            str(result),
            _reader(graph.input[0].name, calibration),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_exclude=float_nodes(graph),
        )
        quantized = onnx.load(result)
    onnx.helper.set_model_props(quantized, {entry.key: entry.value for entry in model.metadata_props})
    return quantized


def float_nodes(graph: Any) -> list[str]:
    """Names of the nodes of an `onnx.GraphProto` that stay in float."""
    makers = {output: node.name for node in graph.node for output in node.output}
    inputs = {node.name: [makers[name] for name in node.input if name in makers] for node in graph.node}
    return float_part(inputs, {node.name for node in graph.node if node.op_type == "Conv"})


def _reader(name: str, calibration: Canvases) -> Any:
    """Reader of calibration pictures as ONNX Runtime wants it."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._pictures = iter(calibration)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            picture = next(self._pictures, None)
            return None if picture is None else {name: picture}

    return Reader()
