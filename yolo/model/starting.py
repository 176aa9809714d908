"""Beginning a training from somebody else's weights, whatever kind of file they are in."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from yolo.config import NewClasses
from yolo.errors import WeightsError
from yolo.model.backbones import load_imagenet
from yolo.model.detector import Detector
from yolo.model.keras_weights import load_matching
from yolo.model.loading import PARTIAL_NAME, load, load_first_convolutions, resolve
from yolo.model.transfer import transfer

logger = logging.getLogger(__name__)

IMAGENET = "imagenet"
"""In place of a file: the weights that Keras publishes for its backbones."""


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
    if weights is None or not _holds_detector(resolve(weights, offline=offline)):
        return None
    return load(weights, cfg=cfg, names=names, offline=offline)


def _holds_detector(weights: str | Path) -> bool:
    path = Path(weights)
    return path.suffix != ".h5" and str(weights) != IMAGENET and not PARTIAL_NAME.search(path.name)


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
        report = load_matching(detector, weights)
        logger.info("%s: %d layers loaded", weights, len(report.loaded))
        for name, reason in report.skipped:
            logger.info("%s: not loaded: %s", name, reason)


def _begin_from_detector(detector: Detector, source: Detector, new: NewClasses, seed: int) -> None:
    table = transfer(source, detector, new=new, seed=seed)
    for line in table.lines():
        logger.info("%s", line)
    if len(table.loaded) < len(table.skipped):
        raise WeightsError(
            f"only {len(table.loaded)} of {len(table.loaded) + len(table.skipped)} layers of {detector.variant} fit: "
            f"the weights are of another network ({source.variant}); leave the option that names the network out"
        )
    if table.other_anchors:
        logger.warning(
            "the anchors are not those of the weights: sizes have to be learned anew (leave --anchors out to keep them)"
        )
    detector.origin = dict(source.origin)
