"""YOLO text labels with a ``data.yaml`` (Ultralytics' "Object detection datasets overview").

A label file has a line an object: class, then centre x and y, width and height as shares of
the picture's sides; or class and a polygon, of which the bounding box is taken.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import yaml

from yolo.datasets.columns import build_dataset
from yolo.errors import AnnotationError, MediaError
from yolo.images import image_size, list_images
from yolo.structs import Dataset

logger = logging.getLogger(__name__)

SPLITS = ("train", "val", "test")
LARGEST_TEXT = 64 * 2**20
"""Bytes of one label file or description, at most."""
Row = tuple[int, float, float, float, float]


def read_yaml(path: Path) -> dict[str, Any]:
    """A dataset description.

    Raises:
        AnnotationError: it is missing, malformed, or no mapping.
    """
    text = read_text(path)
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "malformed"
        raise AnnotationError(f"{path}{place}: not valid YAML ({problem})") from error
    except (ValueError, RecursionError) as error:  # e.g. a date with month 13
        raise AnnotationError(f"{path}: not valid YAML ({error})") from error
    if not isinstance(content, dict):
        raise AnnotationError(f"{path}: a dataset description is a mapping with names, train and val")
    return content


def read_text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_TEXT:
            raise AnnotationError(f"{path}: larger than any file of its kind ({LARGEST_TEXT} bytes)")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise AnnotationError(f"{path}: not a text file in UTF-8") from error


def yaml_names(path: Path, content: Mapping[str, Any]) -> list[str]:
    """The class names: a list, or a mapping from 0, 1, ...

    Raises:
        AnnotationError: they are missing, doubled, or do not number ``nc``.
    """
    names = content.get("names")
    if isinstance(names, dict):
        if sorted(names, key=str) != sorted(range(len(names)), key=str):
            raise AnnotationError(
                f"{path}: names: expected the keys 0 to {len(names) - 1}, got {list(names)}"
            )
        names = [names[index] for index in range(len(names))]
    if not isinstance(names, list) or not names:
        raise AnnotationError(f"{path}: names: expected the list of class names")
    names = [str(name).strip() for name in names]
    if len(set(names)) < len(names):
        raise AnnotationError(f"{path}: names: two classes have the same name")
    if content.get("nc", len(names)) != len(names):
        raise AnnotationError(f"{path}: nc is {content['nc']}, but names has {len(names)}")
    return names


def load_yolo(path: Path, content: Mapping[str, Any], split: str | None) -> Dataset:
    """The pictures of a split, or of all splits, of a description.

    Raises:
        AnnotationError: something is missing or malformed.
    """
    names = yaml_names(path, content)
    parts = [split] if split else [name for name in SPLITS if content.get(name)]
    files = [file for part in parts for file in list_pictures(path, content, part)]
    unique = list(dict.fromkeys(files))
    repairs = (
        {"pictures listed twice, taken once": len(files) - len(unique)} if len(unique) < len(files) else {}
    )
    if not unique:
        raise AnnotationError(f"{path}: no picture in {', '.join(parts) or 'it: give train or val'}")
    try:
        sizes = np.array([image_size(file) for file in unique], np.int32)
    except MediaError as error:
        raise AnnotationError(f"{path}: {error}") from error
    rows, places, without = read_labels(unique, len(names))
    if without:
        logger.info("%s: %d pictures have no label file: taken as pictures without objects", path, without)
    columns = np.array([row[1:] for _, row in rows], np.float64).reshape(-1, 4)
    pictures = np.array([picture for picture, _ in rows], np.int64)
    scale = sizes[pictures][:, [1, 0]].astype(np.float64)
    centre, half = columns[:, :2] * scale, columns[:, 2:] * scale / 2
    return build_dataset(
        classes=names,
        files=[str(file) for file in unique],
        sizes=sizes,
        pictures=pictures,
        boxes=np.concatenate([centre - half, centre + half], 1),
        labels=np.array([row[0] for _, row in rows], np.int32),
        place=lambda row: places[row],
        image_ids=unique_ids(unique),
        folder=Path(),
        name=str(path),
        split=split,
        repairs=repairs,
    )


def unique_ids(files: Sequence[Path]) -> list[str]:
    stems = [file.stem for file in files]
    return stems if len(set(stems)) == len(stems) else [str(file) for file in files]


def base_folder(path: Path, content: Mapping[str, Any]) -> Path:
    """What the entries are relative to: ``path``, itself relative to the description or to where we are."""
    given = str(content.get("path") or ".")
    for base in (path.parent / given, Path(given)):
        if base.is_dir():
            return base
    raise AnnotationError(f"{path}: path: there is no folder {given!r} beside the file or here")


def resolve(path: Path, content: Mapping[str, Any], entry: str) -> Path:
    """A folder or file that the description names.

    Raises:
        AnnotationError: it is not there.
    """
    entry = PureWindowsPath(entry).as_posix() if "\\" in entry else entry
    base = base_folder(path, content)
    # Exports of labelling tools say ../train/images for a folder that lies beside the file.
    for place in (base / entry, path.parent / entry, base / entry.removeprefix("../")):
        if place.exists():
            return place
    raise AnnotationError(f"{path}: {entry}: no such file or folder below {base}")


def list_pictures(path: Path, content: Mapping[str, Any], split: str) -> list[Path]:
    entries = content.get(split)
    pictures: list[Path] = []
    for entry in entries if isinstance(entries, list) else [entries]:
        if not isinstance(entry, str):
            raise AnnotationError(f"{path}: {split}: expected a folder or file, got {entry!r:.60}")
        place = resolve(path, content, entry)
        found = list_images(place) if place.is_dir() else listed_pictures(place, base_folder(path, content))
        if not found:
            raise AnnotationError(f"{path}: {split}: there are no pictures in {place}")
        pictures += found
    return pictures


def listed_pictures(file: Path, base: Path) -> list[Path]:
    """The pictures a text file lists, relative to itself or to the dataset's folder."""
    pictures = []
    for number, line in enumerate(read_text(file).splitlines(), start=1):
        entry = line.strip().replace("\\", "/")
        if entry:
            places = [place for place in (file.parent / entry, base / entry) if place.is_file()]
            if not places:
                raise AnnotationError(f"{file}:{number}: no such picture: {entry}")
            pictures.append(places[0])
    return pictures


def label_file(picture: Path) -> Path:
    """``.../labels/a.txt`` for ``.../images/a.jpg``; beside the picture where no folder is called images."""
    parts = list(picture.parent.parts)
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return Path(*parts, f"{picture.stem}.txt")


def read_labels(pictures: Sequence[Path], classes: int) -> tuple[list[tuple[int, Row]], list[str], int]:
    """The rows (picture, label row) of all label files, where each stands, and how many files are missing."""
    rows, places, without = [], [], 0
    for index, picture in enumerate(pictures):
        file = label_file(picture)
        if not file.is_file():
            without += 1
            continue
        seen: set[Row] = set()
        for number, line in enumerate(read_text(file).splitlines(), start=1):
            if line.strip():
                row = read_row(line.split(), f"{file}:{number}", classes)
                if row in seen:
                    logger.warning("%s:%d: the same object as on a line before, dropped", file, number)
                    continue
                seen.add(row)
                rows.append((index, row))
                places.append(f"{file}:{number}")
    return rows, places, without


def read_row(fields: Sequence[str], place: str, classes: int) -> Row:
    """Class, centre x and y, width and height of a line.

    Raises:
        AnnotationError: it is none.
    """
    if len(fields) != 5 and (len(fields) < 7 or len(fields) % 2 == 0):
        raise AnnotationError(f"{place}: expected 5 numbers (class x y width height), got {len(fields)}")
    try:
        label, *sides = (float(field) for field in fields)
    except ValueError as error:
        raise AnnotationError(f"{place}: expected numbers ({error})") from error
    if not (label.is_integer() and 0 <= label < classes):
        raise AnnotationError(
            f"{place}: class {fields[0]} is not in the list of {classes} (0 to {classes - 1})"
        )
    if len(sides) > 4:
        across, down = sides[0::2], sides[1::2]
        x1, y1, x2, y2 = min(across), min(down), max(across), max(down)
        sides = [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1]
    return int(label), sides[0], sides[1], sides[2], sides[3]
