"""Detections and datasets as those of Roboflow's supervision (supervision.roboflow.com)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from yolo.errors import AnnotationError
from yolo.interchange.columns import (
    DatasetFields,
    DetectionFields,
    as_boxes,
    as_indices,
    as_labels,
    as_scores,
    missing_extra,
    named_classes,
)

if TYPE_CHECKING:
    import supervision

NAMES = "class_name"
"""Key of the class names in the data of supervision's objects, which its annotators read."""
IGNORE, AREA = "ignore", "area"
"""Keys of what supervision has no place of its own for."""
PLACE = "supervision"


def package() -> Any:
    """Import supervision.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import supervision
    except ImportError as error:
        raise missing_extra("supervision") from error
    return supervision


def to_detections(found: DetectionFields) -> supervision.Detections:
    """Detections of supervision, with the class names that its annotators write."""
    return package().Detections(
        xyxy=found.boxes.copy(),
        confidence=found.scores.copy(),
        class_id=found.labels.astype(int),
        data={NAMES: np.array([found.classes[label] for label in found.labels], str)},
    )


def from_detections(found: supervision.Detections, classes: Sequence[str] | None) -> DetectionFields:
    """Read detections of supervision, best first; masks, tracks and other data are left behind.

    Args:
        found: the detections; without confidence it is 1.
        classes: class names that ``class_id`` counts; None: the names in ``data["class_name"]``.

    Raises:
        AnnotationError: there are no classes, or a value is of another kind.
    """
    boxes = as_boxes(found.xyxy, place=PLACE)
    scores = np.ones(len(boxes), np.float32) if found.confidence is None else found.confidence
    labels, chosen = read_classes(found, len(boxes), classes)
    order = np.argsort(-as_scores(scores, len(boxes), place=PLACE), kind="stable")
    return DetectionFields(boxes[order], np.asarray(scores, np.float32)[order], labels[order], chosen)


def read_classes(
    found: supervision.Detections, count: int, classes: Sequence[str] | None
) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Labels (N,) of detections, and the class names that they count."""
    if classes is not None:
        if found.class_id is None and count:
            raise AnnotationError(f"{PLACE}: the detections have no class_id")
        numbers = np.zeros(0, int) if found.class_id is None else found.class_id
        return as_indices(numbers, classes, place=PLACE), tuple(classes)
    names = [str(name) for name in found.data.get(NAMES, [])]
    if len(names) != count:
        raise AnnotationError(f"{PLACE}: the detections have no data[{NAMES!r}]; give classes=[...]")
    chosen = named_classes(names, place=PLACE)
    return as_labels(names, chosen, place=PLACE), chosen


def to_dataset(data: DatasetFields) -> supervision.DetectionDataset:
    """Dataset of supervision; the flags and areas of objects go into the data of its detections.

    Raises:
        AnnotationError: a file is there twice, which supervision cannot hold.
    """
    module = package()
    if len(set(data.files)) < len(data.files):
        twice = next(file for file in data.files if list(data.files).count(file) > 1)
        raise AnnotationError(f"{twice}: is in the dataset twice, which supervision cannot hold")
    found = {}
    for file, first, last in zip(data.files, data.offsets[:-1], data.offsets[1:], strict=True):
        found[file] = module.Detections(
            xyxy=data.boxes[first:last].copy(),
            confidence=None if data.scores is None else data.scores[first:last].copy(),
            class_id=data.labels[first:last].astype(int),
            data={IGNORE: data.ignore[first:last].copy(), AREA: data.areas[first:last].copy()},
        )
    return module.DetectionDataset(classes=list(data.classes), images=list(data.files), annotations=found)


def from_dataset(data: supervision.DetectionDataset, size_of: Callable[[str], tuple[int, int]]) -> DatasetFields:
    """Read a dataset of supervision; of masks the boxes are kept.

    Args:
        data: the dataset; its images are files.
        size_of: function that gives the (height, width) of an image file.

    Raises:
        AnnotationError: a value is of another kind.
        MediaError: the size of an image cannot be read.
    """
    files = list(data.image_paths)
    parts = [data.annotations[file] for file in files]
    boxes = [as_boxes(part.xyxy, place=file) for file, part in zip(files, parts, strict=True)]
    whole = np.concatenate([np.zeros((0, 4), np.float32), *boxes])
    numbers = [read_classes(part, len(part), data.classes)[0] for part in parts]
    scored = bool(parts) and all(part.confidence is not None for part in parts)
    return DatasetFields(
        classes=tuple(data.classes),
        files=files,
        sizes=np.array([size_of(file) for file in files], np.int32).reshape(-1, 2),
        offsets=np.concatenate([[0], np.cumsum([len(each) for each in boxes])]).astype(np.int64),
        boxes=whole,
        labels=np.concatenate([np.zeros(0, np.int32), *numbers]),
        ignore=gathered(parts, IGNORE, np.zeros(len(whole), bool)),
        areas=gathered(parts, AREA, (whole[:, 2:] - whole[:, :2]).prod(axis=1)),
        image_ids=files,
        category_ids=tuple(range(len(data.classes))),
        scores=np.concatenate([part.confidence for part in parts]).astype(np.float32) if scored else None,
    )


def gathered(parts: Sequence[supervision.Detections], key: str, default: NDArray[Any]) -> NDArray[Any]:
    """Values (K,) of a key in the data of all detections; ``default`` if some have none."""
    held = [part.data.get(key) for part in parts]
    if not parts or any(values is None or len(values) != len(part) for values, part in zip(held, parts, strict=True)):
        return default
    return np.concatenate([np.asarray(values, default.dtype) for values in held])
