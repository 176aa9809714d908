"""Descriptions (``data.yaml``) of YOLO txt labels, of COCO files, or (``format: voc``) of a VOC folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from yolo.datasets.annotations.columns import Columns
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.source import DESCRIBED, Format, ReadOptions, Source
from yolo.datasets.annotations.splits import SPLITS
from yolo.datasets.formats.coco import coco_parts
from yolo.datasets.formats.data_yaml import base_folder, class_list, read_description, resolve
from yolo.datasets.formats.voc import voc_source
from yolo.datasets.formats.voc_folders import find_roots
from yolo.datasets.formats.yolo_txt import read_yolo
from yolo.errors import AnnotationError
from yolo.files.quoted import quoted

NAMES = ("data.yaml", "data.yml", "dataset.yaml")


def recognise(place: Place) -> Source | None:
    """Recognise a description, or a folder with one."""
    if not place.is_folder:
        return described(place.path) if place.with_suffix(".yaml", ".yml") else None
    file = place.named(*NAMES)
    return None if file is None else described(file)


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
        raise AnnotationError(f"{path}: it names no pictures; give train and val")
    if any(isinstance(entry, str) and entry.lower().endswith(".json") for entry in entries.values()):
        return described_coco(path, content, entries)
    return Source(
        "YOLO txt",
        tuple(entries),
        lambda split, _: read_yolo(path, content, tuple(entries) if split is None else (split,)),
    )


def described_voc(path: Path, content: dict[str, Any]) -> Source:
    folder = base_folder(path, content)
    roots = find_roots(folder)
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


FORMAT = Format("data.yaml", DESCRIBED, recognise)
