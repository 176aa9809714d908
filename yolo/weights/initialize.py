"""Initial weights of a training run: a detector, Darknet's first convolutions, Keras arrays or ImageNet."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from yolo.config import NewClasses
from yolo.errors import WeightsError
from yolo.files.atomic import is_file
from yolo.model.detector import Detector
from yolo.weights.imagenet import load_imagenet
from yolo.weights.keras_archive import read_description
from yolo.weights.keras_files import load_matching
from yolo.weights.load import REGISTERED_NAME, load, load_first_convolutions
from yolo.weights.locate import IMAGENET, PARTIAL_NAME, resolve
from yolo.weights.transfer import LAYERS_NAMED, transfer

logger = logging.getLogger(__name__)

SMALLEST_FRACTION = 0.5
"""Smallest fraction of a network's weights that has to fit; with less, the weights belong to another network."""
ARRAYS = (".h5", ".hdf5")
"""Extensions of Keras weights files that hold no model."""


def read_source(
    weights: str | None,
    *,
    cfg: str | Path | None = None,
    names: str | Path | Sequence[str] | None = None,
    offline: bool = False,
) -> Detector | None:
    """Load the detector in a weights file; None if the file holds no whole detector, or no weights are given.

    Raises:
        WeightsError: the file is missing, damaged or of another network.
    """
    if weights is None or weights == IMAGENET:
        return None
    path = resolve(weights, offline=offline)
    return load(path, cfg=cfg, names=names) if _holds_detector(path) else None


def _holds_detector(weights: str | Path) -> bool:
    path = Path(weights)
    if path.suffix == ".keras" and is_file(path):
        return read_description(path).get("registered_name") == REGISTERED_NAME
    return path.suffix.lower() not in ARRAYS and not PARTIAL_NAME.search(path.name)


def begin(
    detector: Detector,
    weights: Detector | str | Path,
    *,
    new: NewClasses = "fresh",
    seed: int = 0,
    offline: bool = False,
) -> None:
    """Initialize a new detector with the weights that fit, and log which these are.

    Args:
        detector: detector to initialize, changed in place.
        weights: another detector; or a file of Darknet's first convolutions, a Keras ``.h5``, or ``imagenet``.
        new: initial weights of classes that the source does not have.
        seed: seed of the choice of classes with ``sampled``.
        offline: download nothing.

    Raises:
        WeightsError: nothing fits, or the file is damaged.
    """
    if isinstance(weights, Detector):
        _begin_from_detector(detector, weights, new, seed)
    elif str(weights) == IMAGENET:
        load_imagenet(detector, offline=offline)
        logger.info("the backbone has Keras' ImageNet weights; the neck and the heads start from random weights")
    elif PARTIAL_NAME.search(Path(path := resolve(weights, offline=offline)).name):
        count = load_first_convolutions(detector, path)
        logger.info(
            "%s: %d of %d convolutions loaded; the rest start from random weights",
            path,
            count,
            len(detector.convolutions),
        )
    else:
        _begin_from_layers(detector, weights)


def _begin_from_layers(detector: Detector, path: str | Path) -> None:
    """Initialize the layers that a Keras file has under the same names."""
    report = load_matching(detector, path)
    logger.info("%s: %d layers loaded, %d of the file skipped", path, len(report.loaded), len(report.skipped))
    for name, reason in report.skipped[:LAYERS_NAMED]:
        logger.info("%s: not loaded: %s", name, reason)
    if len(report.loaded) < len(report.skipped):
        raise WeightsError(
            f"{path}: only {len(report.loaded)} of its {len(report.loaded) + len(report.skipped)} layers fit: they "
            f"belong to another network than {detector.variant}; select theirs with --model or --backbone"
        )


def _begin_from_detector(detector: Detector, source: Detector, new: NewClasses, seed: int) -> None:
    table = transfer(source, detector, new=new, seed=seed)
    for line in table.lines():
        logger.info("%s", line)
    if table.fraction < SMALLEST_FRACTION:
        raise WeightsError(
            f"only {len(table.loaded)} of {len(table.loaded) + len(table.skipped)} layers of {detector.variant} fit: "
            f"the weights belong to another network ({source.variant}); drop the option that names the network"
        )
    if table.other_anchors:
        logger.warning(
            "the anchors differ from those of the weights: box sizes are learned again (drop --anchors to keep them)"
        )
    detector.origin = dict(source.origin)
