"""ONNX Runtime: on NVIDIA GPUs if its package for them is installed, else on the processor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from yolo.conversion.description import Description, read_metadata
from yolo.errors import WeightsError
from yolo.runtimes.checks import Shape, check_graph, check_not_empty, first_line
from yolo.runtimes.interface import Images

PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
"""Devices, best first."""
ERRORS_ONLY = 3
"""Level of messages: warnings about the graph's nodes are of no use to a user."""


class OnnxNetwork:
    """Network in ONNX Runtime.

    Args:
        path: the ``.onnx`` file.
        description: description of the network; None: the one inside the file.

    Raises:
        WeightsError: the file is damaged, or of another program.
    """

    runtime = "onnx"
    parallel = 1  # one batch uses all cores

    def __init__(self, path: Path, description: Description | None = None):
        self._session = open_session(path)
        self.description = description or read_description(self._session, path)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        check_graph(
            self.description,
            [shape_of(each) for each in inputs],
            {each.name: shape_of(each) for each in outputs},
            str(path),
        )
        self.precision = self.description.precision
        self._input = inputs[0].name

    def __call__(self, images: Images) -> list[NDArray[Any]]:
        """Compute the outputs for images (B, H, W, 3)."""
        return list(self._session.run(self.description.outputs, {self._input: images}))


def open_session(path: Path) -> Any:
    """Open an ``.onnx`` file.

    ONNX Runtime refuses operations that are not its own, and data outside the file's folder.

    Raises:
        WeightsError: the file is missing or damaged.
    """
    import onnxruntime

    check_not_empty(path)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    available = onnxruntime.get_available_providers()
    providers = [name for name in PROVIDERS if name in available]
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # its errors have no common class
        raise WeightsError(f"{path}: not an ONNX model, or a damaged one ({first_line(error)})") from error


def shape_of(port: Any) -> Shape:
    """Shape of an input or output; None for a length that is not fixed."""
    return None if port.shape is None else tuple(each if isinstance(each, int) else None for each in port.shape)


def read_description(session: Any, path: Path) -> Description:
    """Read the description in a session's metadata.

    Raises:
        WeightsError: there is none, or it is damaged.
    """
    outputs = [each.name for each in session.get_outputs()]
    return read_metadata(session.get_modelmeta().custom_metadata_map, str(path), outputs=outputs)
