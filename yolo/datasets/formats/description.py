"""Descriptions (``data.yaml``) of YOLO txt labels, of COCO files, or (``format: voc``) of a VOC folder."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from yolo.datasets.annotations.columns import Columns
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.source import DESCRIBED, Format, ReadOptions, Source
from yolo.datasets.annotations.splits import SPLITS
from yolo.datasets.formats.coco import coco_parts
from yolo.datasets.formats.data_yaml import base_folder, class_list, keypoint_shape, read_description, resolve
from yolo.datasets.formats.voc import voc_source
from yolo.datasets.formats.voc_folders import find_roots
from yolo.datasets.formats.yolo_folder import find_layout, layout_source
from yolo.datasets.formats.yolo_pictures import PictureList
from yolo.datasets.formats.yolo_txt import YoloSet, new_pictures, read_yolo
from yolo.errors import AnnotationError
from yolo.files.atomic import is_folder
from yolo.files.bounded import MIB, open_file
from yolo.files.quoted import quoted

logger = logging.getLogger(__name__)

NAMES = ("data.yaml", "data.yml", "dataset.yaml")


def recognise(place: Place) -> Source | None:
    """Recognise a description, or a folder with one."""
    if not place.is_folder:
        return described(place.path) if place.with_suffix(".yaml", ".yml") else None
    file = place.named(*NAMES)
    if file is None:
        candidates = descriptions(place)
        file = candidates[0] if len(candidates) == 1 else None
    return None if file is None else described(file)


def descriptions(place: Place) -> list[Path]:
    """Files of a folder that look like descriptions: those with ``names`` or ``train``, and unreadable ones."""
    return [file for file in place.with_suffix(".yaml", ".yml") if is_description(file)]


def is_description(file: Path) -> bool:
    """Whether a file has what a description needs; a file in which only the text says so may be damaged."""
    try:
        content = read_description(file)
    except AnnotationError:
        return mentions_names(file)
    entries = [content.get(name) for name in SPLITS]
    return isinstance(content.get("names"), list | dict | str) or any(isinstance(each, str | list) for each in entries)


def mentions_names(file: Path) -> bool:
    """Whether a damaged file has lines that begin with ``names`` and ``train`` or ``val``."""
    try:
        with open_file(file) as content:
            head = content.read(MIB)
    except OSError:
        return False
    return bool(re.search(rb"(?m)^names\s*:", head) and re.search(rb"(?m)^(train|val)\s*:", head))


def near_miss(place: Place) -> str | None:
    """Name the files of a folder that has several descriptions."""
    files = descriptions(place) if place.is_folder else []
    if len(files) < 2:
        return None
    names = ", ".join(file.name for file in files[:20])
    return f"{place.path}: it has several descriptions: {names}; give one of them as DATA"


def described(path: Path) -> Source:
    """Source that a description names.

    Raises:
        AnnotationError: the file describes no dataset.
    """
    content = read_description(path)
    kind = content.get("format")
    if kind == "voc":
        return described_voc(path, content)
    if kind is not None:
        raise AnnotationError(
            f"{path}: format: {quoted(kind)} is not known; give voc, or leave it out (YOLO txt, COCO)"
        )
    entries = {name: content[name] for name in SPLITS if content.get(name)}
    if not entries:
        layout = find_layout(Place(path.parent)) if "names" in content else None
        if layout is None:
            raise AnnotationError(f"{path}: it names no pictures; give train and val")
        return layout_source(layout, class_list(path, content))
    if any(isinstance(entry, str) and entry.lower().endswith(".json") for entry in entries.values()):
        return described_coco(path, content, entries)
    return Source("YOLO txt", tuple(entries), lambda split, options: read_split(path, content, split, options))


def read_split(path: Path, content: dict[str, Any], split: str | None, options: ReadOptions) -> Columns:
    """Read a split of YOLO txt labels, or all of them (None).

    Raises:
        AnnotationError: something is missing or malformed.
    """
    folder = dataset_folder(path, content)
    names = class_list(path, content, options.names)
    source = YoloSet(name=str(path), folder=folder, names=names, keypoints=keypoint_shape(path, content))
    pictures = new_pictures([folder], options)
    if split is not None:
        add_split(path, content, split, pictures)
        return read_yolo(source, pictures, options, split)
    splits = [name for name in SPLITS if content.get(name)]
    faults = []
    for name in splits:
        try:
            add_split(path, content, name, pictures)
        except AnnotationError as error:
            faults.append(error)
    if len(faults) == len(splits) or options.strict:
        for fault in faults:
            raise fault
    for fault in faults:
        logger.warning("%s; the other splits are read", fault)
    return read_yolo(source, pictures, options, splits[0] if len(splits) == 1 else None)


def add_split(path: Path, content: dict[str, Any], split: str, pictures: PictureList) -> None:
    """Add the images of a split to a list.

    Raises:
        AnnotationError: there are none, or a folder or file of the description does not exist.
    """
    entries = content[split]
    for entry in entries if isinstance(entries, list) else [entries]:
        place = resolve(path, content, split, entry)
        if not (pictures.add_folder(place) if is_folder(place) else pictures.add_list(place)):
            raise AnnotationError(f"{path}: {split}: there are no pictures in {place}")


def dataset_folder(path: Path, content: dict[str, Any]) -> Path:
    """Folder that the images' paths become relative to."""
    try:
        return base_folder(path, content)
    except AnnotationError:
        return path.parent


def described_voc(path: Path, content: dict[str, Any]) -> Source:
    folder = base_folder(path, content)
    roots = find_roots(Place(folder))
    if not roots:
        raise AnnotationError(f"{path}: path: {folder} is no VOC folder; it has no Annotations/*.xml")
    return with_names(voc_source(roots, folder), described_names(path, content))


def described_coco(path: Path, content: dict[str, Any], entries: dict[str, Any]) -> Source:
    files = {name: resolve(path, content, name, entry) for name, entry in entries.items()}
    given = content.get("images") or {}
    folders = given if isinstance(given, dict) else dict.fromkeys(files, given)
    images = {name: resolve(path, content, "images", folder) for name, folder in folders.items() if name in files}
    return with_names(coco_parts(path, files, images), described_names(path, content))


def described_names(path: Path, content: dict[str, Any]) -> tuple[str, ...] | None:
    """Class names of a description in which they are optional."""
    return class_list(path, content) if "names" in content else None


def with_names(source: Source, names: tuple[str, ...] | None) -> Source:
    """Source whose classes are these names."""
    if names is None:
        return source

    def read(split: str | None, options: ReadOptions) -> Columns:
        return replace(source.read(split, options), classes=names)

    return replace(source, read=read)


FORMAT = Format("data.yaml", DESCRIBED, recognise, near_miss)
