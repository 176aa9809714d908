"""Categories and images of a COCO file: in bulk where all are sound, else one by one, with what is wrong left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.datasets.annotations.left_out import LeftOut
from yolo.datasets.annotations.repair import LISTED_TWICE, MERGED_CATEGORIES, Repairs
from yolo.datasets.annotations.sizes import LARGEST_SIDE
from yolo.errors import AnnotationError
from yolo.files.quoted import quoted

Id = int | str
LEFT_OUT = -1
"""Index of an image that is listed but left out."""


@dataclass
class Pictures:
    """N images of a file."""

    ids: list[Id]
    """(N) ids as the file has them."""
    names: list[str]
    """(N) file names as the file has them."""
    sizes: NDArray[np.int32]
    """(N, 2) annotated height and width; 0 where missing."""
    entries: Sequence[int]
    """(N) positions in the list of images."""
    index_of: dict[Id, int]
    """Index of the image of each id, or `LEFT_OUT`."""


def id_of(value: Any) -> Id | None:
    """Id that a value means: 1, 1.0 and "1" are one; None: it is no id."""
    if type(value) is int or value is None:
        return value
    if type(value) is float:
        return int(value) if value.is_integer() else None
    if type(value) is not str:
        return None
    text = value.strip()
    return int(text) if len(text) < 20 and text.isascii() and text.isdigit() and str(int(text)) == text else text


def number(value: Any) -> float | None:
    """Number that a value means, texts included; None: it is none."""
    if type(value) not in (int, float, str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def read_categories(
    path: Path, categories: list[Any], annotations: list[Any], repairs: Repairs
) -> tuple[dict[Id, int], list[str]]:
    """Labels by category id in rising order, and the class names in the order of the labels.

    Where categories share a name, only those with objects are used: Roboflow's exports have a parent category of the
    same name. If several have objects, they have different labels of one name.

    Raises:
        AnnotationError: the list is malformed, or empty.
    """
    if not categories:
        raise AnnotationError(f"{path}: its list of categories is empty; name at least one")
    names: dict[Id, str] = {}
    for index, entry in enumerate(categories):
        where = f"{path}: categories[{index}]"
        if not isinstance(entry, dict):
            raise AnnotationError(f"{where}: expected an object, got {quoted(entry)}")
        key = id_of(entry.get("id"))
        if key is None:
            raise AnnotationError(f"{where}.id: expected a number or a text, got {quoted(entry.get('id'))}")
        name = class_name(entry.get("name"))
        if not name:
            raise AnnotationError(f"{where}.name: expected a name, got {quoted(entry.get('name'))}")
        if names.setdefault(key, name) != name:
            raise AnnotationError(
                f"{where}.id: {quoted(entry['id'])} is taken already, by {quoted(names[key])}; ids have to differ"
            )
    if len(set(names.values())) < len(names):
        names = with_objects(path, names, annotations, repairs)
    ordered = sorted(names, key=lambda each: (isinstance(each, str), each))
    return {each: label for label, each in enumerate(ordered)}, [names[each] for each in ordered]


def class_name(value: Any) -> str:
    """Class name as text; numbers are names too. Empty: it is none."""
    if isinstance(value, str):
        return "" if "\0" in value else value.strip()
    return quoted(value) if type(value) in (int, float) else ""


def with_objects(path: Path, names: dict[Id, str], annotations: list[Any], repairs: Repairs) -> dict[Id, str]:
    """Leave out categories that share a name with others and have no objects; without any objects all stay."""
    used = {id_of(entry.get("category_id")) for entry in annotations if isinstance(entry, dict)}
    have = {name for each, name in names.items() if each in used}
    kept = {each: name for each, name in names.items() if each in used or name not in have}
    first: dict[str, Id] = {}
    for each, name in kept.items():
        if first.setdefault(name, each) != each:
            repairs.add(MERGED_CATEGORIES, f"{path}: {name} has the ids {quoted(first[name])} and {quoted(each)}")
    return kept


def read_pictures(path: Path, records: list[Any], left_out: LeftOut, repairs: Repairs) -> Pictures:
    """Ids, names and sizes of the images.

    Raises:
        AnnotationError: there are none, or two different ones with one id.
    """
    if not records:
        raise AnnotationError(f"{path}: its list of images is empty")
    try:
        ids, names = [entry["id"] for entry in records], [entry["file_name"] for entry in records]
        sound = set(map(type, ids)) == {int} and set(map(type, names)) == {str}
    except (KeyError, TypeError):
        sound = False
    if not sound or len(set(ids)) < len(ids) or not all(map(str.strip, names)) or "\0" in "".join(names):
        return pictures_one_by_one(path, records, left_out, repairs)
    return Pictures(ids, names, annotated_sizes(records), range(len(ids)), dict(zip(ids, range(len(ids)), strict=True)))


def pictures_one_by_one(path: Path, records: list[Any], left_out: LeftOut, repairs: Repairs) -> Pictures:
    """Read the images of a list with faults."""
    found: dict[Id, int] = {}
    taken: dict[Id, Any] = {}
    entries: list[int] = []
    for index, entry in enumerate(records):
        where = f"{path}: images[{index}]"
        fault = picture_fault(entry)
        key = id_of(entry.get("id")) if isinstance(entry, dict) else None
        if key is not None and key in taken:
            if fault or taken[key] != entry["file_name"]:
                raise AnnotationError(
                    f"{where}.id: {quoted(entry['id'])} is taken already, by {quoted(taken[key])}; ids have to differ"
                )
            repairs.add(LISTED_TWICE, where)
            continue
        if fault:
            left_out.add(where, f"{where}{fault}")
        if key is not None:
            taken[key] = entry.get("file_name")
            found[key] = found[entry["id"]] = LEFT_OUT if fault else len(entries)
        if not fault:
            entries.append(index)
    kept = [records[index] for index in entries]
    ids = [entry["id"] if type(entry["id"]) is str else int(entry["id"]) for entry in kept]
    return Pictures(ids, [entry["file_name"] for entry in kept], annotated_sizes(kept), entries, found)


def picture_fault(entry: Any) -> str | None:
    """Describe what is wrong with an image's entry: place and fault."""
    if not isinstance(entry, dict):
        return f": expected an object, got {quoted(entry)}"
    if id_of(entry.get("id")) is None:
        return f".id: expected a number or a text, got {quoted(entry.get('id'))}"
    name = entry.get("file_name")
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        return f".file_name: expected a name, got {quoted(name)}"
    return None


def annotated_sizes(records: list[dict[str, Any]]) -> NDArray[np.int32]:
    """Height and width (N, 2); 0, 0 where one of them is missing or no number of pixels."""
    sides: list[Any] = [entry.get(side) for entry in records for side in ("height", "width")]
    if not set(map(type, sides)) <= {int} or (sides and (min(sides) < 1 or max(sides) > LARGEST_SIDE)):
        sides = [int(each) if 1 <= (each := number(side) or 0) <= LARGEST_SIDE else 0 for side in sides]
    sizes = np.array(sides, np.int32).reshape(-1, 2)
    sizes[(sizes < 1).any(axis=1)] = 0
    return sizes
