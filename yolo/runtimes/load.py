"""Loading of a detector into a runtime: the runtime is chosen, and the network converted for it once."""

from __future__ import annotations

import hashlib
import json
import logging
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yolo
from yolo.config import Aim, Runtime, RuntimePrecision
from yolo.errors import ConfigError
from yolo.files.cache_folder import cache_folder
from yolo.runtimes.detector import RuntimeDetector
from yolo.runtimes.interface import AnyDetector

logger = logging.getLogger(__name__)

PACKAGES = {"openvino": "openvino", "onnx": "onnxruntime", "litert": "ai_edge_litert"}
"""Module of each runtime's package; keras' is always there."""
FASTEST = ("openvino", "onnx")
"""Runtimes faster than Keras on a processor, best first."""


def choose_runtime(wanted: Runtime) -> str:
    """Choose the runtime: the wanted one if it is installed, with ``auto`` the fastest that is.

    Raises:
        ConfigError: the wanted one is not installed.
    """
    if wanted == "auto":
        return next((name for name in FASTEST if find_spec(PACKAGES[name])), "keras")
    if wanted != "keras" and find_spec(PACKAGES[wanted]) is None:
        raise ConfigError(f"--runtime {wanted}: not installed; pip install 'yolov3-keras[{wanted}]'")
    return wanted


def cached_conversion(path: str | Path, runtime: str, options: dict[str, Any]) -> Path:
    """Folder in the cache for a weights file converted for a runtime, by the contents of the file and the options."""
    with Path(path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    package = {"openvino": "openvino", "onnx": "onnx", "litert": "tensorflow"}[runtime]
    versions = [yolo.__version__, metadata.version("keras"), metadata.version(package)]
    digest.update(json.dumps([options, versions], default=str, sort_keys=True).encode())
    return cache_folder() / "converted" / f"{runtime}-{digest.hexdigest()[:24]}"


def load_detector(
    path: str | Path,
    *,
    runtime: Runtime = "auto",
    precision: RuntimePrecision = "auto",
    aim: Aim = "throughput",
    **options: Any,
) -> AnyDetector:
    """Load the detector in a file into a runtime.

    Args:
        path: a weights file as `yolo.load` takes it, or a file that `yolov3 export` wrote.
        runtime: runtime of the network; auto: the fastest one that is installed.
        precision: ``float32``, ``bfloat16``, or ``auto``: the faster one on this processor.
        aim: ``latency`` for one image at a time, ``throughput`` for many.
        **options: further arguments of `yolo.load`.

    Raises:
        ConfigError: the runtime is not installed.
        WeightsError: the file is missing, damaged or of another program.
    """
    chosen = choose_runtime(runtime)
    if chosen == "keras":
        from yolo.weights.load import load

        return load(path, **options)
    folder = cached_conversion(path, chosen, options)
    if not folder.exists():
        convert_into(folder, path, **options)
    from yolo.runtimes.openvino_network import OpenVinoNetwork

    network = OpenVinoNetwork(folder / "model.xml", precision=precision, aim=aim)
    logger.info("runtime %s, %s", network.runtime, network.precision)
    return RuntimeDetector(network.description, network)


def convert_into(folder: Path, path: str | Path, **options: Any) -> None:
    """Convert a weights file for OpenVINO into a folder of the cache."""
    from yolo.conversion.openvino_file import to_openvino, write_openvino
    from yolo.system.startup import start_keras

    start_keras()
    from yolo.weights.load import load

    model, _ = to_openvino(load(path, **options))
    folder.mkdir(parents=True)
    write_openvino(model, folder / "model.xml")
