"""Detections and datasets as pandas tables: one row a box."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from yolo.errors import AnnotationError
from yolo.interchange.columns import (
    DatasetFields,
    DetectionFields,
    as_boxes,
    as_labels,
    as_scores,
    missing_extra,
    named_classes,
)

if TYPE_CHECKING:
    from pandas import DataFrame

BOX = ["x1", "y1", "x2", "y2"]
FOUND = ["class", "score", *BOX]
"""Columns of detections."""
PICTURE = ["file", "image_id", "height", "width"]
OBJECT = ["class", *BOX, "area", "ignore"]
"""Columns of a dataset: those of the image, and those of the object; ``score`` too where its boxes have one."""
NEEDED = ["file", "height", "width", "class", *BOX]
PLACE = "table"


def pandas() -> Any:
    """Import pandas.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise missing_extra("pandas") from error
    return pandas


def detection_table(found: DetectionFields) -> DataFrame:
    """Table of detections with the columns `FOUND`."""
    names = [found.classes[label] for label in found.labels]
    columns = {"class": names, "score": found.scores, **dict(zip(BOX, found.boxes.T, strict=True))}
    return pandas().DataFrame(columns, columns=FOUND)


def read_detection_table(frame: DataFrame, classes: Sequence[str] | None) -> DetectionFields:
    """Read a table with the columns `FOUND`; others are passed over.

    Args:
        frame: table, one row a detection.
        classes: class names; None: those in the table, in the order of their first appearance.

    Raises:
        AnnotationError: a column is missing, or a value is of another kind.
    """
    check_columns(frame, FOUND)
    names = frame["class"].tolist()
    chosen = named_classes(names, place=PLACE) if classes is None else tuple(classes)
    boxes = as_boxes(frame[BOX].to_numpy(), place=PLACE)
    return DetectionFields(
        boxes,
        as_scores(frame["score"].to_numpy(), len(boxes), place=PLACE),
        as_labels(names, chosen, place=PLACE),
        chosen,
    )


def dataset_table(data: DatasetFields) -> DataFrame:
    """Table of a dataset: one row a box, and one without class and box for each image that has none."""
    counts = np.diff(data.offsets)
    pictures = np.repeat(np.arange(len(data.files)), np.maximum(counts, 1))
    filled = np.repeat(counts > 0, np.maximum(counts, 1))
    columns: dict[str, Any] = {
        "file": [data.files[picture] for picture in pictures.tolist()],
        "image_id": [data.image_ids[picture] for picture in pictures.tolist()],
        "height": data.sizes[pictures, 0],
        "width": data.sizes[pictures, 1],
        "class": spread([data.classes[label] for label in data.labels], filled, None),
        **{side: spread(data.boxes[:, place], filled, np.nan) for place, side in enumerate(BOX)},
        "area": spread(data.areas, filled, np.nan),
        "ignore": spread(data.ignore, filled, False),
    }
    if data.scores is not None:
        columns["score"] = spread(data.scores, filled, np.nan)
    return pandas().DataFrame(columns)


def spread(values: Any, filled: NDArray[np.bool_], gap: Any) -> NDArray[Any]:
    """Values (K) at the rows (R,) that are filled, of which there are K, and ``gap`` at the others."""
    held = np.array(values, object) if gap is None else np.asarray(values)
    rows = np.full(len(filled), gap, held.dtype)
    rows[filled] = held
    return rows


def read_dataset_table(frame: DataFrame, classes: Sequence[str] | None) -> DatasetFields:
    """Read a table with the columns `NEEDED`, one row a box; rows of an image need not stand together.

    ``image_id``, ``area``, ``ignore`` and ``score`` count where they are there. A row without class is an image without
    boxes.

    Args:
        frame: the table.
        classes: class names; None: those in the table, in alphabetical order.

    Raises:
        AnnotationError: a column is missing, a value is of another kind, or an image has two sizes.
    """
    check_columns(frame, NEEDED)
    files = frame["file"].astype(str)
    first = frame[~files.duplicated()]
    index_of = {file: index for index, file in enumerate(first["file"].astype(str))}
    pictures = files.map(index_of).to_numpy()
    check_sizes(frame, first, pictures)
    filled = frame["class"].notna().to_numpy()
    order = np.flatnonzero(filled)[np.argsort(pictures[filled], kind="stable")]
    rows = frame.iloc[order]
    names = rows["class"].tolist()
    chosen = tuple(sorted(named_classes(names, place=PLACE))) if classes is None else tuple(classes)
    boxes = as_boxes(rows[BOX].to_numpy(), place=PLACE)
    counts = np.bincount(pictures[filled], minlength=len(first))
    return DatasetFields(
        classes=chosen,
        files=list(index_of),
        sizes=first[["height", "width"]].to_numpy(np.int32),
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        boxes=boxes,
        labels=as_labels(names, chosen, place=PLACE),
        ignore=rows["ignore"].to_numpy(bool) if "ignore" in rows else np.zeros(len(rows), bool),
        areas=rows["area"].to_numpy(np.float32) if "area" in rows else (boxes[:, 2:] - boxes[:, :2]).prod(axis=1),
        image_ids=first["image_id"].tolist() if "image_id" in first else list(index_of),
        category_ids=tuple(range(len(chosen))),
        scores=as_scores(rows["score"].to_numpy(), len(rows), place=PLACE) if "score" in rows else None,
    )


def check_columns(frame: DataFrame, needed: Sequence[str]) -> None:
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise AnnotationError(f"{PLACE}: has no column {', '.join(missing)}; expected {', '.join(needed)}")


def check_sizes(frame: DataFrame, first: DataFrame, pictures: NDArray[np.int64]) -> None:
    sides = ["height", "width"]
    differing = (frame[sides].to_numpy() != first[sides].to_numpy()[pictures]).any(axis=1)
    if differing.any():
        row = int(np.argmax(differing))
        raise AnnotationError(
            f"{PLACE}: row {row}: {frame['file'].iloc[row]} has another height or width than in its first row"
        )
