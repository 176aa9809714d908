"""OpenVINO: the fastest runtime on Intel and AMD processors."""

from __future__ import annotations

import os
import re
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.config import Aim
from yolo.conversion.description import Description, read_metadata
from yolo.errors import WeightsError
from yolo.files.bounded import open_or_fault
from yolo.files.cache_folder import cache_folder
from yolo.runtimes.cache import make_room
from yolo.runtimes.checks import Shape, check_graph, check_not_empty, first_line
from yolo.runtimes.interface import Images
from yolo.system.telemetry import no_telemetry

HINTS = {"float32": "f32", "bfloat16": "bf16"}
"""OpenVINO's names of precisions."""
MOST_STREAMS = 8
"""Number of batches that are computed at the same time at most."""
FIRST_CALL = threading.Lock()
"""Held while a network is called for the first time: OpenVINO's Python layer makes tables at their first use, and two
threads that came to them together waited for each other for ever, one with the GIL and one for it."""
INFO = "model_info"
"""Section of a model's runtime information in which all programs look for what describes it."""
ROOT = re.compile(
    # The group is atomic, or the time would double with each comment of a file that has no root.
    rb"\A(?:\xef\xbb\xbf)?\s*(?>(?:<\?.*?\?>\s*|<!--.*?-->\s*|<!DOCTYPE[^>]*>\s*)*)<([A-Za-z_][\w.:-]*)",
    re.DOTALL,
)
"""Beginning of an XML file, up to the name of its root."""
DATA_RANGE = re.compile(rb'<data\b(?=[^<>]*?\boffset="(\d{1,18})")[^<>]*?\bsize="(\d{1,18})"')
"""Place of a constant in the ``.bin`` file, as an ``.xml`` file names it."""


class OpenVinoNetwork:
    """Network in OpenVINO, compiled once for all sizes of batches, and of canvases if it takes several.

    Args:
        path: the ``.xml`` file, with its ``.bin`` beside it, or an ``.onnx`` file.
        description: description of the network; None: the one inside the file.
        precision: ``float32`` or ``bfloat16``; ``auto``: bfloat16 where the processor multiplies it.
        aim: ``latency`` computes one batch with all cores, ``throughput`` several at once.

    Raises:
        WeightsError: the file is damaged, or of another program.
    """

    runtime = "openvino"

    def __init__(
        self, path: Path, description: Description | None = None, *, precision: str = "auto", aim: Aim = "throughput"
    ):
        no_telemetry()
        import openvino

        self._core = openvino.Core()
        self._model = read_model(self._core, path)
        self.description = description or read_description(self._model, path)
        check_graph(
            self.description,
            [shape_of(each) for each in self._model.inputs],
            {name: shape_of(output) for output in self._model.outputs for name in output.get_names()},
            str(path),
        )
        fast = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        computed = precision if precision != "auto" else "bfloat16" if fast else "float32"
        self.precision = "int8" if self.description.precision == "int8" else computed
        self.parallel = 1 if aim == "latency" else min(MOST_STREAMS, os.cpu_count() or 1)
        self._options = {
            "INFERENCE_PRECISION_HINT": HINTS[computed],
            "PERFORMANCE_HINT": aim.upper(),
            "PERFORMANCE_HINT_NUM_REQUESTS": self.parallel,
        }
        self._keep_compiled()
        self._compiled: _Compiled | None = None
        self._lock = threading.Lock()

    def __call__(self, images: Images) -> list[NDArray[Any]]:
        """Compute the outputs for images (B, H, W, 3)."""
        return self._compile()(images)

    def _compile(self) -> _Compiled:
        """Compile the network, once for all sizes of batches and canvases.

        For a single size it would not be faster, but compiling, or reading what was compiled earlier, takes a second
        for a large network, and a folder of photographs has a dozen sizes.
        """
        with self._lock:
            if self._compiled is None:
                sides = self.description.canvas if self.description.fixed_canvas else (-1, -1)
                self._model.reshape([self.description.batch or -1, *sides, 3])
                model = self._core.compile_model(self._model, "CPU", self._options)
                self._compiled = _Compiled(model, self.description.outputs)
            return self._compiled

    def _keep_compiled(self) -> None:
        """Have OpenVINO keep its compiled networks in the cache folder, where there is one."""
        with suppress(OSError, WeightsError):
            folder = cache_folder() / "openvino"
            folder.mkdir(parents=True, exist_ok=True)
            if os.access(folder, os.W_OK | os.X_OK):
                make_room(folder)
                self._core.set_property({"CACHE_DIR": str(folder)})


class _Compiled:
    """Compiled network with its requests, one for each thread that computes."""

    def __init__(self, model: Any, outputs: list[str]):
        self._model, self._outputs = model, outputs
        self._idle: list[Any] = []
        self._called = False

    def __call__(self, images: Images) -> list[NDArray[Any]]:
        if self._called:
            return self._infer(images)
        with FIRST_CALL:
            outputs = self._infer(images)
            self._called = True
            return outputs

    def _infer(self, images: Images) -> list[NDArray[Any]]:
        try:
            request = self._idle.pop()  # atomic, as append is
        except IndexError:
            request = self._model.create_infer_request()
        results = request.infer([images], share_inputs=True)
        outputs = [np.array(results[name]) for name in self._outputs]  # a copy: the next call writes over them
        self._idle.append(request)
        return outputs


def read_model(core: Any, path: Path) -> Any:
    """Read an ``.xml`` file with its ``.bin``, or an ``.onnx`` file, as an `openvino.Model`.

    Raises:
        WeightsError: it is missing, damaged, another kind of XML file, or its ``.bin`` is missing or another's.
    """
    check_not_empty(path)
    if path.suffix.lower() == ".xml":
        check_xml(path)
    try:
        return core.read_model(path)
    except RuntimeError as error:
        raise WeightsError(f"{path}: not an OpenVINO model, or a damaged one ({first_line(error)})") from error


def check_xml(path: Path) -> None:
    """Check that an ``.xml`` file is an OpenVINO model, and that the ``.bin`` beside it has its size.

    Raises:
        WeightsError: it is not.
    """
    with open_or_fault(path, WeightsError) as file:
        text = file.read()
    root = ROOT.match(text)
    if root is None or root[1] != b"net":
        kind = "not an XML file" if root is None else f"an XML file of <{root[1].decode()}>, not an OpenVINO model"
        hint = " (annotations of a picture: give them as data)" if root and root[1] == b"annotation" else ""
        raise WeightsError(f"{path}: {kind}{hint}")
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise WeightsError(f"{path}: its weights, {weights.name}, do not lie beside it")
    needed = max((int(offset) + int(size) for offset, size in DATA_RANGE.findall(text)), default=0)
    held = weights.stat().st_size
    if needed != held:
        raise WeightsError(
            f"{path}: {weights.name} beside it is of another model, or damaged: {held:,} bytes, expected {needed:,}"
        )


def shape_of(port: Any) -> Shape:
    """Shape of an input or output; None for a length that is not fixed."""
    shape = port.get_partial_shape()
    return None if shape.rank.is_dynamic else tuple(None if each.is_dynamic else each.get_length() for each in shape)


def read_description(model: Any, path: Path) -> Description:
    """Read the description inside an `openvino.Model`.

    Raises:
        WeightsError: there is none, or it is damaged.
    """
    # A model read from an .onnx file has the entries of its metadata under the name "framework".
    sections = [name for name in (INFO, "framework") if model.has_rt_info([name])]
    entries: dict[str, str] = {}
    for section in sections:
        for name in model.get_rt_info([section]).astype(dict):
            entries[name] = str(model.get_rt_info([section, name]).value)
    outputs = [each.get_any_name() for each in model.outputs if each.get_names()]
    return read_metadata(entries, str(path), outputs=outputs)
