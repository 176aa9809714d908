"""Conversion of a detector's network into the file of a runtime."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from yolo.conversion.description import Description
from yolo.system.startup import silenced_stderr

if TYPE_CHECKING:
    from yolo.model.detector import Detector


def convert_into(path: Path, detector: Detector, runtime: str) -> Description:
    """Write the network that gives raw maps into a runtime's file.

    Args:
        path: file to write.
        detector: the detector.
        runtime: ``openvino``, ``onnx`` or ``litert``.

    Returns:
        Description of what was written.
    """
    with silenced_stderr():  # the converters tell what they do
        return _convert_into(path, detector, runtime)


def _convert_into(path: Path, detector: Detector, runtime: str) -> Description:
    if runtime == "openvino":
        from yolo.conversion.openvino_file import to_openvino, write_openvino

        model, description = to_openvino(detector)
        write_openvino(model, description, path)
    elif runtime == "onnx":
        import onnx

        from yolo.conversion.onnx_file import to_onnx

        model, description = to_onnx(detector)
        onnx.save(model, str(path))
    else:
        from yolo.conversion.litert_file import to_litert

        content, description = to_litert(detector)
        path.write_bytes(content)
    return description
