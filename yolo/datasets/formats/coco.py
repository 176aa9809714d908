"""COCO JSON files (cocodataset.org, "Data format", object detection).

A file as large as COCO's becomes a few gigabytes of Python objects, so columns are extracted in bulk, and nothing that
is kept refers to these objects.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.datasets.annotations.columns import Columns
from yolo.datasets.annotations.json_file import outline, paused_garbage_collection, read_json
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.repair import SHARED_ID, Repairs
from yolo.datasets.annotations.sizes import LARGEST_SIDE
from yolo.datasets.annotations.source import FILES, Format, ReadOptions, Source
from yolo.datasets.annotations.splits import SPLITS, without_year
from yolo.errors import AnnotationError, MediaError
from yolo.files.atomic import is_file, is_folder
from yolo.files.quoted import quoted
from yolo.images.codec import image_size

Id = int | str
FILES_TRIED = 20
"""Number of images that are looked for to find their folder."""


def read_coco(path: Path, *, images: Path | None = None, split: str | None = None) -> Columns:
    """Read a COCO file; classes by rising category id, images in the file's order.

    Images are opened only if the file lacks their sizes: a results file can be evaluated without any.

    Args:
        path: the ``.json`` file.
        images: folder of the images; None: look for it beside the file.
        split: name of the split.

    Raises:
        AnnotationError: the file is missing, malformed, or lacks something.
    """
    if images is not None and not is_folder(images):
        raise AnnotationError(f"{images}: there is no such folder of pictures")
    with paused_garbage_collection():
        return replace(read_columns(path, images), split=split)


def read_columns(path: Path, images: Path | None) -> Columns:
    """Extract the columns of a COCO file, without references to the parsed objects."""
    data, repairs = read_json(path), Repairs()
    records, annotations, categories = (table(path, data, key) for key in ("images", "annotations", "categories"))
    label_of, names = read_categories(path, categories, annotations)
    ids, files = read_images(path, records)
    folder = images if images is not None else find_folder(path, files)
    sizes = image_sizes(path, records, folder)
    objects = object_columns(path, annotations, {each: index for index, each in enumerate(ids)}, label_of)
    count_shared_ids(annotations, f"{path}: ", repairs)
    # The strings lie scattered among the parsed objects and would keep their memory pages in use: take
    # copies, made after the objects are gone.
    kept = json.dumps([ids, files, names, list(label_of)])
    del data, records, annotations, categories, ids, files, names, label_of
    ids, files, names, category_ids = json.loads(kept)
    return Columns(
        folder=folder,
        files=files,
        sizes=sizes,
        image_ids=ids,
        names=names,
        category_ids=category_ids,
        place=lambda row: f"{path}: annotations[{row}]",
        repairs=repairs,
        pictures=objects["pictures"],
        labels=objects["labels"],
        boxes=objects["boxes"],
        areas=objects["areas"],
        ignore=objects["ignore"],
    )


def table(path: Path, data: Any, key: str) -> list[Any]:
    entries = data.get(key) if isinstance(data, dict) else None
    if not isinstance(entries, list):
        raise AnnotationError(
            f'{path}: not a COCO dataset: it has no list "{key}" (a results file goes to --detections)'
        )
    return entries


def read_categories(path: Path, categories: list[Any], annotations: list[Any]) -> tuple[dict[Id, int], list[str]]:
    """Labels by rising category id, and the class names in the order of the labels.

    Where categories share a name, only those with objects are used: Roboflow's exports have a parent category of the
    same name.

    Raises:
        AnnotationError: the list is malformed, or empty.
    """
    check_entries(path, "categories", categories, text="name")
    if not categories:
        raise AnnotationError(f"{path}: its list of categories is empty; name at least one")
    names = {entry["id"]: entry["name"].strip() for entry in categories}
    if len(set(names.values())) < len(names):
        used = {str(entry.get("category_id")) for entry in annotations if isinstance(entry, dict)}
        with_objects = {name for each, name in names.items() if str(each) in used}
        names = {each: name for each, name in names.items() if str(each) in used or name not in with_objects}
    ordered = sorted(names, key=lambda each: (isinstance(each, str), each))
    return {each: label for label, each in enumerate(ordered)}, [names[each] for each in ordered]


def read_images(path: Path, records: list[Any]) -> tuple[list[Id], list[str]]:
    """Ids and files of the images."""
    check_entries(path, "images", records, text="file_name")
    if not records:
        raise AnnotationError(f"{path}: its list of images is empty")
    return [entry["id"] for entry in records], [entry["file_name"] for entry in records]


def check_entries(path: Path, key: str, entries: list[Any], *, text: str) -> None:
    """Check that each entry is an object with a unique id and a text.

    Raises:
        AnnotationError: an entry is not; the message names the first one.
    """
    seen: set[Id] = set()
    for index, entry in enumerate(entries):
        where = f"{path}: {key}[{index}]"
        if not isinstance(entry, dict):
            raise AnnotationError(f"{where}: expected an object, got {quoted(entry)}")
        if type(entry.get("id")) not in (int, str):
            raise AnnotationError(f"{where}.id: expected a number or a text, got {quoted(entry.get('id'))}")
        if not isinstance(entry.get(text), str) or not entry[text].strip() or "\0" in entry[text]:
            raise AnnotationError(f"{where}.{text}: expected a name, got {quoted(entry.get(text))}")
        if entry["id"] in seen:
            raise AnnotationError(f"{where}.id: {quoted(entry['id'])} is taken already; ids have to differ")
        seen.add(entry["id"])


def object_columns(
    path: Path, annotations: list[Any], picture_of: dict[Id, int], label_of: dict[Id, int]
) -> dict[str, NDArray[Any]]:
    """Columns of the objects: pictures, labels, boxes, ignore, areas.

    Raises:
        AnnotationError: an annotation is malformed; the message names the first one.
    """
    try:
        return {
            "pictures": np.array([picture_of[entry["image_id"]] for entry in annotations], np.int64),
            "labels": np.array([label_of[entry["category_id"]] for entry in annotations], np.int32),
            "boxes": to_corners([entry["bbox"] for entry in annotations]),
            "areas": numbers([entry.get("area") for entry in annotations], {int, float, type(None)}),
            "ignore": np.array([entry.get("iscrowd") == 1 for entry in annotations], bool),
        }
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        # The bulk conversion does not say which one failed: check one by one.
        for index, entry in enumerate(annotations):
            fault = annotation_fault(entry, picture_of, label_of)
            if fault:
                raise AnnotationError(f"{path}: annotations[{index}]{fault}") from error
        raise


def numbers(values: Sequence[Any], types: set[type]) -> NDArray[np.float64]:
    """Convert K values of these types to numbers (K,); None becomes NaN."""
    if not set(map(type, values)) <= types:
        raise TypeError(f"expected {types}")
    return np.array(values, np.float64)


def to_corners(boxes: list[Any]) -> NDArray[np.float64]:
    """Convert K lists x, y, width, height to xyxy (K, 4)."""
    if not (set(map(type, boxes)) <= {list} and set(map(len, boxes)) <= {4}):
        raise TypeError("expected lists of 4 numbers")
    corners = numbers(list(chain.from_iterable(boxes)), {int, float}).reshape(-1, 4)
    with np.errstate(over="ignore", invalid="ignore"):  # boxes with NaN or infinity are dropped and counted later
        corners[:, 2:] += corners[:, :2]
    return corners


def annotation_fault(entry: Any, picture_of: dict[Id, int], label_of: dict[Id, int]) -> str | None:
    """Describe the fault of one annotation: place and remedy."""
    if not isinstance(entry, dict):
        return f": expected an object, got {quoted(entry)}"
    for key, known, where in (("image_id", picture_of, "images"), ("category_id", label_of, "categories")):
        value = entry.get(key)
        if isinstance(value, list | dict) or value not in known:
            return f".{key}: {quoted(value)} is not among the ids of {where}; mend it or add the entry"
    box = entry.get("bbox")
    if not (isinstance(box, list) and len(box) == 4 and all(map(is_number, box))):
        return f".bbox: expected 4 numbers, got {quoted(box, 80)}"
    if entry.get("area") is not None and not is_number(entry["area"]):
        return f".area: expected a number, got {quoted(entry['area'])}"
    return None


def is_number(value: Any) -> bool:
    if type(value) not in (int, float):
        return False
    return isinstance(value, float) or abs(value) < 2**1000  # else float() fails


def count_shared_ids(annotations: list[dict[str, Any]], prefix: str, repairs: Repairs) -> None:
    """Report annotations that share an id: each counts here, while other programs may keep only one of them."""
    ids = [str(entry["id"]) for entry in annotations if entry.get("id") is not None]
    if len(set(ids)) == len(ids):
        return
    seen: set[str] = set()
    for index, entry in enumerate(annotations):
        if entry.get("id") is not None:
            each = str(entry["id"])
            if each in seen:
                repairs.add(SHARED_ID, f"{prefix}annotations[{index}]")
            seen.add(each)


def image_sizes(path: Path, records: list[dict[str, Any]], folder: Path) -> NDArray[np.int32]:
    """Height and width (N, 2), read from the images' headers where the file lacks them.

    Raises:
        AnnotationError: a size is no number of pixels, or is missing and the image cannot be read.
    """
    sides: list[Any] = [entry.get(side) for entry in records for side in ("height", "width")]
    if set(map(type, sides)) == {int} and min(sides) > 0 and max(sides) <= LARGEST_SIDE:
        return np.array(sides, np.int32).reshape(-1, 2)
    checked = [one_size(f"{path}: images[{index}]", entry, folder) for index, entry in enumerate(records)]
    return np.array(checked, np.int32)


def one_size(where: str, entry: dict[str, Any], folder: Path) -> tuple[int, int]:
    height, width = entry.get("height") or 0, entry.get("width") or 0
    if not (is_number(height) and is_number(width) and abs(height) + abs(width) <= LARGEST_SIDE):
        raise AnnotationError(
            f"{where}: height {quoted(height, 40)} and width {quoted(width, 40)} are no numbers of pixels"
        )
    if height >= 1 and width >= 1:
        return int(height), int(width)
    try:
        return image_size(folder / entry["file_name"])
    except MediaError as error:
        raise AnnotationError(f"{where}: it has no height and width, and {error}") from error


def find_folder(path: Path, files: Sequence[str]) -> Path:
    """Find the folder of a COCO file's images near it; the likeliest one if no image is found.

    That is no error here: reading an image will report that it is missing.
    """
    here, part = path.parent, path.stem.removeprefix("instances_")
    near = [here, here / "images", here / part, here / "images" / part]
    near += [here.parent / "images", here.parent / part, here.parent / "images" / part]
    places = [place for place in near if is_folder(place)]
    found = (place for file in files[:FILES_TRIED] for place in places if is_file(place / file))
    return next(found, places[1] if len(places) > 1 else here)


def recognise(place: Place) -> Source | None:
    """Recognise a COCO file, or a folder of them."""
    if not place.is_folder:
        return coco_parts(place.path, {"": place.path}) if is_coco(place.path) else None
    files = coco_files(place.path)
    return coco_parts(place.path, files) if files else None


def is_coco(path: Path) -> bool:
    return path.suffix.lower() == ".json" and outline(path).has("images")


def may_be_coco(path: Path) -> bool:
    """Whether a file named after a split is COCO's, or malformed, which reading it reports; not another format's."""
    keys = outline(path)
    return keys.has("images") or not keys.keys


def coco_files(path: Path) -> dict[str, Path]:
    """COCO files of a folder by split.

    Known layouts are COCO's layout (annotations/instances_train2017.json, also called train), Roboflow's
    (train/_annotations.coco.json), and train.json, val.json and so on in the folder or in annotations/.
    """
    files = {file.stem.removeprefix("instances_"): file for file in sorted(path.glob("annotations/instances_*.json"))}
    files |= {file.parent.name: file for file in sorted(path.glob("*/_annotations.coco.json"))}
    for file in sorted([*path.glob("annotations/*.json"), *path.glob("*.json")]):
        if without_year(file.stem) in SPLITS and file.stem not in files and may_be_coco(file):
            files[file.stem] = file
    plain = [without_year(name) for name in files]
    alone = {
        short: file for short, file in zip(plain, files.values(), strict=True) if short and plain.count(short) == 1
    }
    return files | alone


def coco_parts(path: Path, files: dict[str, Path], images: dict[str, Path] | None = None) -> Source:
    """Source of several COCO files, one per split, with the folders of their images if given."""

    def read(split: str | None, options: ReadOptions) -> Columns:
        if split is None and len(set(files.values())) > 1:
            raise AnnotationError(f"{path}: it has the splits {', '.join(files)}; choose one (--split NAME)")
        name = next(iter(files)) if split is None else split
        folder = options.images or (images or {}).get(name)
        return read_coco(files[name], images=folder, split=name or None)

    return Source("COCO", tuple(filter(None, files)), read)


def near_miss(place: Place) -> str | None:
    """Say what a ``.json`` file lacks that no format has recognised.

    Raises:
        AnnotationError: it cannot be read or is not JSON.
    """
    if place.is_folder or place.path.suffix.lower() != ".json":
        return None
    read_json(place.path)
    return f'{place.path}: not a COCO dataset: it has no list "images" (a results file goes to --detections)'


FORMAT = Format("COCO", FILES, recognise, near_miss)
