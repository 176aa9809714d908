"""Detections in a whole dataset as columns, and reading and writing of COCO results files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.errors import AnnotationError
from yolo.evaluation.results_in_bulk import read_in_bulk
from yolo.files.bounded import MIB, read_bytes
from yolo.files.quoted import quoted
from yolo.interchange.plain import coco_entries
from yolo.structs import Boxes, Dataset, Detections

RESULTS = "results.json"
"""File of detections in the folder of a run or of `eval --out`."""
LARGEST = 1e9
"""Largest coordinate or score accepted from a results file; areas of larger boxes would overflow."""
LARGEST_RESULTS = 8192 * MIB
"""Largest results file, in bytes."""


@dataclass(frozen=True, eq=False)
class DetectionColumns:
    """K detections in the images of a dataset, in any order."""

    pictures: NDArray[np.int64]
    """(K,) index of the image in the dataset."""
    labels: NDArray[np.int32]
    """(K,) indices into the dataset's classes."""
    scores: NDArray[np.float64]
    """(K,) confidence; double precision, so that scores read from a results file keep their order."""
    boxes: Boxes
    """(K, 4) xyxy in pixels of the image."""

    def __post_init__(self) -> None:
        count = len(self.boxes)
        for column, received, wanted in (
            ("pictures", self.pictures.shape, (count,)),
            ("labels", self.labels.shape, (count,)),
            ("scores", self.scores.shape, (count,)),
            ("boxes", self.boxes.shape, (count, 4)),
        ):
            if received != wanted:
                raise ValueError(f"DetectionColumns.{column}: expected shape {wanted}, got {received}")

    def __len__(self) -> int:
        return len(self.boxes)

    @classmethod
    def from_detections(cls, detections: Sequence[Detections]) -> DetectionColumns:
        """Make columns from one `Detections` per image, in the dataset's order."""
        counts = [len(found) for found in detections]
        return cls(
            pictures=np.repeat(np.arange(len(detections)), counts),
            labels=_joined([found.labels for found in detections], np.int32),
            scores=_joined([found.scores for found in detections], np.float64),
            boxes=_joined([found.boxes for found in detections], np.float32).reshape(-1, 4),
        )

    def of(self, pictures: NDArray[np.int64]) -> DetectionColumns:
        """Select the detections in some images (rising indices), and renumber the images from 0 in this order."""
        kept = np.isin(self.pictures, pictures)
        return DetectionColumns(
            np.searchsorted(pictures, self.pictures[kept]), self.labels[kept], self.scores[kept], self.boxes[kept]
        )


def _joined(parts: list[NDArray[Any]], dtype: type) -> NDArray[Any]:
    return np.concatenate(parts).astype(dtype) if parts else np.zeros(0, dtype)


def read_results(path: str | Path, dataset: Dataset) -> DetectionColumns:
    """Read a COCO results file: ``[{"image_id", "category_id", "bbox": [x, y, width, height], "score"}]``.

    Raises:
        AnnotationError: the file or an entry is invalid, or belongs to another dataset.
    """
    pictures = {image_id: index for index, image_id in enumerate(dataset.image_ids)}
    labels = {category_id: index for index, category_id in enumerate(dataset.category_ids)}
    columns = read_in_bulk(path, pictures, labels, largest=LARGEST, limit=LARGEST_RESULTS)
    if columns is None:
        columns = read_one_by_one(path, pictures, labels, dataset.name)
    corners, sides = columns[:, 3:5], columns[:, 5:7]
    return DetectionColumns(
        pictures=columns[:, 0].astype(np.int64),
        labels=columns[:, 1].astype(np.int32),
        scores=columns[:, 2],
        boxes=np.concatenate([corners, corners + sides], axis=1).astype(np.float32),
    )


def read_some_results(path: str | Path, dataset: Dataset) -> DetectionColumns:
    """Read a COCO results file that has to hold detections.

    Raises:
        AnnotationError: as `read_results`, or the file is an empty list.
    """
    found = read_results(path, dataset)
    if not len(found):
        raise AnnotationError(f"{path}: an empty list: it holds no detections to measure; see what wrote it")
    return found


def read_one_by_one(
    path: str | Path, pictures: dict[Any, int], labels: dict[Any, int], name: str
) -> NDArray[np.float64]:
    """Rows (K, 7) of image, label, score, x, y, width and height; the first fault is named."""
    rows = []
    for number, entry in enumerate(_read_list(path)):
        try:
            rows.append(_row(entry, pictures, labels, name))
        except AnnotationError as error:
            raise AnnotationError(f"{path}: results[{number}]: {error}") from error
    return np.array(rows, np.float64).reshape(-1, 7)


def _read_list(path: str | Path) -> list[Any]:
    content = read_bytes(path, limit=LARGEST_RESULTS, error=AnnotationError, what="a results file")
    try:
        entries = json.loads(content)
    except json.JSONDecodeError as error:
        raise AnnotationError(f"{path}:{error.lineno}: malformed JSON ({error.msg})") from error
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"{path}: not a JSON file") from error
    if not isinstance(entries, list):
        raise AnnotationError(
            f"{path}: expected a COCO results file, a list of detections; got {type(entries).__name__}"
        )
    return entries


def _row(entry: Any, pictures: dict[Any, int], labels: dict[Any, int], name: str) -> tuple[float, ...]:
    """Parse one entry into (picture, label, score, x, y, width, height)."""
    if not isinstance(entry, dict):
        raise AnnotationError(f"expected an object, got {type(entry).__name__}")
    missing = [key for key in ("image_id", "category_id", "bbox", "score") if key not in entry]
    if missing:
        raise AnnotationError(f"has no {', '.join(missing)}")
    picture = _index(entry, "image_id", pictures, name)
    label = _index(entry, "category_id", labels, name)
    box, score = entry["bbox"], entry["score"]
    if not isinstance(box, list) or len(box) != 4 or not _are_numbers(box):
        raise AnnotationError(f"bbox must be four finite numbers [x, y, width, height], got {quoted(box)}")
    if box[2] < 0 or box[3] < 0:
        raise AnnotationError(f"bbox must be [x, y, width, height] with width and height >= 0, got {quoted(box)}")
    if not _are_numbers([score]):
        raise AnnotationError(f"score must be a finite number, got {quoted(score)}")
    return picture, label, score, *box


def _index(entry: dict[str, Any], key: str, known: dict[Any, int], name: str) -> int:
    value = entry[key]
    if type(value) not in (int, str) or value not in known:
        raise AnnotationError(f"{key} {quoted(value)} is not in {name}; give the truth these results belong to")
    return known[value]


def _are_numbers(values: Iterable[Any]) -> bool:
    return all(type(value) in (int, float) and abs(value) < LARGEST for value in values)


def to_results(dataset: Dataset, detections: DetectionColumns) -> list[dict[str, Any]]:
    """Entries of a COCO results file, with the source's own image and category ids."""
    return coco_entries(
        [dataset.image_ids[picture] for picture in detections.pictures.tolist()],
        [dataset.category_ids[label] for label in detections.labels.tolist()],
        detections.boxes,
        detections.scores,
    )
