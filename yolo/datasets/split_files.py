"""Splits on the disk: COCO files that name the images where they lie, so that nothing is copied."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from yolo.errors import ConfigError
from yolo.files.atomic import write_whole
from yolo.structs import Dataset


def write_splits(
    parts: Mapping[str, Dataset], folder: str | Path, *, relative: bool = False, description: str = ""
) -> list[Path]:
    """Write splits as ``annotations/instances_NAME.json``, which `load_dataset` reads with the folder as path.

    Boxes are kept to the last digit of float32, with flags (as ``iscrowd``), areas and ids.

    Args:
        parts: the splits by name.
        folder: output folder.
        relative: name the images relative to the files, so that both can be moved together; else by absolute paths.
        description: text for the ``info`` of each file.

    Returns:
        The files written.

    Raises:
        ConfigError: a file cannot be written, or the images are not files of their own.
    """
    annotations = Path(folder) / "annotations"
    contents = {name: to_coco(part, annotations if relative else None) for name, part in parts.items()}
    try:
        annotations.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{annotations}: cannot be made ({error.strerror}); give another OUT") from error
    written = []
    for name, content in contents.items():
        text = json.dumps({"info": {"description": description}, **content})
        path = annotations / f"instances_{name}.json"
        write_whole(path, lambda temporary, text=text: temporary.write_text(text, "utf-8"))  # type: ignore[misc]
        written.append(path)
    return written


def to_coco(dataset: Dataset, beside: Path | None) -> dict[str, Any]:
    """Convert a dataset to the lists of a COCO file, with images named relative to a folder or absolutely.

    Raises:
        ConfigError: the images are not files of their own.
    """
    check_files(dataset)
    ids = list(dataset.image_ids) if len(set(map(str, dataset.image_ids))) == len(dataset) else range(len(dataset))
    sizes = dataset.sizes.tolist()
    return {
        "images": [
            {"id": key, "file_name": picture_name(dataset.path(index), beside), "height": height, "width": width}
            for index, (key, (height, width)) in enumerate(zip(ids, sizes, strict=True))
        ],
        "annotations": objects(dataset, ids),
        "categories": [
            {"id": key, "name": name} for key, name in zip(dataset.category_ids, dataset.classes, strict=True)
        ],
    }


def check_files(dataset: Dataset) -> None:
    """Check that each image is a file, which can be named.

    Raises:
        ConfigError: the images lie in TFRecord files.
    """
    if dataset.store is not None:
        raise ConfigError(
            f"{dataset.name}: its pictures lie in TFRecord files, which cannot be referred to; divide the data set that"
            " it was made of"
        )


def picture_name(path: Path, beside: Path | None) -> str:
    """Name of an image in a COCO file, with ``/`` on every system."""
    # Not resolved: a link may be what keeps a folder in its place.
    return (path.absolute() if beside is None else Path(os.path.relpath(path, beside))).as_posix()


def objects(dataset: Dataset, ids: Any) -> list[dict[str, Any]]:
    corners = dataset.boxes.astype(np.float64)
    corners[:, 2:] -= corners[:, :2]
    columns = (dataset.box_pictures, dataset.labels, corners, dataset.areas, dataset.ignore)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [
        {
            "id": number,
            "image_id": ids[picture],
            "category_id": dataset.category_ids[label],
            "bbox": box,
            "area": area,
            "iscrowd": int(ignore),
        }
        for number, (picture, label, box, area, ignore) in enumerate(rows, 1)
    ]
