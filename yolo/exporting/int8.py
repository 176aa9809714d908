"""Conversion of a detector to an int8 file, calibrated on pictures."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from yolo.config import Format
from yolo.conversion import litert_file, onnx_file, openvino_file
from yolo.conversion.conversion import Conversion
from yolo.conversion.description import Description
from yolo.errors import ConfigError
from yolo.exporting import quantize_litert, quantize_onnx, quantize_openvino
from yolo.exporting.calibration import PICTURES, Canvases
from yolo.exporting.quantisers import check_quantiser
from yolo.exporting.quiet import quiet
from yolo.runtimes.detector import RuntimeDetector

if TYPE_CHECKING:
    from yolo.model.detector import Detector
    from yolo.structs import Dataset

logger = logging.getLogger(__name__)

LARGEST_LOSS = 0.01
"""AP50 in 0..1 that int8 may cost on the pictures of calibration, before layers are put back to float."""


def to_int8(
    detector: Detector, file_format: Format, conversion: Conversion, data: Dataset | None
) -> tuple[Any, Description]:
    """Convert a detector to a model with int8 convolutions; input and outputs stay float32.

    Raises:
        ConfigError: there are no pictures to calibrate on, the quantiser is not installed, or cannot take the outputs.
        MediaError: none of the pictures can be read.
    """
    if data is None:
        raise ConfigError("precision int8 needs pictures to calibrate on: --data DATA")
    if file_format == "litert" and conversion.contents == "detections":
        raise ConfigError(
            "precision int8: LiteRT's quantiser cannot take a suppression that iterates; give --outputs predictions"
        )
    check_quantiser(file_format)
    pictures = Canvases(data, detector.canvas, detector.letterbox, batch=conversion.batch or 1)
    logger.info("int8: calibrating on %d pictures of %s", pictures.pictures, data.name)
    plain = replace(conversion, precision="float32")
    with quiet():
        if file_format == "onnx":
            return _onnx(detector, plain, pictures)
        if file_format == "litert":
            return _litert(detector, plain, pictures)
        return _openvino(detector, plain, pictures, data)


def _onnx(detector: Detector, conversion: Conversion, pictures: Canvases) -> tuple[Any, Description]:
    model, described = onnx_file.to_onnx(detector, conversion)
    description = replace(described, precision="int8")
    quantized = quantize_onnx.quantize(model, pictures)
    onnx_file.set_description(quantized, description)
    return quantized, description


def _litert(detector: Detector, conversion: Conversion, pictures: Canvases) -> tuple[bytes, Description]:
    model, described = litert_file.to_litert(detector, conversion)
    description = replace(described, precision="int8")
    return litert_file.with_description(quantize_litert.quantize(model, pictures), description), description


def _openvino(detector: Detector, conversion: Conversion, pictures: Canvases, data: Dataset) -> tuple[Any, Description]:
    """Quantise all but the float part; if that costs too much, put more layers back, by NNCF's accuracy control."""
    model, described = openvino_file.to_openvino(detector, conversion)
    description = replace(described, precision="int8")
    shown = data.subset(np.arange(min(len(data), PICTURES)))

    def accuracy(compiled: Any) -> float:
        return ap50(compiled, description, shown)

    quantized = quantize_openvino.quantize(model, pictures)
    whole, lower = (accuracy(_compiled(each)) for each in (model, quantized))
    if lower < whole - LARGEST_LOSS:
        logger.info("int8: AP50 %.4f instead of %.4f; layers that cost most are put back to float", lower, whole)
        quantized = quantize_openvino.quantize_accurately(model, pictures, accuracy, largest_loss=LARGEST_LOSS)
    openvino_file.set_description(quantized, description)
    return quantized, description


def _compiled(model: Any) -> Any:
    import openvino

    return openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


class _InMemory:
    """Compiled OpenVINO model as a `Network`."""

    runtime, precision, parallel = "openvino", "int8", 1

    def __init__(self, compiled: Any, outputs: list[str]):
        self._compiled, self._outputs = compiled, outputs

    def __call__(self, images: Any) -> list[Any]:
        results = self._compiled.create_infer_request().infer([images])  # calls come from several threads
        return [np.array(results[name]) for name in self._outputs]


def ap50(compiled: Any, description: Description, data: Dataset) -> float:
    """AP50 in 0..1 of a compiled OpenVINO model on a dataset."""
    from yolo.evaluation.evaluator import EVALUATION_NMS, evaluate

    nms = (
        description.nms if description.contents == "detections" else replace(description.nms, conf=EVALUATION_NMS.conf)
    )
    found = RuntimeDetector(description, _InMemory(compiled, description.outputs))
    value = evaluate(found, data, nms=nms, batch=description.batch or 8, resamples=0)["coco"]["AP50"]
    return 0.0 if value is None else float(value)
