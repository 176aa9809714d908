"""Beginning a training from somebody else's weights, whatever kind of file they are in."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from yolo.config import NewClasses
from yolo.errors import WeightsError
from yolo.files.atomic import is_file
from yolo.model.detector import Detector
from yolo.weights.imagenet import load_imagenet
from yolo.weights.keras_files import load_matching
from yolo.weights.load import REGISTERED_NAME, load, load_first_convolutions, read_description
from yolo.weights.locate import IMAGENET, PARTIAL_NAME, resolve
from yolo.weights.transfer import LAYERS_NAMED, transfer

logger = logging.getLogger(__name__)

LEAST_SHARE = 0.5
"""Less of a network's weights than this is no beginning: they are another network's."""
ARRAYS = (".h5", ".hdf5")
"""Keras' files of weights without a model."""


def read_source(
    weights: str | None,
    *,
    cfg: str | Path | None = None,
    names: str | Path | Sequence[str] | None = None,
    offline: bool = False,
) -> Detector | None:
    """The detector that weights hold; None where they hold no whole one, or there are none.

    Raises:
        WeightsError: the file is missing, damaged or not of this network.
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
    """Fill a new detector with what fits of the weights, and say what that is.

    Args:
        detector: is filled.
        weights: another detector; or Darknet's first convolutions, Keras' ``.h5``, ``imagenet``.
        new: what classes that the weights do not know begin with.
        seed: of the choice of classes with ``sampled``.
        offline: download nothing.

    Raises:
        WeightsError: nothing fits, or the file is damaged.
    """
    if isinstance(weights, Detector):
        _begin_from_detector(detector, weights, new, seed)
    elif str(weights) == IMAGENET:
        load_imagenet(detector, offline=offline)
        logger.info("the backbone has Keras' ImageNet weights; the neck and the heads begin anew")
    elif PARTIAL_NAME.search(Path(path := resolve(weights, offline=offline)).name):
        count = load_first_convolutions(detector, path)
        logger.info("%s: %d of %d convolutions loaded, the rest begin anew", path, count, len(detector.convolutions))
    else:
        _begin_from_layers(detector, weights)


def _begin_from_layers(detector: Detector, path: str | Path) -> None:
    """Fill the layers that a Keras file has by name."""
    report = load_matching(detector, path)
    logger.info("%s: %d layers loaded, %d of the file's left", path, len(report.loaded), len(report.skipped))
    for name, reason in report.skipped[:LAYERS_NAMED]:
        logger.info("%s: not loaded: %s", name, reason)
    if len(report.loaded) < len(report.skipped):
        raise WeightsError(
            f"{path}: only {len(report.loaded)} of its {len(report.loaded) + len(report.skipped)} layers fit: they are "
            f"of another network than {detector.variant}; name theirs with --model or --backbone"
        )


def _begin_from_detector(detector: Detector, source: Detector, new: NewClasses, seed: int) -> None:
    table = transfer(source, detector, new=new, seed=seed)
    for line in table.lines():
        logger.info("%s", line)
    if table.share < LEAST_SHARE:
        raise WeightsError(
            f"only {len(table.loaded)} of {len(table.loaded) + len(table.skipped)} layers of {detector.variant} fit: "
            f"the weights are of another network ({source.variant}); leave the option that names the network out"
        )
    if table.other_anchors:
        logger.warning(
            "the anchors are not those of the weights: sizes have to be learned anew (leave --anchors out to keep them)"
        )
    detector.origin = dict(source.origin)
