"""Formats of exported files: how each is converted, written and named, and which packages it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolo.config import Format
from yolo.conversion.conversion import Conversion
from yolo.conversion.description import Description
from yolo.conversion.litert_file import to_litert, write_litert
from yolo.conversion.onnx_file import to_onnx, write_onnx
from yolo.conversion.openvino_file import to_openvino, write_openvino
from yolo.conversion.saved_model_file import to_saved_model, write_saved_model
from yolo.errors import ConfigError
from yolo.runtimes.detector import RuntimeDetector
from yolo.runtimes.load import open_network

if TYPE_CHECKING:
    from yolo.model.detector import Detector

OPENVINO_NAME = "model.xml"
"""Name of the model in a folder of OpenVINO's files."""


RUNTIMES: dict[Format, str] = {"saved_model": "keras", "onnx": "onnx", "openvino": "openvino", "litert": "litert"}
"""Runtime of each format."""


@dataclass(frozen=True)
class FormatKind:
    """How a detector becomes files of a format."""

    convert: Callable[[Detector, Conversion], tuple[Any, Description]]
    write: Callable[[Any, Description, Path], None]
    """Writes a converted model to a file, or to a folder that does not exist yet."""
    modules: tuple[str, ...]
    """Modules that conversion and comparison import."""
    extra: str | None
    """Extra of this package that installs them."""


def _write_openvino(model: Any, description: Description, path: Path) -> None:
    """Write the two files, into a folder unless the name is that of the one."""
    if path.suffix != ".xml":
        path.mkdir()
        path = path / OPENVINO_NAME
    write_openvino(model, description, path)


FORMATS: dict[Format, FormatKind] = {
    "saved_model": FormatKind(to_saved_model, write_saved_model, ("tensorflow",), None),
    "onnx": FormatKind(
        to_onnx,
        lambda model, _, path: write_onnx(model, path),
        ("onnx", "onnxruntime", "tf2onnx"),
        "onnx",
    ),
    "openvino": FormatKind(to_openvino, _write_openvino, ("openvino",), "openvino"),
    "litert": FormatKind(to_litert, lambda model, _, path: write_litert(model, path), ("ai_edge_litert",), "litert"),
}


def check_installed(file_format: Format) -> None:
    """Check that the packages of a format are installed.

    Raises:
        ConfigError: one is missing; the extra that brings it is named.
    """
    kind = FORMATS[file_format]
    missing = [module for module in kind.modules if find_spec(module) is None]
    if missing:
        raise ConfigError(
            f"format {file_format}: needs {', '.join(missing)}, not installed; pip install 'yolov3-keras[{kind.extra}]'"
        )


def model_in(path: Path) -> Path:
    """File or folder that a program loads of what an export wrote to a path."""
    inside = path / OPENVINO_NAME
    return inside if inside.exists() else path


def open_written(file_format: Format, path: Path, description: Description) -> RuntimeDetector:
    """Open what an export wrote in its own program, computing in its own precision."""
    # A processor with bfloat16 would compute in that: here the file is compared, not the processor.
    precision = "float32" if file_format == "openvino" else "auto"
    place = model_in(path)
    network = open_network(RUNTIMES[file_format], place, description, precision=precision, aim="latency")
    return RuntimeDetector(description, network, str(path))
