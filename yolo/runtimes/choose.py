"""Choice of the runtime and of its precision, by what is installed and what the machine has."""

from __future__ import annotations

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from yolo.config import Runtime, RuntimePrecision
from yolo.errors import ConfigError

PACKAGES = {"openvino": "openvino", "onnx": "onnxruntime", "litert": "ai_edge_litert"}
"""Module of each runtime's package; keras' is always there."""
CONVERTERS = {"openvino": (), "onnx": ("onnx", "tf2onnx"), "litert": ()}
"""Further modules of the extra that convert a network for a runtime."""
FASTEST = ("openvino", "onnx")
"""Runtimes faster than Keras on a processor, best first."""
COMPUTED: dict[str, tuple[str, ...]] = {
    "keras": ("float32", "bfloat16", "float16"),
    "openvino": ("float32", "bfloat16"),
    "onnx": ("float32",),
    "litert": ("float32",),
}
"""Precisions in which each runtime can compute a network whose weights are float32."""
DEVICES = ("nvidia[0-9]*", "accel[0-9]*", "kfd")
"""Patterns of the devices in /dev of NVIDIA's GPUs, TPUs and AMD's GPUs."""


def choose_runtime(wanted: Runtime, *, convert: bool = True) -> str:
    """Choose the runtime: the wanted one if it is installed, with ``auto`` the fastest that is.

    Args:
        wanted: value of ``--runtime``.
        convert: whether the network has to be converted as well, by packages of the same extra.

    Raises:
        ConfigError: the wanted one is not installed.
    """
    if wanted == "auto":
        return runtimes_to_try()[0]
    check_installed(wanted, convert=convert)
    return wanted


def runtimes_to_try() -> list[str]:
    """Name the runtimes that ``auto`` tries, best first; the last one is Keras, which runs every network.

    Keras is the only one where a GPU or TPU computes, or another backend than TensorFlow, from which the networks are
    converted.
    """
    if keras_backend() != "tensorflow" or has_accelerator():
        return ["keras"]
    return [*(name for name in FASTEST if is_installed(name)), "keras"]


def is_installed(runtime: str, *, convert: bool = True) -> bool:
    """Whether a runtime's packages are there."""
    return not missing_modules(runtime, convert=convert)


def missing_modules(runtime: str, *, convert: bool = True) -> list[str]:
    """List the modules of a runtime that are not installed."""
    modules = [PACKAGES[runtime], *(CONVERTERS[runtime] if convert else ())] if runtime in PACKAGES else []
    return [module for module in modules if find_spec(module) is None]


def check_installed(runtime: str, *, convert: bool = True) -> None:
    """Check that a runtime's packages are there.

    Raises:
        ConfigError: they are not; it names the extra.
    """
    missing = missing_modules(runtime, convert=convert)
    if missing:
        raise ConfigError(f"--runtime {runtime}: {missing[0]} is not installed; pip install 'yolov3-keras[{runtime}]'")


def choose_precision(wanted: RuntimePrecision, runtime: str, held: str = "float32") -> str:
    """Precision to compute in, by training's words too; ``auto`` is left to the runtime.

    Args:
        wanted: value of ``--precision``.
        runtime: name of the runtime.
        held: precision of the weights in the file.

    Raises:
        ConfigError: the runtime cannot compute in the wanted one.
    """
    precision = wanted.removeprefix("mixed_")
    free = held == "float32" or runtime == "openvino"  # the others compute as the file says
    possible = COMPUTED[runtime] if free else (held,)
    if precision != "auto" and precision not in possible:
        whose = f"runtime {runtime}" if free else f"a file in {held}"
        raise ConfigError(f"--precision {wanted}: {whose} computes in {' or '.join(possible)} on a processor")
    return precision


def keras_backend() -> str:
    """Name of the backend with which Keras computes or will compute, without importing it."""
    if "keras" in sys.modules:
        return str(sys.modules["keras"].config.backend())
    if "KERAS_BACKEND" in os.environ:
        return os.environ["KERAS_BACKEND"]
    try:
        home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
        stored = json.loads((home / "keras.json").read_text(encoding="utf-8"))
        return str(stored.get("backend", "tensorflow"))
    except (OSError, ValueError, AttributeError, RuntimeError):
        return "tensorflow"


def has_accelerator(devices: Path = Path("/dev")) -> bool:
    """Whether the backend computes on a GPU or TPU; it is only asked, and imported, where there is a device."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    if hidden or not any(any(devices.glob(pattern)) for pattern in DEVICES):
        return False
    from yolo.system.startup import import_keras

    import_keras()
    from yolo.model.backend.precision import accelerator

    return accelerator() != "cpu"
