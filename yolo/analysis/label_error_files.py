"""Lists of probable label errors that labelling tools open: COCO with scores, YOLO txt with scores, and CSV.

The COCO and YOLO lists hold what the boxes should be if the errors are real: the detection's box and class of what is
missing, shifted or relabelled (this one keeps the label's box), and the box itself of what nothing finds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import numpy as np

from yolo.analysis.label_errors import KINDS, LabelError
from yolo.datasets.writers.coco import category_ids, image_ids
from yolo.evaluation.results import DetectionColumns
from yolo.files.atomic import write_text
from yolo.files.csv_table import write_csv
from yolo.structs import Boxes, Dataset

COLUMNS = (
    *("rank", "kind", "score", "picture", "label", "label_x1", "label_y1", "label_x2", "label_y2"),
    *("found", "found_score", "found_x1", "found_y1", "found_x2", "found_y2"),
)
"""Columns of the CSV file; boxes are in pixels, and empty where there is none."""


class Proposal(NamedTuple):
    """Box and class that would mend an error."""

    label: int
    box: Boxes


def proposal(dataset: Dataset, detections: DetectionColumns, error: LabelError) -> Proposal:
    """Box and class that would mend an error; of a spurious box its own."""
    label = error.row if error.kind != "spurious" else None
    name = int(dataset.labels[error.true] if label is None else detections.labels[label])
    own = error.kind in ("spurious", "relabelled")
    return Proposal(name, dataset.boxes[error.true] if own else detections.boxes[error.row])


def to_coco(dataset: Dataset, detections: DetectionColumns, errors: Sequence[LabelError]) -> dict[str, Any]:
    """COCO document of the images with errors, the worst image first; kind and score are attributes of each box."""
    ids, numbers = image_ids(dataset), category_ids(dataset)
    pictures = list(dict.fromkeys(error.picture for error in errors))
    annotations = []
    for rank, error in enumerate(errors, start=1):
        label, box = proposal(dataset, detections, error)
        x, y, right, bottom = (round(float(side), 2) for side in box)
        width, height = round(right - x, 2), round(bottom - y, 2)
        given = None if error.true is None else dataset.classes[dataset.labels[error.true]]
        annotations.append(
            {
                "id": rank,
                "image_id": ids[error.picture],
                "category_id": numbers[label],
                "bbox": [x, y, width, height],
                "area": round(width * height, 2),
                "iscrowd": 0,
                "score": round(error.score, 4),
                "attributes": {"kind": error.kind, "label": given, "rank": rank},
            }
        )
    sizes = dataset.sizes.tolist()
    return {
        "images": [
            {"id": ids[each], "file_name": str(dataset.files[each]), "height": sizes[each][0], "width": sizes[each][1]}
            for each in pictures
        ],
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for number, name in zip(numbers, dataset.classes, strict=True)],
    }


def to_yolo(dataset: Dataset, detections: DetectionColumns, errors: Sequence[LabelError]) -> dict[str, str]:
    """Text of each label file by name: class, centre, sides and score; a name that is taken gets the image's number."""
    lines: dict[int, list[str]] = {}
    for error in errors:
        label, box = proposal(dataset, detections, error)
        side = dataset.sizes[error.picture][::-1].astype(np.float64)
        low, high = np.clip(box[:2] / side, 0, 1), np.clip(box[2:] / side, 0, 1)
        numbers = " ".join(f"{value:.6f}" for value in (*(low + high) / 2, *(high - low), error.score))
        lines.setdefault(error.picture, []).append(f"{label} {numbers}\n")
    texts: dict[str, str] = {}
    for picture, own in lines.items():
        stem = PurePath(str(dataset.files[picture]).replace("\\", "/")).stem
        name = stem if f"{stem}.txt" not in texts else f"{stem}-{picture}"
        texts[f"{name}.txt"] = "".join(own)
    return texts


def to_rows(dataset: Dataset, detections: DetectionColumns, errors: Sequence[LabelError]) -> list[list[str]]:
    """Rows of the CSV file."""
    rows = []
    for rank, error in enumerate(errors, start=1):
        row = [str(rank), error.kind, f"{error.score:.4f}", str(dataset.files[error.picture])]
        if error.true is None:
            row += [""] * 5
        else:
            box = dataset.boxes[error.true]
            row += [dataset.classes[dataset.labels[error.true]], *(f"{side:.1f}" for side in box)]
        if error.row is None:
            row += [""] * 6
        else:
            box, score = detections.boxes[error.row], detections.scores[error.row]
            found = dataset.classes[detections.labels[error.row]]
            row += [found, f"{score:.4f}", *(f"{side:.1f}" for side in box)]
        rows.append(row)
    return rows


def write_lists(
    folder: Path, dataset: Dataset, detections: DetectionColumns, errors: Sequence[LabelError]
) -> list[Path]:
    """Write label-errors.json (COCO), label-errors.csv, and yolo/ with one text an image and classes.txt.

    Raises:
        ConfigError: a file cannot be written.
    """
    document = json.dumps(to_coco(dataset, detections, errors), ensure_ascii=False)
    write_text(folder / "label-errors.json", document + "\n")
    write_csv(folder / "label-errors.csv", COLUMNS, to_rows(dataset, detections, errors))
    (folder / "yolo").mkdir(exist_ok=True)
    write_text(folder / "yolo" / "classes.txt", "".join(f"{name}\n" for name in dataset.classes))
    for name, text in to_yolo(dataset, detections, errors).items():
        write_text(folder / "yolo" / name, text)
    return [folder / "label-errors.json", folder / "label-errors.csv", folder / "yolo"]


def summary(dataset: Dataset, errors: Sequence[LabelError]) -> dict[str, Any]:
    """Numbers of errors, in all and by kind, and of the images that have one."""
    kinds = {kind: sum(error.kind == kind for error in errors) for kind in KINDS}
    return {"count": len(errors), **kinds, "images": len({error.picture for error in errors}), "of": len(dataset)}


def to_text(dataset: Dataset, detections: DetectionColumns, errors: Sequence[LabelError], *, most: int = 20) -> str:
    """Format the first errors as text, one a line, below a line of numbers."""
    numbers = summary(dataset, errors)
    kinds = ", ".join(f"{numbers[kind]} {kind}" for kind in KINDS)
    lines = [f"{len(errors)} probable label errors in {numbers['images']} of {len(dataset)} pictures: {kinds}"]
    for rank, error in enumerate(errors[:most], start=1):
        lines.append(f"{rank:4d}  {error.score:.2f}  {sentence(dataset, detections, error)}")
    return "\n".join(lines)


def sentence(dataset: Dataset, detections: DetectionColumns, error: LabelError) -> str:
    """Say what seems wrong, where."""
    label = "" if error.true is None else dataset.classes[dataset.labels[error.true]]
    found = "" if error.row is None else dataset.classes[detections.labels[error.row]]
    score = "" if error.row is None else f"{detections.scores[error.row]:.2f}"
    box = detections.boxes[error.row] if error.true is None else dataset.boxes[error.true]
    place = "(" + ", ".join(f"{side:.0f}" for side in box) + ")"
    words = {
        "missing": f"missing: {found} {score} at {place} has no box",
        "shifted": f"shifted: box of {label} at {place} lies off the {found} {score}",
        "relabelled": f"relabelled: {label} at {place} looks like {found} {score}",
        "spurious": f"spurious: nothing finds the {label} at {place}",
    }
    return f"{dataset.files[error.picture]}: {words[error.kind]}"
