"""Conversion to OpenVINO: `NAME.xml` with `NAME.bin` beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolo.conversion.description import KEY, Description, describe
from yolo.conversion.graph import maps_function
from yolo.system.telemetry import no_telemetry

if TYPE_CHECKING:
    from yolo.model.detector import Detector


def to_openvino(detector: Detector) -> tuple[Any, Description]:
    """Convert the network that gives raw maps to an `openvino.Model` of any batch and canvas."""
    no_telemetry()
    import openvino

    function = maps_function(detector)
    model = openvino.convert_model(function.get_concrete_function())
    description = describe(detector)
    for output, name in zip(model.outputs, sorted(description.outputs), strict=True):  # as TensorFlow sorts a dict
        output.get_tensor().set_names({name})
    model.set_rt_info(description.to_text(), ["model_info", KEY])
    return model, description


def write_openvino(model: Any, path: Path) -> None:
    """Write the ``.xml`` and the ``.bin`` of a model, in the precision its weights have."""
    no_telemetry()
    import openvino

    openvino.save_model(model, str(path), compress_to_fp16=False)
