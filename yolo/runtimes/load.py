"""Loading of a detector into a runtime: the runtime is chosen, and the network converted for it once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from yolo.config import Aim, LetterboxMode, Runtime, RuntimePrecision, canvas_size
from yolo.conversion.description import Description
from yolo.errors import ConfigError, WeightsError, YoloError
from yolo.runtimes.cache import conversion_name, kept_conversion, renewed_conversion
from yolo.runtimes.choose import check_installed, choose_precision, choose_runtime, is_installed, runtimes_to_try
from yolo.runtimes.detector import RuntimeDetector
from yolo.runtimes.interface import AnyDetector, Network
from yolo.system.notices import notices
from yolo.system.startup import import_keras
from yolo.weights.locate import check_loadable, exported_runtime, resolve

logger = logging.getLogger(__name__)

FILES = {"openvino": "model.xml", "onnx": "model.onnx", "litert": "model.tflite"}
"""File of a converted network for each runtime."""
DESCRIPTION = "description.json"
"""File beside it with the network's description."""
RUN_BY = {"onnx": ("onnx", "openvino"), "openvino": ("openvino",), "litert": ("litert",), "keras": ("keras",)}
"""Runtimes of an exported file by the one that it was made for."""


def load_detector(
    path: str | Path,
    *,
    runtime: Runtime = "auto",
    precision: RuntimePrecision = "auto",
    aim: Aim = "throughput",
    cfg: str | Path | None = None,
    names: str | Path | Sequence[str] | None = None,
    size: int | tuple[int, int] | None = None,
    letterbox: LetterboxMode | None = None,
    offline: bool = False,
) -> AnyDetector:
    """Load the detector in a file for detection alone, into the fastest runtime that is installed.

    The first time, a weights file is converted for the runtime, which takes seconds; the result is kept in the cache
    folder. Train and save with what `yolo.load` returns instead.

    Args:
        path: a weights file as `yolo.load` takes it, or a file that ``yolov3 export`` wrote.
        runtime: ``keras``, ``openvino``, ``onnx`` or ``litert``; auto: the fastest one that is installed, Keras where
            it computes on a GPU.
        precision: ``float32``, ``bfloat16``; auto: bfloat16 where processor and runtime multiply it.
        aim: ``latency`` for one image at a time, ``throughput`` for many.
        cfg: as in `yolo.load`.
        names: as in `yolo.load`.
        size: canvas in place of the file's own.
        letterbox: letterbox mode in place of the file's own.
        offline: download nothing; published weights must be in the cache.

    Returns:
        A detector with the methods ``detect``, ``detect_images`` and ``find``, whatever runs its network.

    Raises:
        ConfigError: the runtime is not installed, or an option does not fit the file.
        WeightsError: the file is missing, damaged or of another program.
    """
    with notices():
        check_loadable(path, exported=True)
        path = resolve(path, offline=offline)
        size = None if size is None else canvas_size(size)
        made_for = exported_runtime(path)
        if made_for is not None:
            for option, value in (("cfg", cfg), ("names", names)):
                if value is not None:
                    raise ConfigError(f"{option} {value}: {path} is an exported file and needs none")
            return _load_exported(Path(path), made_for, runtime, precision, aim, size=size, letterbox=letterbox)
        options = {"cfg": cfg, "names": names, "size": size, "letterbox": letterbox, "offline": offline}
        return _load_weights(path, runtime, precision, aim, options)


def _load_exported(
    path: Path,
    made_for: str,
    runtime: Runtime,
    precision: RuntimePrecision,
    aim: Aim,
    *,
    size: tuple[int, int] | None,
    letterbox: LetterboxMode | None,
) -> RuntimeDetector:
    """Load an exported file into the runtime that it was made for, or another that reads it.

    With ``auto`` it is the other one only where its own is not installed.
    """
    readers = (each for each in RUN_BY[made_for] if is_installed(each, convert=False))
    chosen = next(readers, made_for) if runtime == "auto" else runtime
    if chosen not in RUN_BY[made_for]:
        raise ConfigError(f"--runtime {runtime}: {path} runs in {' or '.join(RUN_BY[made_for])} alone")
    check_installed(chosen, convert=False)
    network = open_network(chosen, path, None, precision=precision, aim=aim)
    description = changed(network.description, str(path), size=size, letterbox=letterbox)
    logger.info("runtime %s, %s", network.runtime, network.precision)
    return RuntimeDetector(description, network, str(path))


def changed(
    description: Description, source: str, *, size: tuple[int, int] | None, letterbox: LetterboxMode | None
) -> Description:
    """Change the canvas and the letterbox mode of a description, as options say.

    Raises:
        ConfigError: the network takes its own canvas alone, or not this one.
    """
    if size is not None and size != description.canvas:
        if description.fixed_canvas:
            height, width = description.canvas
            raise ConfigError(f"size: {source} has a fixed input size, {height}x{width}; export it with another")
        if any(side % max(description.strides) for side in size):
            raise ConfigError(f"size must be a multiple of {max(description.strides)}, got {size[0]}x{size[1]}")
    return replace(description, canvas=size or description.canvas, letterbox=letterbox or description.letterbox)


def _load_weights(
    path: str | Path, runtime: Runtime, precision: RuntimePrecision, aim: Aim, options: dict[str, Any]
) -> AnyDetector:
    """Load a weights file into the chosen runtime, with ``auto`` into the first one that can run its network."""
    candidates = runtimes_to_try() if runtime == "auto" else [choose_runtime(runtime)]
    if runtime == "auto" and precision != "auto":
        candidates = [each for each in candidates if can_compute(each, precision)] or candidates[-1:]
    for chosen in candidates:
        try:
            return _load_into(chosen, path, precision, aim, options, why=reason(runtime, chosen))
        except _ConversionError as error:
            if chosen == candidates[-1]:
                raise ConfigError(
                    f"{path}: cannot be converted for {chosen} ({error}); give --runtime keras"
                ) from error
            logger.warning("%s: cannot be converted for %s (%s)", path, chosen, error)
    raise ValueError("expected at least one runtime")


def can_compute(runtime: str, precision: RuntimePrecision) -> bool:
    """Whether a runtime computes in a precision."""
    try:
        choose_precision(precision, runtime)
    except ConfigError:
        return False
    return True


def reason(wanted: Runtime, chosen: str) -> str:
    """Reason for a choice, and the way to a faster one, for the log."""
    if wanted != "auto":
        return ""
    if chosen != "keras":
        return " (the fastest one installed; --runtime names another)"
    alone = len(runtimes_to_try()) == 1
    hint = "pip install 'yolov3-keras[openvino]' makes detection on a processor faster"
    return f" ({hint})" if alone and not _elsewhere() else ""


def _elsewhere() -> bool:
    """Whether Keras computes on other devices than processors, or with another backend than TensorFlow."""
    from yolo.runtimes.choose import has_accelerator, keras_backend

    return keras_backend() != "tensorflow" or has_accelerator()


def _load_into(
    chosen: str, path: str | Path, precision: RuntimePrecision, aim: Aim, options: dict[str, Any], *, why: str
) -> AnyDetector:
    if chosen == "keras":
        import_keras()
        from yolo.runtimes.keras_detector import load_keras_detector

        return load_keras_detector(path, precision, why=why, **options)
    computed = choose_precision(precision, chosen)
    name = conversion_name(path, chosen, options)
    convert = _converter(path, chosen, options)
    made = kept_conversion(name, convert)
    try:
        detector = _open_converted(made.folder, chosen, computed, aim, str(path))
    except (YoloError, OSError) as error:
        if made.new:
            raise _ConversionError(str(error)) from error
        # The cache is damaged, or another process made room at this moment.
        logger.warning("%s: converted anew (%s)", path, error)
        renewed = renewed_conversion(made.folder, convert)
        detector = _open_converted(renewed.folder, chosen, computed, aim, str(path))
    logger.info("runtime %s, %s%s", detector.network.runtime, detector.network.precision, why)
    return detector


def _open_converted(folder: Path, chosen: str, precision: str, aim: Aim, source: str) -> RuntimeDetector:
    description = Description.from_text((folder / DESCRIPTION).read_text(encoding="utf-8"), source)
    network = open_network(chosen, folder / FILES[chosen], description, precision=precision, aim=aim)
    return RuntimeDetector(description, network, source)


def open_network(runtime: str, path: Path, description: Description | None, *, precision: Any, aim: Aim) -> Any:
    """Open a file in a runtime.

    Args:
        runtime: name of the runtime.
        path: a file, or the folder of a SavedModel.
        description: description of the network; None: the one inside the file.
        precision: value of ``--precision``.
        aim: ``latency`` or ``throughput``.

    Returns:
        A `Network`, which has its ``description``.

    Raises:
        WeightsError: the file is damaged, or of another program.
        ConfigError: the runtime does not compute in that precision.
    """
    if runtime == "openvino":
        from yolo.runtimes.openvino_network import OpenVinoNetwork

        return OpenVinoNetwork(path, description, precision=choose_precision(precision, runtime), aim=aim)
    network: Any
    if runtime == "onnx":
        from yolo.runtimes.onnx_network import OnnxNetwork

        network = OnnxNetwork(path, description)
    elif runtime == "litert":
        from yolo.runtimes.litert_network import LiteRtNetwork

        network = LiteRtNetwork(path, description)
    else:
        from yolo.runtimes.saved_model_network import SavedModelNetwork

        network = SavedModelNetwork(path, description)
    choose_precision(precision, runtime, network.description.precision)
    return network


class _ConversionError(Exception):
    """A converter failed; the message is the reason."""


def _converter(path: str | Path, runtime: str, options: dict[str, Any]) -> Callable[[Path], None]:
    """Make a function that converts a weights file for a runtime into a folder."""

    def convert(folder: Path) -> None:
        from yolo.system.startup import start_keras

        start_keras()
        from yolo.model.backend.precision import computing_in
        from yolo.runtimes.convert import convert_into
        from yolo.weights.load import load

        with computing_in("float32"):  # whatever a training in this process has chosen
            detector = load(path, **options)
        logger.info("%s: converting for %s, once", path, runtime)
        try:
            description = convert_into(folder / FILES[runtime], detector, runtime)
        except (YoloError, OSError):
            raise
        except Exception as error:  # converters raise errors of any type
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise _ConversionError(f"{reason:.200}") from error
        (folder / DESCRIPTION).write_text(description.to_text(), encoding="utf-8")

    return convert


def describe_exported(path: str | Path) -> tuple[Description, Network]:
    """Description inside an exported file, and the network that it describes.

    Raises:
        WeightsError: the file is damaged, or of another program.
        ConfigError: its runtime is not installed.
    """
    runtime = exported_runtime(path)
    if runtime is None:
        raise WeightsError(f"{path}: not an exported file")
    check_installed(runtime, convert=False)
    network = open_network(runtime, Path(resolve(path)), None, precision="auto", aim="latency")
    return network.description, network
