"""OpenVINO: the fastest runtime on Intel and AMD processors."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.config import Aim
from yolo.conversion.description import KEY, Description, read_metadata
from yolo.errors import WeightsError
from yolo.files.cache_folder import cache_folder
from yolo.runtimes.interface import Images
from yolo.system.telemetry import no_telemetry

HINTS = {"float32": "f32", "bfloat16": "bf16"}
"""OpenVINO's names of precisions."""
MOST_SHAPES = 8
"""Number of canvases for which compiled networks are kept."""


class OpenVinoNetwork:
    """Network in OpenVINO, compiled for each canvas that comes, at most `MOST_SHAPES` at a time.

    Args:
        path: the ``.xml`` file, with its ``.bin`` beside it.
        precision: ``float32``, ``bfloat16``, or ``auto``: bfloat16 where the processor multiplies it.
        aim: ``latency`` computes one batch with all cores, ``throughput`` several at once.

    Raises:
        WeightsError: the file is damaged, or of another program.
    """

    runtime = "openvino"

    def __init__(self, path: Path, *, precision: str = "auto", aim: Aim = "throughput"):
        no_telemetry()
        import openvino

        self._core = openvino.Core()
        self._core.set_property({"CACHE_DIR": str(cache_folder() / "openvino")})
        try:
            self._model = self._core.read_model(path)
        except RuntimeError as error:
            raise WeightsError(f"{path}: not an OpenVINO model, or a damaged one ({error!s:.200})") from error
        self.description = read_description(self._model, path)
        fast = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self.precision = precision if precision != "auto" else "bfloat16" if fast else "float32"
        self._aim = aim
        self.parallel = 1 if aim == "latency" else max(1, os.cpu_count() or 1)
        self._compiled: OrderedDict[tuple[int, ...], Any] = OrderedDict()
        self._lock = threading.Lock()
        self._requests = threading.local()

    def __call__(self, images: Images) -> list[NDArray[np.float32]]:
        """Compute the outputs for images (B, H, W, 3)."""
        compiled = self._compile(images.shape)
        results = compiled.create_infer_request().infer([images], share_inputs=True)
        return [np.array(results[name]) for name in self.description.outputs]

    def _compile(self, shape: tuple[int, ...]) -> Any:
        with self._lock:
            if shape in self._compiled:
                self._compiled.move_to_end(shape)
                return self._compiled[shape]
            self._model.reshape(list(shape))
            options = {"INFERENCE_PRECISION_HINT": HINTS[self.precision], "PERFORMANCE_HINT": self._aim.upper()}
            self._compiled[shape] = self._core.compile_model(self._model, "CPU", options)
            if len(self._compiled) > MOST_SHAPES:
                self._compiled.popitem(last=False)
            return self._compiled[shape]


def read_description(model: Any, path: Path) -> Description:
    """Read the description inside an `openvino.Model`.

    Raises:
        WeightsError: there is none, or it is damaged.
    """
    if model.has_rt_info(["model_info", KEY]):
        return read_metadata({KEY: model.get_rt_info(["model_info", KEY]).astype(str)}, str(path))
    return read_metadata(dict.fromkeys(model.get_rt_info(), ""), str(path))
