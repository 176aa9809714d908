"""Preparation of a run: a detector for a dataset, anchors that fit its boxes, and the origin of its models."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from yolo.anchor_shapes import Shapes
from yolo.anchors import (
    Anchors,
    canvas_shapes,
    fit_anchors,
    fit_shapes,
    measure_anchors,
    published_anchors,
    read_anchors,
)
from yolo.config import LetterboxMode, NewClasses
from yolo.darknet.weights import Header
from yolo.datasets.overlap import sketch
from yolo.errors import AnnotationError, ConfigError
from yolo.files.atomic import is_file
from yolo.model.architecture import Architecture, design
from yolo.model.detector import Detector
from yolo.structs import Dataset
from yolo.system.notices import notices
from yolo.training.run.run import Run
from yolo.weights.initialize import begin, read_source

logger = logging.getLogger(__name__)

DEFAULT_MODEL = "yolov3"
GOOD_RECALL = 0.98
"""Best possible recall below which the anchors cause a warning."""
WORTHWHILE_RECALL = 0.005
"""Gain in best possible recall from which fitted anchors are recommended instead."""
AUTO = "auto"
"""Value of ``anchors`` that fits them to the boxes."""


@notices()
def make_detector(
    dataset: Dataset,
    *,
    model: str | None = None,
    weights: str | Path | None = None,
    anchors: Any = None,
    size: int | tuple[int, int] | None = None,
    letterbox: LetterboxMode | None = None,
    new: NewClasses = "fresh",
    cfg: str | Path | None = None,
    names: str | Path | Sequence[str] | None = None,
    seed: int = 0,
    offline: bool = False,
) -> Detector:
    """Make a detector for a dataset's classes, as `yolov3 train` does.

    Args:
        dataset: source of the classes, and of the boxes that anchors are fitted to.
        model: as in `Detector`; None: the network of the weights, else ``yolov3``.
        weights: initial weights: a ``.keras`` file, Darknet ``.weights``, a published name such as
            ``yolov3-coco``, Darknet's first convolutions, Keras' ``.h5``, or ``imagenet``; None: random weights.
        anchors: ``auto`` to fit them to the boxes, a file, a published set, or an array as in `Detector`;
            None: those of the weights, else ``auto``.
        size: side of the canvas, or (height, width); None: that of the weights, else 416.
        letterbox: as in `Detector`; None: that of the weights.
        new: initial filters of classes that the weights do not have.
        cfg: Darknet network file of the weights; without weights, the network itself.
        names: file of the class names of Darknet weights, or the names.
        seed: seed of the random weights and of the anchor fit.
        offline: download nothing.

    Raises:
        YoloError: the arguments do not fit each other, or the weights do not fit the network.
    """
    given = None if weights is None else str(weights)
    source = read_source(given, cfg=cfg, names=names, offline=offline)
    if cfg is not None and weights is None and model is not None:  # without weights it can only be the model
        raise ConfigError(f"model {model} and cfg {cfg} are given, but no weights: give one of them")
    options = network_options(model, source, cfg)
    options |= {name: value for name, value in (("size", size), ("letterbox", letterbox)) if value is not None}
    chosen = choose_anchors(anchors, dataset, options, seed=seed)
    if chosen is not None:
        options["anchors"] = chosen
    detector = Detector(**options, classes=dataset.classes, seed=seed)
    if given is not None:
        begin(detector, source or given, new=new, seed=seed, offline=offline)
        logger.info("beginning from %s: %s at %d x %d", weights, detector.variant, *detector.canvas)
    return detector


def network_options(model: str | None, source: Detector | None, cfg: str | Path | None) -> dict[str, Any]:
    """Arguments of `Detector` for the network named, else for that of the weights, else for the default one.

    Args:
        model: name of the network; None: not given.
        source: the detector in the weights file; None: it holds no whole detector, or there is none.
        cfg: Darknet network file, of the weights or of the network itself.
    """
    if source is None or model not in (None, source.variant):
        return {"model": model or (DEFAULT_MODEL if cfg is None else str(cfg))}
    config = source.get_config()
    return {name: config[name] for name in ("model", "cfg", "anchors", "size", "letterbox", "nms")}


def choose_anchors(wanted: Any, dataset: Dataset, options: Mapping[str, Any], *, seed: int) -> Any:
    """Anchors of an array, a file or a published set, or fitted to the boxes; None: keep the network's own.

    By default they are fitted (``auto``), unless the weights were trained with others.
    """
    if wanted is None and "anchors" in options:
        return None
    if wanted is not None and not isinstance(wanted, str | Path):
        return wanted
    given = {name: options.get(name) for name in ("cfg", "anchors", "size", "letterbox")}
    shape = design(options["model"], classes=len(dataset.classes), **given)
    if wanted not in (None, AUTO):
        return read_anchors(wanted, shape.canvas) if is_file(wanted) else published_anchors(str(wanted), shape.canvas)
    return fitted_anchors(dataset, shape, seed=seed)


def fitted_anchors(dataset: Dataset, shape: Architecture, *, seed: int) -> NDArray[np.float32] | None:
    """Fit the network's number of anchors to the boxes; None, with a warning, if that is impossible."""
    own = np.concatenate(shape.anchors[::-1])
    try:
        fitted = fit_anchors(dataset, len(own), shape.canvas, seed=seed, mode=shape.letterbox)
    except (AnnotationError, ConfigError) as error:
        logger.warning("%s; the network's own anchors are used", error)
        return None
    shapes = canvas_shapes(dataset, shape.canvas, mode=shape.letterbox)
    logger.info(
        "anchors fitted to the boxes: mean IoU %.3f (the network's own: %.3f)",
        *(measure_anchors(shapes, each).mean_iou for each in (fitted, own)),
    )
    return fitted


def warn_of_overlap(dataset: Dataset, validation: Dataset) -> None:
    """Warn if validation images are also in the training set."""
    trained = {dataset.path(index) for index in range(len(dataset))}
    shared = sum(validation.path(index) in trained for index in range(len(validation)))
    if shared:
        logger.warning(
            "%d of the %d validation pictures are trained on too: the metrics flatter", shared, len(validation)
        )


def check_anchors(detector: Detector, dataset: Dataset) -> None:
    """Log how well the anchors fit the boxes, and the remedy if they do not."""
    shapes = canvas_shapes(dataset, detector.canvas, mode=detector.letterbox)
    if not len(shapes):
        return
    found = measure_anchors(shapes, detector.anchors)
    recall = found.best_possible_recall
    logger.info("anchors: mean IoU %.3f with the boxes, best possible recall %.3f", found.mean_iou, recall)
    if recall < GOOD_RECALL:
        logger.warning(
            "the anchors are far from %.1f %% of the boxes, which will hardly be found: %s",
            100 * (1 - recall),
            anchor_advice(shapes, detector.anchors),
        )


def anchor_advice(shapes: Shapes, anchors: Anchors) -> str:
    """Remedy for anchors that are far from many shapes: fitted ones if these come nearer, else more of them."""
    present = measure_anchors(shapes, anchors).best_possible_recall
    fitted = measure_anchors(shapes, fit_shapes(shapes, len(anchors))).best_possible_recall
    if fitted > present + WORTHWHILE_RECALL:
        left = 100 * (1 - fitted)
        return f"fit anchors to them (yolov3 train --anchors auto, yolo.fit_anchors), which leaves {left:.1f} %"
    return (
        f"no {len(anchors)} anchors fit so many different shapes: take a model with more of them"
        " (yolov3 has 9, yolov3-tiny 6), or fit twice as many"
        f" (yolov3 anchors DATA --count {2 * len(anchors)} --out FILE, then --anchors FILE)"
    )


def describe_origin(run: Run) -> dict[str, Any]:
    """Describe a model's training for its file: data, options, versions; ``start`` is the origin of its weights."""
    detector, dataset = run.detector, run.dataset
    return {
        **({"start": dict(detector.origin)} if detector.origin else {}),
        "darknet": dict(detector.origin.get("darknet", asdict(Header()))),
        "dataset": dataset.name,
        "split": dataset.split,
        "images": len(dataset),
        "fingerprint": dataset.fingerprint,
        "sketch": sketch(dataset),
        "validation": describe_validation(run),
        "config": asdict(run.config),
        "versions": {name: package_version(name) for name in ("yolov3-keras", "keras", keras.backend.backend())},
    }


def describe_validation(run: Run) -> dict[str, Any]:
    """Describe how a run's metrics are computed: batch size and precision change their last digits."""
    return {
        "dataset": run.validation.name,
        "split": run.validation.split,
        "images": len(run.validation),
        "fingerprint": run.validation.fingerprint,
        "batch": run.batch,
        "precision": run.detector.convolutions[0].dtype_policy.name,
    }


def package_version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
