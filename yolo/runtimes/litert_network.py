"""LiteRT (TensorFlow Lite): small, for phones and boards; on processors by XNNPACK."""

from __future__ import annotations

import json
import os
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.conversion.description import Description, read_metadata
from yolo.errors import WeightsError
from yolo.files.bounded import MIB, open_or_fault
from yolo.runtimes.checks import Shape, check_graph, check_not_empty, first_line
from yolo.runtimes.interface import Images
from yolo.system.startup import silenced_stderr

METADATA = "metadata.json"
"""Name of the metadata in the archive that is appended to a ``.tflite`` file."""
LARGEST_METADATA = 16 * MIB
IDENTIFIER = b"TFL3"
"""Bytes 4 to 8 of every ``.tflite`` file."""


class LiteRtNetwork:
    """Network in LiteRT, of one canvas and a fixed number of images.

    Args:
        path: the ``.tflite`` file.
        description: description of the network; None: the one inside the file.

    Raises:
        WeightsError: the file is damaged, or of another program.
    """

    runtime = "litert"
    parallel = 1  # one batch uses all cores

    def __init__(self, path: Path, description: Description | None = None):
        self._interpreter = open_interpreter(path)
        inputs, ports = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        self.description = description or read_description(path, [each["name"] for each in ports])
        outputs = named_outputs(self._interpreter, self.description.outputs)
        check_graph(
            self.description,
            [shape_of(each) for each in inputs],
            {name: shape_of(each) for name, each in outputs.items()},
            str(path),
        )
        self.precision = self.description.precision
        self._input = inputs[0]["index"]
        self._outputs = [outputs[name]["index"] for name in self.description.outputs]
        self._lock = threading.Lock()

    def __call__(self, images: Images) -> list[NDArray[Any]]:
        """Compute the outputs for images (B, H, W, 3)."""
        with self._lock:  # an interpreter computes for one thread at a time
            self._interpreter.set_tensor(self._input, images)
            self._interpreter.invoke()
            return [self._interpreter.get_tensor(index) for index in self._outputs]


def open_interpreter(path: Path) -> Any:
    """Open a ``.tflite`` file.

    Raises:
        WeightsError: the file is missing or damaged.
    """
    from ai_edge_litert.interpreter import Interpreter

    check_not_empty(path)
    with open_or_fault(path, WeightsError) as file:
        if file.read(8)[4:] != IDENTIFIER:
            raise WeightsError(f"{path}: not a LiteRT (TensorFlow Lite) model")
    try:
        with silenced_stderr():  # it says that it uses XNNPACK
            interpreter = Interpreter(model_path=str(path), num_threads=os.cpu_count() or 1)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise WeightsError(f"{path}: a damaged LiteRT model ({first_line(error)})") from error
    return interpreter


def named_outputs(interpreter: Any, names: list[str]) -> dict[str, dict[str, Any]]:
    """Outputs of a model by their names.

    Without a signature they are in the order of a dict of TensorFlow's, which is that of the names.
    """
    signatures = interpreter.get_signature_list()
    if len(signatures) == 1:
        return dict(interpreter.get_signature_runner(next(iter(signatures))).get_output_details())
    ports = interpreter.get_output_details()
    return dict(zip(sorted(names), ports, strict=True)) if len(ports) == len(names) else {p["name"]: p for p in ports}


def shape_of(port: dict[str, Any]) -> Shape:
    """Shape of an input or output; None for a length that is not fixed."""
    return tuple(None if each < 0 else int(each) for each in np.asarray(port.get("shape_signature", port["shape"])))


def read_description(path: Path, outputs: list[str]) -> Description:
    """Read the description in the archive that is appended to a ``.tflite`` file.

    Raises:
        WeightsError: there is none, or it is damaged.
    """
    try:
        with (
            open_or_fault(path, WeightsError) as file,
            zipfile.ZipFile(file) as archive,
            archive.open(METADATA) as part,
        ):
            found = json.loads(part.read(LARGEST_METADATA))
    except (zipfile.BadZipFile, KeyError, ValueError, NotImplementedError, RuntimeError, OSError, EOFError):
        found = None
    entries = {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}
    return read_metadata(entries, str(path), outputs=outputs)
