"""Columns of detections and of datasets that conversions take and give, with the checks of what users bring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from yolo.errors import AnnotationError, ConfigError
from yolo.files.quoted import quoted

EXTRA = "results"
"""Extra of the package that brings pandas and supervision."""


class DetectionFields(NamedTuple):
    """Fields of `yolo.structs.Detections`."""

    boxes: NDArray[np.float32]
    """(N, 4) xyxy in pixels of the image."""
    scores: NDArray[np.float32]
    """(N,) confidence in 0..1."""
    labels: NDArray[np.int32]
    """(N,) indices into ``classes``."""
    classes: tuple[str, ...]


class DatasetFields(NamedTuple):
    """Columns of a `yolo.structs.Dataset`; ``files`` are whole paths."""

    classes: tuple[str, ...]
    files: Sequence[str]
    sizes: NDArray[np.int32]
    """(N, 2) height and width."""
    offsets: NDArray[np.int64]
    """(N + 1,) first row of each image's boxes."""
    boxes: NDArray[np.float32]
    """(K, 4) xyxy in pixels of the image."""
    labels: NDArray[np.int32]
    """(K,) indices into ``classes``."""
    ignore: NDArray[np.bool_]
    """(K,) crowds and difficult objects."""
    areas: NDArray[np.float32]
    """(K,) in square pixels."""
    image_ids: Sequence[int | str]
    category_ids: tuple[int, ...]
    scores: NDArray[np.float32] | None
    """(K,) confidence in 0..1; None: the boxes are annotations."""


def missing_extra(package: str) -> ConfigError:
    """Error that says how to install a package that a conversion needs."""
    return ConfigError(f"{package} is not installed; pip install 'yolov3-keras[{EXTRA}]'")


def as_boxes(values: ArrayLike, *, place: str) -> NDArray[np.float32]:
    """Boxes (N, 4) xyxy of a user's numbers.

    Raises:
        AnnotationError: they are not four finite numbers a box, or a box's second corner lies before its first.
    """
    try:
        boxes = np.asarray(values, np.float32).reshape(-1, 4)
    except (TypeError, ValueError) as error:
        raise AnnotationError(f"{place}: expected four numbers x1, y1, x2, y2 a box, got {quoted(values)}") from error
    sound = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] >= boxes[:, :2]).all(axis=1)
    if not sound.all():
        row = int(np.argmin(sound))
        raise AnnotationError(
            f"{place}: box {row} must be x1 <= x2, y1 <= y2 in finite numbers, got {boxes[row].tolist()}"
        )
    return boxes


def as_scores(values: ArrayLike, count: int, *, place: str) -> NDArray[np.float32]:
    """Scores (N,) of a user's numbers.

    Raises:
        AnnotationError: they are not one number in 0..1 a box.
    """
    try:
        scores = np.asarray(values, np.float32).reshape(-1)
    except (TypeError, ValueError) as error:
        raise AnnotationError(f"{place}: expected one number a score, got {quoted(values)}") from error
    if len(scores) != count:
        raise AnnotationError(f"{place}: expected a score for each of {count} boxes, got {len(scores)}")
    sound = (scores >= 0) & (scores <= 1)
    if not sound.all():
        raise AnnotationError(f"{place}: a score must be in 0..1, got {scores[np.argmin(sound)]:g}")
    return scores


def as_labels(names: Sequence[Any], classes: Sequence[str], *, place: str) -> NDArray[np.int32]:
    """Indices (N,) of class names into a list of classes.

    Raises:
        AnnotationError: a name is not in the list.
    """
    index_of = {name: index for index, name in enumerate(classes)}
    for row, name in enumerate(names):
        if name not in index_of:
            raise AnnotationError(
                f"{place}: class {quoted(name)} of box {row} is not among the classes ({quoted(list(classes))})"
            )
    return np.array([index_of[name] for name in names], np.int32)


def as_indices(values: ArrayLike, classes: Sequence[str], *, place: str) -> NDArray[np.int32]:
    """Labels (N,) that a user gives as numbers.

    Raises:
        AnnotationError: one is not the index of a class.
    """
    labels = np.asarray(values).reshape(-1)
    wrong = [each for each in labels.tolist() if type(each) is not int or not 0 <= each < len(classes)]
    if wrong:
        raise AnnotationError(f"{place}: expected class numbers 0 to {len(classes) - 1}, got {quoted(wrong[0])}")
    return labels.astype(np.int32)


def named_classes(names: Sequence[Any], *, place: str) -> tuple[str, ...]:
    """Distinct class names in the order of their first appearance.

    Raises:
        AnnotationError: one is no text, or empty.
    """
    for row, name in enumerate(names):
        if not isinstance(name, str) or not name:
            raise AnnotationError(f"{place}: box {row}: expected a class name, got {quoted(name)}")
    return tuple(dict.fromkeys(str(name) for name in names))
