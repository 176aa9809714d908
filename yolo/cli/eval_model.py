"""Detections of a model in the images of `yolov3 eval`: which images, in which precision, with which NMS."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from jsonargparse import Namespace

from yolo.cli.common import find_weights, load_any_detector, load_detector, parse_size
from yolo.cli.data_options import choose_split, load_data
from yolo.cli.label_errors import check_labels, detect_out_of_fold
from yolo.config import NmsConfig, Precision, RuntimePrecision
from yolo.datasets.annotations.splits import find_split
from yolo.datasets.load import available_splits, check_split, dataset_name
from yolo.errors import AnnotationError
from yolo.evaluation.class_mapping import map_classes
from yolo.evaluation.results import DetectionColumns
from yolo.evaluation.splits import warn_if_trained_on
from yolo.structs import Dataset, counted
from yolo.system.startup import start_keras
from yolo.training.run.held_out import HELD_OUT, held_out_of
from yolo.weights.locate import exported_runtime

if TYPE_CHECKING:
    from yolo.runtimes.interface import AnyDetector

logger = logging.getLogger(__name__)

BATCH = 8
"""Default number of images per batch."""
TRAINING_WORDS = {"bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
"""Training's words of precisions, whose weights and heads are float32."""


def detect_all(
    arguments: Namespace, nms: NmsConfig, dataset: Dataset | None = None
) -> tuple[Dataset, DetectionColumns]:
    """Run the model on a dataset; arguments as in `detect_and_describe`, results without the description."""
    dataset, found, _ = detect_and_describe(arguments, nms, dataset)
    return dataset, found


def detect_and_describe(
    arguments: Namespace, nms: NmsConfig, dataset: Dataset | None = None
) -> tuple[Dataset, DetectionColumns, dict[str, Any]]:
    """Run the model on a dataset.

    Args:
        arguments: options of the command.
        nms: thresholds of the detections.
        dataset: the images; None: those that the options choose.

    Returns:
        The dataset, with its classes in the model's order; the detections; and for about.json what the model is and
        how long it took.
    """
    size = None if arguments.size is None else parse_size(arguments.size)
    check_chosen_split(arguments)
    path = find_weights(arguments, exported=True)
    start_keras()  # the input pipeline is TensorFlow's, whatever runs the network
    runtime = arguments.runtime or ("keras" if exported_runtime(path) is None else "auto")
    if runtime == "keras" and exported_runtime(path) is None:
        detector = load_reference(arguments, path, size)
    else:
        options = {**vars(arguments), "runtime": runtime, "precision": arguments.precision or "auto"}
        detector = load_any_detector(Namespace(**options), size=size)
    about = detector.origin
    from yolo.evaluation.evaluator import evaluation_nms, find_all

    if dataset is None:
        dataset = choose_images(arguments, detector.classes, about)
    else:
        dataset = map_classes(dataset, detector.classes)
    check_has_true_boxes(dataset)
    check_labels(arguments, about, dataset)
    if arguments.folds is None:
        warn_if_trained_on(about, dataset)
    batch = arguments.batch or measured(about).get("batch") or BATCH
    own = evaluation_nms(detector.nms)
    nms = replace(own, conf=nms.conf, iou=nms.iou, kind=arguments.nms or own.kind)
    began = time.perf_counter()
    if arguments.folds is None:
        found = find_all(detector, dataset, batch=batch, nms=nms)
    else:
        found = detect_out_of_fold(arguments, detector, dataset, batch=batch, nms=nms)
    speed = {"images": len(dataset), "seconds": time.perf_counter() - began}
    return dataset, found, {"speed": speed, **describe_model(detector, arguments.weights)}


def describe_model(detector: AnyDetector, weights: str) -> dict[str, Any]:
    """Describe a detector for about.json."""
    height, width = detector.canvas
    anchors = getattr(detector, "anchors", None)  # an exported file decodes by itself
    return {
        "model": {"weights": weights, "input": f"{width} x {height}"},
        "classes": list(detector.classes),
        "canvas": [height, width],
        "anchors": None if anchors is None else anchors.tolist(),
        "origin": {name: detector.origin.get(name) for name in ("held_out", "validation")},
    }


def check_chosen_split(arguments: Namespace) -> None:
    """Raise an AnnotationError if DATA is not there or has no split named in --split, before anything is loaded."""
    splits = available_splits(arguments.data)
    if arguments.split not in (None, HELD_OUT):
        check_split(arguments.data, arguments.split, (*splits, HELD_OUT))


def load_reference(arguments: Namespace, path: str | Path, size: tuple[int, int] | None) -> AnyDetector:
    """Load the detector as training validates it, in the same precision."""
    set_precision(arguments.precision, read_origin(path))
    return load_detector(arguments, size=size)


def read_origin(path: str | Path) -> dict[str, Any]:
    """Read the origin in a model file of this package; empty for other files."""
    from yolo.weights.keras_archive import read_description

    if Path(path).suffix != ".keras":
        return {}
    config = read_description(Path(path)).get("config")
    origin = config.get("origin") if isinstance(config, dict) else None
    return origin if isinstance(origin, dict) else {}


def measured(origin: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with which training validated a model, from its origin."""
    found = origin.get("validation")
    return found if isinstance(found, dict) else {}


def set_precision(wanted: RuntimePrecision | None, origin: Mapping[str, Any]) -> None:
    """Set the precision of an option, else that of the model's validation in training, to get the same metrics."""
    import keras

    from yolo.model.backend.precision import choose_precision

    chosen: Any = TRAINING_WORDS.get(wanted or "", wanted) or measured(origin).get("precision")
    if chosen in get_args(Precision):
        keras.config.set_dtype_policy(choose_precision(chosen))


def choose_images(arguments: Namespace, classes: Sequence[str], origin: Mapping[str, Any]) -> Dataset:
    """Load the split of an option, else the one that training validated on, else val, test or everything.

    Raises:
        AnnotationError: there is no such split, or its images are not in DATA.
    """
    held_out = origin.get("held_out")
    if arguments.split == HELD_OUT and not isinstance(held_out, dict):
        raise AnnotationError(
            f"--split {HELD_OUT}: the model held no images out in its training; {splits_of(arguments)}"
        )
    if arguments.split in (None, HELD_OUT) and isinstance(held_out, dict):
        found = load_held_out(arguments, classes, held_out)
        if found is not None:
            logger.info("measured on the %d images that training held out (--split names others)", len(found))
            return found
        if arguments.split == HELD_OUT:
            raise AnnotationError(
                f"--split {HELD_OUT}: {arguments.data} is not, or no longer, the dataset that the model was "
                f"trained on; {splits_of(arguments)}"
            )
    split = None if validated_whole(arguments, origin) else choose_split(arguments, *validated(origin), "val", "test")
    return map_classes(load_data(arguments, split), classes)


def validated(origin: Mapping[str, Any]) -> list[str]:
    """List the split that training validated on, if it had a name."""
    split = measured(origin).get("split")
    return [split] if isinstance(split, str) else []


def validated_whole(arguments: Namespace, origin: Mapping[str, Any]) -> bool:
    """Whether training validated on all of DATA (``--val DATA``), and no --split is given."""
    about = measured(origin)
    return (
        arguments.split is None
        and "split" in about
        and about["split"] is None
        and about.get("dataset") == dataset_name(arguments.data)
    )


def load_held_out(arguments: Namespace, classes: Sequence[str], held_out: Mapping[str, Any]) -> Dataset | None:
    """Load the images that training held out, or None if they are not in DATA."""
    splits, split = available_splits(arguments.data), held_out.get("split")
    if split is not None and find_split(split, splits) is None:
        return None
    return held_out_of(map_classes(load_data(arguments, split), classes), held_out)


def splits_of(arguments: Namespace) -> str:
    """Names of the splits in DATA, as part of a message."""
    splits = available_splits(arguments.data)
    return f"{arguments.data} has {', '.join(splits)}" if splits else f"{arguments.data} is not divided into splits"


def check_has_true_boxes(dataset: Dataset) -> None:
    """Raise an AnnotationError if there is nothing to find in a dataset, so that no metric is defined."""
    if dataset.ignore.all():
        part = "" if dataset.split is None else f", split {dataset.split}"
        raise AnnotationError(
            f"{dataset.name}{part}: no true boxes in {counted(len(dataset), 'picture')}: neither precision over recall "
            "nor recall can be measured; give data with annotated objects of these classes"
        )
