"""Loading a Detector from a Keras or Darknet file."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import keras
import numpy as np

from yolo.config import LetterboxMode
from yolo.darknet.cfg import read_cfg
from yolo.darknet.names import read_names, usual_names
from yolo.darknet.network import head_of
from yolo.darknet.plan import make_detector_plan
from yolo.darknet.weights import ConvolutionWeights, Header, read_header, read_weights
from yolo.errors import ConfigError, WeightsError
from yolo.files.bounded import open_or_fault
from yolo.model.detector import Detector
from yolo.model.networks.yolov3 import VARIANTS
from yolo.weights.darknet_files import set_weights, settings_of
from yolo.weights.keras_archive import checked_weights, checked_zip, read_config, read_description, stored_numbers
from yolo.weights.keras_files import REMEDY
from yolo.weights.locate import cfg_beside, check_loadable, is_darknet, names_beside, resolve

logger = logging.getLogger(__name__)

REGISTERED_NAME = "yolo>Detector"
"""Name under which Keras stores the class of a Detector in a file."""
MOST_CLASSES = 10_000
"""Largest number of classes with which a weights file alone is recognised."""
FEWEST_CHANNELS = 64
"""Smallest number of weights per head output, in networks that are not made from a .cfg text."""


def load(
    path: str | Path,
    *,
    cfg: str | Path | None = None,
    names: str | Path | Sequence[str] | None = None,
    size: int | tuple[int, int] | None = None,
    letterbox: LetterboxMode | None = None,
    offline: bool = False,
) -> Detector:
    """Load the detector in a file.

    Args:
        path: a ``.keras`` file; a run's folder, for its best.keras; Darknet weights; or the name of published
            weights (``yolov3-coco``), which are downloaded on first use.
        cfg: the Darknet network file of the weights; None: the one with the same name beside them, else the
            built-in network of that size.
        names: the classes of Darknet weights: a list, or a file with one a line; None: the file beside them
            (`names_beside`), else the names of COCO or VOC if there are 80 or 20.
        size: canvas in place of the file's own.
        letterbox: letterbox mode in place of the file's own.
        offline: download nothing; published weights must be in the cache.

    Raises:
        WeightsError: the file is missing, damaged, of another network, or cannot be downloaded.
        ConfigError: the network file or the names are invalid, or do not apply to this type of file.
    """
    check_loadable(path)
    path = resolve(path, offline=offline)
    if is_darknet(path):
        return load_darknet(path, cfg=cfg, names=names, size=size, letterbox=letterbox)
    for option, value in (("cfg", cfg), ("names", names)):
        if value is not None:
            raise ConfigError(f"{option} {value}: {path} is not a Darknet .weights file and needs none")
    detector = load_keras(path)
    if size is not None or letterbox is not None:
        detector = detector.resized(size or detector.canvas, letterbox=letterbox)
    return detector


def load_keras(path: str | Path) -> Detector:
    """Load the detector in a ``.keras`` file.

    Raises:
        WeightsError: the file is missing, damaged, or not a detector of this package.
    """
    if read_description(path).get("registered_name") != REGISTERED_NAME:
        raise WeightsError(f"{path}: a Keras model, but not a detector of this package")
    with open_or_fault(path, WeightsError) as file:
        try:
            check_numbers(file)
            detector = keras.saving.load_model(path, compile=False, safe_mode=True)
        except Exception as error:  # Keras raises errors of any type for a damaged file
            reason = str(error).partition("\n")[0] or type(error).__name__  # its messages have many lines
            raise WeightsError(f"{path}: the file is damaged ({reason:.200})") from error
    check_finite(detector, path)
    return detector


def check_numbers(file: IO[bytes]) -> None:
    """Compare the size of a ``.keras`` file with that of its arrays and of the network it describes.

    Raises:
        ValueError: the arrays or the network are far larger than the file.
        Exception: any other of `DAMAGE`.
    """
    with checked_zip(file) as archive, checked_weights(file, archive) as weights:
        held, needed = stored_numbers(weights), least_weights(read_config(archive)["config"])
        if held < needed:
            raise ValueError(f"it holds {held:,} numbers, the network that it describes has {needed:,}")


def least_weights(config: dict[str, Any]) -> int:
    """Lower bound of a network's number of weights, from its configuration, without building it."""
    model, classes = config["model"], len(config["classes"])
    if config.get("cfg") is not None:
        return sum(each.weights for each in make_detector_plan(config["cfg"], str(model)).convolutions)
    variant = VARIANTS.get(model)
    below_heads = variant.weights - 5 * variant.weights_of_class if variant else 0
    return below_heads + FEWEST_CHANNELS * (5 + classes) * sum(map(len, config["anchors"]))


def check_finite(detector: Detector, path: str | Path) -> None:
    """Check that all weights are finite.

    Raises:
        WeightsError: a weight is not finite; the first such array is named.
    """
    for weight in detector.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
            raise WeightsError(f"{path}: {weight.path} holds numbers that are not finite (NaN or infinity); {REMEDY}")


def load_darknet(
    path: str | Path,
    *,
    cfg: str | Path | None = None,
    names: str | Path | Sequence[str] | None = None,
    size: int | tuple[int, int] | None = None,
    letterbox: LetterboxMode | None = None,
) -> Detector:
    """Load the detector of a Darknet weights file; arguments as in `load`."""
    if cfg is None and (cfg := cfg_beside(path)) is not None:
        logger.info("%s: read with %s beside it", path, cfg.name)
    if cfg is None:
        return _load_builtin(path, names, size, letterbox)
    text = read_cfg(cfg)
    plan = make_detector_plan(text, str(cfg))
    # Checked before building, so that a network far larger than the file is never allocated.
    header, numbers = read_weights(path, plan.convolutions)
    classes = choose_names(names, head_of(plan.heads[0]).classes, path)
    detector = Detector(str(cfg), cfg=text, classes=classes, size=size, letterbox=letterbox)
    return _filled(detector, path, header, numbers)


def _load_builtin(
    path: str | Path,
    names: str | Path | Sequence[str] | None,
    size: int | tuple[int, int] | None,
    letterbox: LetterboxMode | None,
) -> Detector:
    """Load Darknet weights of a built-in network, which the file's size identifies."""
    model, count = recognise(path)
    detector = Detector(model, classes=choose_names(names, count, path), size=size, letterbox=letterbox)
    header, numbers = read_weights(path, [settings_of(layer) for layer in detector.convolutions])
    logger.info("%s: recognised as %s of %d classes by its size", path, model, count)
    return _filled(detector, path, header, numbers)


def recognise(path: str | Path) -> tuple[str, int]:
    """Find the built-in network and the number of classes by the size of a weights file.

    Raises:
        WeightsError: no built-in network has this size.
    """
    header = read_header(path)
    size = Path(path).stat().st_size
    for model, variant in VARIANTS.items():
        classes, rest = divmod((size - header.size) // 4 - variant.weights, variant.weights_of_class)
        if not rest and 0 < classes <= MOST_CLASSES and (size - header.size) % 4 == 0:
            return model, classes
    raise WeightsError(
        f"{path}: {size} bytes is the size of none of the networks {', '.join(VARIANTS)}; name its .cfg file (--cfg)"
    )


def choose_names(names: str | Path | Sequence[str] | None, count: int, path: str | Path) -> list[str]:
    """Choose the class names of Darknet weights, which do not contain them.

    Raises:
        ConfigError: their number is not that of the network's classes.
    """
    if names is None and (names := names_beside(path, count)) is not None:
        logger.info("%s: its class names are those of %s", path, names.name)
    if isinstance(names, str | Path):
        return read_names(names, count)
    if names is not None:
        if len(names) != count:
            raise ConfigError(f"names: {len(names)} of them, but {path} has {count} classes")
        return list(names)
    usual = usual_names(count)
    if usual is not None:
        logger.info("%s: its %d classes are taken for %s, ... (name others with --names)", path, count, usual[0])
        return usual
    logger.warning("%s: its %d classes have no names; give a file of them (--names)", path, count)
    return [f"class {index}" for index in range(count)]


def _filled(detector: Detector, path: str | Path, header: Header, numbers: Sequence[ConvolutionWeights]) -> Detector:
    set_weights(detector, numbers)
    detector.origin = {"weights": Path(path).name, "darknet": asdict(header)}
    return detector


def load_first_convolutions(detector: Detector, path: str | Path) -> int:
    """Load a Darknet file of the first convolutions, such as ``darknet53.conv.74``, into a detector.

    Returns:
        Number of convolutions loaded.

    Raises:
        WeightsError: the file is of another network.
    """
    header, numbers = read_weights(path, [settings_of(layer) for layer in detector.convolutions], partial=True)
    _filled(detector, path, header, numbers)
    return len(numbers)
