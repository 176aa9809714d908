"""COCO JSON files (cocodataset.org, "Data format", object detection)."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.datasets.columns import build_dataset
from yolo.errors import AnnotationError
from yolo.images import image_size
from yolo.structs import Dataset


def load_coco(
    path: str | Path,
    *,
    images: str | Path | None = None,
    classes: Sequence[str] | None = None,
    split: str | None = None,
) -> Dataset:
    """The dataset of a COCO file; classes by rising category id, pictures in the file's order.

    Args:
        path: the ``.json``.
        images: folder of the pictures; None: looked for beside the file.
        classes: names in the order they are wanted; None: all, in the file's own order of ids.
        split: what the dataset is to say it is.

    Raises:
        AnnotationError: the file is missing, malformed, or lacks something.
    """
    path = Path(path)
    with paused_garbage_collection():
        return _convert(path, read_json(path), images, classes, split)


@contextmanager
def paused_garbage_collection() -> Iterator[None]:
    """Millions of new dictionaries make the collector scan them again and again, for nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        AnnotationError: it is missing or malformed.
    """
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be read ({error.strerror})") from error
    except json.JSONDecodeError as error:
        raise AnnotationError(
            f"{path}:{error.lineno}:{error.colno}: not valid JSON ({error.msg})"
        ) from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise AnnotationError(f"{path}: not valid JSON ({type(error).__name__})") from error


def _convert(
    path: Path, data: Any, images: str | Path | None, classes: Sequence[str] | None, split: str | None
) -> Dataset:
    records, annotations, categories = (
        _table(path, data, key) for key in ("images", "annotations", "categories")
    )
    names = {
        entry["id"]: str(entry["name"]).strip()
        for entry in _sound(path, "categories", categories, ("id", "name"))
    }
    chosen = _choose(path, names, classes)
    label_of = {category: label for label, category in enumerate(chosen)}
    files = [str(entry["file_name"]) for entry in _sound(path, "images", records, ("id", "file_name"))]
    folder = Path(images) if images is not None else find_pictures(path, files)
    picture_of = {entry["id"]: index for index, entry in enumerate(records)}
    if len(picture_of) < len(records):
        raise AnnotationError(f"{path}: two entries of images have the same id; ids have to differ")
    try:
        pictures = np.array([picture_of[entry["image_id"]] for entry in annotations], np.int64)
        labels = np.array([label_of[entry["category_id"]] for entry in annotations], np.int32)
        boxes = _corners([entry["bbox"] for entry in annotations])
        areas = np.array([entry.get("area", -1.0) for entry in annotations], np.float32)
    except (KeyError, TypeError, ValueError) as error:
        raise _first_fault(path, annotations, picture_of, label_of, names) from error
    crowd = np.array([bool(entry.get("iscrowd", 0)) for entry in annotations], bool)
    given = areas >= 0  # False for NaN too
    return build_dataset(
        classes=[names[category] for category in chosen],
        files=files,
        sizes=_sizes(path, records, folder),
        pictures=pictures,
        boxes=boxes,
        labels=labels,
        ignore=crowd,
        areas=np.where(given, areas, (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).astype(
            np.float32
        ),
        image_ids=[entry["id"] for entry in records],
        category_ids=chosen,
        place=lambda row: f"annotations[{row}]",
        folder=folder,
        name=str(path),
        split=split,
    )


def _table(path: Path, data: Any, key: str) -> list[Any]:
    table = data.get(key) if isinstance(data, dict) else None
    if not isinstance(table, list):
        raise AnnotationError(f'{path}: not a COCO dataset: it has no list "{key}"')
    return table


def _sound(path: Path, table: str, entries: list[Any], keys: tuple[str, ...]) -> list[dict[str, Any]]:
    """The entries, each an object with these keys and an id that can be one."""
    for index, entry in enumerate(entries):
        missing = [key for key in keys if key not in entry] if isinstance(entry, dict) else list(keys)
        if missing:
            raise AnnotationError(f'{path}: {table}[{index}] has no "{missing[0]}"')
        if not isinstance(entry["id"], int | str):
            raise AnnotationError(f"{path}: {table}[{index}].id: expected a number, got {entry['id']!r}")
    return entries


def _choose(path: Path, names: dict[Any, str], classes: Sequence[str] | None) -> list[Any]:
    """The category ids in the order of the classes."""
    if not names:
        raise AnnotationError(f"{path}: its list of categories is empty")
    doubled = sorted({name for name in names.values() if list(names.values()).count(name) > 1})
    if doubled:
        raise AnnotationError(f"{path}: categories: two are called {doubled[0]!r}; names have to differ")
    ordered = sorted(names, key=lambda category: (isinstance(category, str), category))
    if classes is None:
        return ordered
    if sorted(classes) != sorted(names.values()):
        raise AnnotationError(
            f"{path}: its categories are {', '.join(names.values())}, but the classes asked for are {', '.join(classes)}"
        )
    return sorted(names, key=lambda category: list(classes).index(names[category]))


def _corners(boxes: list[Any]) -> NDArray[np.float64]:
    """(K, 4) xyxy of [x, y, width, height] lists."""
    if boxes and set(map(len, boxes)) != {4}:
        raise ValueError("bbox: expected 4 numbers")
    corners = np.fromiter(chain.from_iterable(boxes), np.float64, 4 * len(boxes)).reshape(-1, 4)
    corners[:, 2:] += corners[:, :2]
    return corners


def _sizes(path: Path, records: list[dict[str, Any]], folder: Path) -> NDArray[np.int32]:
    try:
        sizes = np.array([(entry["height"], entry["width"]) for entry in records], np.int32).reshape(-1, 2)
    except (KeyError, TypeError, ValueError, OverflowError):
        sizes = np.array(
            [_size(path, index, entry, folder) for index, entry in enumerate(records)], np.int32
        )
    for index in np.flatnonzero((sizes <= 0).any(axis=1)):
        sizes[index] = image_size(folder / str(records[index]["file_name"]))
    return sizes


def _size(path: Path, index: int, entry: dict[str, Any], folder: Path) -> tuple[int, int]:
    """From the entry, or where it lacks them from the picture's header."""
    if "height" not in entry or "width" not in entry:
        return image_size(folder / str(entry["file_name"]))
    try:
        height, width = int(entry["height"]), int(entry["width"])
    except (TypeError, ValueError, OverflowError):
        height = width = 2**31
    if max(height, width) >= 2**31:
        raise AnnotationError(f"{path}: images[{index}]: its height and width are not numbers of pixels")
    return height, width


def _first_fault(
    path: Path,
    annotations: list[Any],
    pictures: dict[Any, int],
    labels: dict[Any, int],
    names: dict[Any, str],
) -> AnnotationError:
    """What is wrong with the first annotation that is."""
    for index, entry in enumerate(annotations):
        where = f"{path}: annotations[{index}]"
        if not isinstance(entry, dict):
            return AnnotationError(f"{where}: expected an object, got {type(entry).__name__}")
        for key, known, table in (("image_id", pictures, "images"), ("category_id", labels, "categories")):
            if key not in entry:
                return AnnotationError(f'{where} has no "{key}"')
            if not isinstance(entry[key], int | str) or entry[key] not in known:
                return AnnotationError(f"{where}.{key}: {entry[key]!r} is not in {table}")
        box = entry.get("bbox")
        numbers = (
            isinstance(box, list) and len(box) == 4 and all(isinstance(side, int | float) for side in box)
        )
        if not numbers:
            return AnnotationError(f"{where}.bbox: expected 4 numbers, got {box!r:.80}")
        if not isinstance(entry.get("area", 0), int | float):
            return AnnotationError(f"{where}.area: expected a number, got {entry['area']!r:.80}")
    return AnnotationError(f"{path}: its annotations hold numbers that are too large")


def find_pictures(path: Path, files: Sequence[str]) -> Path:
    """The folder beside a COCO file in which its first picture lies; the file's own folder if none is found.

    No error then: metrics of a results file need no pictures.
    """
    here, part = path.parent, path.stem.removeprefix("instances_")
    places = [here, here / "images", here / part, here / "images" / part]
    places += [here.parent / "images", here.parent / part, here.parent / "images" / part]
    return next((place for place in places if files and (place / files[0]).is_file()), here)
