"""Conversion to OpenVINO: `NAME.xml` with `NAME.bin` beside it."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolo.conversion.conversion import MAPS, Conversion, check_precision
from yolo.conversion.description import Description
from yolo.conversion.entries import entry_texts, model_info
from yolo.conversion.graph import network_function, traced
from yolo.system.telemetry import no_telemetry

if TYPE_CHECKING:
    from yolo.model.detector import Detector

INFO = "model_info"
"""Section of an OpenVINO model's runtime information in which all programs look for what describes it."""


def to_openvino(detector: Detector, conversion: Conversion = MAPS) -> tuple[Any, Description]:
    """Convert a detector to an `openvino.Model`."""
    no_telemetry()
    import openvino

    check_precision("openvino", conversion.precision)
    function, description = network_function(detector, conversion), conversion.describe(detector)
    model = openvino.convert_model(traced(function))
    for output, name in zip(model.outputs, sorted(description.outputs), strict=True):  # as TensorFlow sorts a dict
        output.get_tensor().set_names({name})
    set_description(model, description)
    return model, description


def set_description(model: Any, description: Description) -> None:
    """Store a description, and what other programs read, in an `openvino.Model`."""
    for name, value in {**entry_texts(description), **model_info(description)}.items():
        model.set_rt_info(value, [INFO, name])


def write_openvino(model: Any, description: Description, path: Path) -> None:
    """Write the ``.xml`` and the ``.bin`` of a model, in the precision that the description says.

    Raises:
        OSError: they cannot be written, for which OpenVINO has no error of its own.
    """
    no_telemetry()
    import openvino

    try:
        openvino.save_model(model, str(path), compress_to_fp16=description.precision == "float16")
    except RuntimeError as error:
        reason = (str(error).strip().splitlines() or [""])[-1]
        raise OSError(errno.EIO, f"OpenVINO: {reason}", str(path)) from error
