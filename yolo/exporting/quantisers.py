"""Packages that make int8 files."""

from __future__ import annotations

from importlib.util import find_spec

from yolo.errors import ConfigError

MODULES = {"openvino": "nncf", "onnx": "onnxruntime", "litert": "litert_quantizer"}
"""Module that quantises each format."""


def check_quantiser(file_format: str) -> None:
    """Check that the package is installed that makes int8 files of a format.

    Raises:
        ConfigError: it is not; the extra that brings it is named.
    """
    if find_spec(MODULES[file_format]) is None:
        raise ConfigError(
            f"precision int8: needs {MODULES[file_format]}, not installed; pip install 'yolov3-keras[quantize]'"
        )
