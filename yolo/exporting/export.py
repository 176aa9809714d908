"""`export`: a detector in the format of another program, compared with Keras before it is handed over."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from yolo.config import Contents, FilePrecision, Format, NmsConfig, check
from yolo.conversion.conversion import Conversion, check_precision
from yolo.conversion.description import Description
from yolo.conversion.graph import check_backend
from yolo.errors import ConfigError, YoloError
from yolo.exporting.formats import FORMATS, check_installed, open_written
from yolo.exporting.int8 import to_int8
from yolo.exporting.parity import Parity, compare
from yolo.exporting.sample_script import script_name, script_of
from yolo.exporting.target import beside, check_target, install, size_of, writing
from yolo.files.atomic import is_folder, write_text
from yolo.model.architecture import sides
from yolo.model.backend.precision import computing_in
from yolo.runtimes.checks import first_line

if TYPE_CHECKING:
    from yolo.model.detector import Detector
    from yolo.structs import Dataset


@dataclass(frozen=True)
class Exported:
    """Result of `export`."""

    path: Path
    """File or folder that was written."""
    script: Path
    """Script beside it that detects with that format's program alone."""
    description: Description
    """Everything that the file says of itself."""
    parity: Parity
    """Differences from Keras that were measured."""
    bytes: int
    """Size of the file or folder, without the script."""


def export(
    detector: Detector,
    path: str | Path,
    *,
    format: Format,  # noqa: A002 - as users say it
    contents: Contents = "predictions",
    precision: FilePrecision = "float32",
    size: int | tuple[int, int] | None = None,
    batch: int | None = None,
    dynamic: bool | None = None,
    nms: NmsConfig | None = None,
    data: Dataset | None = None,
    force: bool = False,
) -> Exported:
    """Export a detector to the format of another program, and compare the file with Keras on pictures.

    Args:
        detector: detector to export.
        path: file to write (``.onnx``, ``.tflite``, OpenVINO's ``.xml``), or folder (SavedModel, OpenVINO).
        format: ``saved_model``, ``onnx``, ``openvino`` or ``litert``.
        contents: ``maps`` (raw maps), ``predictions`` (decoded boxes and scores of all slots) or ``detections``
            (after suppression).
        precision: ``float32``, ``float16``, ``bfloat16`` or ``int8``, if the format has it.
        size: canvas, one side or (height, width); None: the detector's own.
        batch: images a batch; None: any number, on LiteRT one.
        dynamic: whether the file takes any canvas of multiples of the strides; None: if format and network can.
        nms: thresholds of ``detections``, and of programs that read the file's metadata; None: the detector's own.
        data: dataset whose pictures are compared, and AP of both; needed by int8, which is calibrated on it.
            None: a few generated pictures.
        force: write over an existing file or folder.

    Raises:
        ConfigError: an option does not fit format or network, a package is missing, the file cannot be written, or it
            differs from Keras by more than `yolo.exporting.parity.BOUNDS` allow; nothing is then written.
    """
    target = Path(path)
    check_request(format, target, precision, force=force)
    check(contents in get_args(Contents), "contents", f"one of {', '.join(get_args(Contents))}", contents)
    check(batch is None or (isinstance(batch, int) and batch > 0), "batch", "a whole number > 0", batch)
    detector = resized(in_float32(detector), size)
    if precision == "bfloat16" and detector.architecture.fixed_canvas:
        raise ConfigError(f"precision bfloat16: the layers of {detector.variant} are float32; leave it out")
    conversion = Conversion(
        contents=contents,
        precision=precision,
        batch=batch,
        fixed_canvas=not takes_any_canvas(detector, format, wanted=dynamic),
        nms=nms or detector.nms,
    )
    with beside(target) as folder:
        place = folder / target.name
        with writing(target):
            description = write_converted(detector, format, conversion, place, data)
        parity = compare(detector, open_written(format, place, description), data)
        parity.check(target)
        written = size_of(folder)
        script = (place if is_folder(place) else folder) / script_name(format, target)
        write_text(script, script_of(format, description, target))
        install(folder, target.parent, force=force)
    return Exported(target, target.parent / script.relative_to(folder), description, parity, written)


def check_request(file_format: Format, target: Path, precision: FilePrecision, *, force: bool) -> None:
    """Check all that can be checked before a detector is loaded.

    Raises:
        ConfigError: the format is unknown or lacks the precision or a package, Keras computes with another backend than
            TensorFlow, or the target is not free.
    """
    check(file_format in FORMATS, "format", f"one of {', '.join(FORMATS)}", file_format)
    check_precision(file_format, precision)
    check_installed(file_format)
    check_backend()
    check_target(file_format, target, force=force)


def in_float32(detector: Detector) -> Detector:
    """Detector that computes in float32, the same one if it does: a file is compared with that."""
    if {layer.compute_dtype for layer in detector.convolutions} == {"float32"}:
        return detector
    with computing_in("float32"):
        other = type(detector).from_config(detector.get_config())
    other.set_weights(detector.get_weights())
    return other


def resized(detector: Detector, size: int | tuple[int, int] | None) -> Detector:
    """Detector on the canvas to export, the same one if it is its own.

    Raises:
        ConfigError: the network does not support that canvas.
    """
    if size is None or sides(size) == detector.canvas:
        return detector
    if detector.architecture.fixed_canvas:
        height, width = detector.canvas
        raise ConfigError(f"size {size}: the layers of {detector.variant} fit {height}x{width} alone; leave size out")
    with computing_in("float32"):
        return detector.resized(size)


def takes_any_canvas(detector: Detector, file_format: Format, *, wanted: bool | None) -> bool:
    """Whether a file will take any canvas; by default if it can.

    Raises:
        ConfigError: that is wanted and not possible.
    """
    if detector.architecture.fixed_canvas:
        obstacle = f"the layers of {detector.variant} fit one size alone"
    elif file_format == "litert":
        obstacle = "a LiteRT file has fixed sizes"
    else:
        return wanted is not False
    if wanted:
        raise ConfigError(f"dynamic: not possible, {obstacle}; leave it out, and export a file for each size")
    return False


def write_converted(
    detector: Detector, file_format: Format, conversion: Conversion, place: Path, data: Dataset | None
) -> Description:
    """Convert a detector and write it; returns the file's description.

    Raises:
        ConfigError: int8 has no pictures to be calibrated on, or the network cannot be converted.
        OSError: the file cannot be written.
    """
    kind = FORMATS[file_format]
    try:
        if conversion.precision == "int8":
            model, description = to_int8(detector, file_format, conversion, data)
        else:
            model, description = kind.convert(detector, conversion)
    except (YoloError, OSError):
        raise
    except Exception as error:  # converters and quantisers raise errors of any type
        raise ConfigError(
            f"{detector.variant}: cannot be converted to {file_format}, {conversion.contents} in "
            f"{conversion.precision} ({first_line(error)})"
        ) from error
    kind.write(model, description, place)
    return description
