"""Pascal VOC folders (VOC2012 development kit, section 3), also as labelImg, CVAT, Roboflow and others write them.

``Annotations/*.xml``, ``JPEGImages/`` and the lists of ``ImageSets/Main``. A folder of years (``VOCdevkit/VOC2007``,
``VOC2012``) is one dataset. Other folders may lack the lists, have other names (`yolo.datasets.formats.voc_folders`),
or contain XML files and images side by side.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from yolo.datasets.annotations.columns import Columns, unique_ids
from yolo.datasets.annotations.json_file import paused_garbage_collection
from yolo.datasets.annotations.left_out import LeftOut
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.records import Object, Record, to_columns
from yolo.datasets.annotations.repair import LISTED_TWICE, OUTLINED, Repairs
from yolo.datasets.annotations.source import FOLDERS, Format, ReadOptions, Source
from yolo.datasets.annotations.text_files import read_lines
from yolo.datasets.annotations.xml_file import root_name
from yolo.datasets.formats.voc_folders import (
    DEEPEST,
    Root,
    find_root,
    find_roots,
    first_files,
    path_below,
    places_below,
    split_names,
    split_of,
)
from yolo.datasets.formats.voc_pictures import Found, Matches
from yolo.datasets.formats.voc_xml import ROOTS, Annotation, from_one_based, object_names, read_annotation
from yolo.errors import AnnotationError
from yolo.files.shipped import shipped_folder

logger = logging.getLogger(__name__)

CLASS_LISTS = ("classes.txt", "labels.txt", "label_list.txt")
"""Names of lists of classes beside the annotations; files ``*.names`` are such lists too."""
CVAT = "annotations"
"""Root of CVAT's own XML files, which are another format."""


@dataclass(frozen=True)
class Entry:
    """One annotation file with its image."""

    root: Root
    key: str
    annotation: Annotation
    picture: Path


def read_voc(roots: Sequence[Root], path: Path, split: str | None, options: ReadOptions) -> Columns:
    """Read the dataset of VOC folders at or below a path, or one split of it.

    Corners count pixels from 1 and include the last one: 1 is subtracted from the two minima alone.

    Args:
        roots: the VOC folders.
        path: folder that names the dataset and that image paths are relative to.
        split: load the images of the lists ``SPLIT.txt``, else those in folders of that name; None: all.
        options: how to read.

    Raises:
        AnnotationError: something is missing, or too much cannot be used.
    """
    repairs, left_out = Repairs(), LeftOut()
    matches = Matches(roots, options.images)
    entries = read_entries(choose(roots, split, repairs, left_out), matches, left_out)
    if split is not None and not any(root.lists for root in roots):
        entries = [each for each in entries if split in splits_of(each, path)]
    if not entries and not left_out:
        part = f"split {split!r} lists none" if split else "there is no annotation file"
        raise AnnotationError(f"{path}: no annotated pictures: {part}")
    columns = to_columns(
        records_of(entries, repairs),
        Found(each.picture for each in entries),
        folder=path,
        name=str(path),
        options=options,
        repairs=repairs,
        left_out=left_out,
        keep_repeated=True,
    )
    annotations = [each.annotation for each in entries]
    settle_objects(annotations, columns, strict=options.strict)
    report_similar(columns)
    if split is None:
        report_unannotated(roots, {each.picture for each in entries}, path)
    return replace(columns, classes=lambda: class_names(roots, annotations))


def choose(roots: Sequence[Root], split: str | None, repairs: Repairs, left_out: LeftOut) -> list[tuple[Root, str]]:
    """Annotation files, as root and key, that a split's lists name; all, if there is no list or no split.

    Lines that name none are left out.
    """
    if split is None or not any(root.lists for root in roots):
        return [(root, key) for root in roots for key in root.annotations if may_be_of(root, key, split)]
    chosen: dict[tuple[Root, str], None] = {}
    for file in dict.fromkeys(root.lists[split] for root in roots if split in root.lists):
        listing = [root for root in roots if root.lists.get(split) == file]
        for number, line in read_lines(file):
            entry = next(((root, key) for root in listing if (key := root.find_key(line)) is not None), None)
            if entry is None:
                folder = listing[0].annotation_folder
                missing = f"there is no {folder}/{line.split()[0]:.200}.xml; remove the line or add the file"
                left_out.add(f"{file}:{number}", f"{file}:{number}: {missing}")
                continue
            if entry in chosen:
                repairs.add(LISTED_TWICE, f"{file}:{number}")
            chosen[entry] = None
    return list(chosen)


def may_be_of(root: Root, key: str, split: str | None) -> bool:
    """Whether an annotation file can belong to a split: it lies in no folder of another split."""
    return split is None or split_of(root.annotations[key].parent, root.top) in (None, split)


def splits_of(entry: Entry, path: Path) -> set[str | None]:
    """Split in whose folder an annotation file lies, else that of its image's folder."""
    own = split_of(entry.annotation.path.parent, entry.root.top)
    return {own or split_of(entry.picture.parent, path)}


def read_entries(chosen: Sequence[tuple[Root, str]], matches: Matches, left_out: LeftOut) -> list[Entry]:
    """Read annotation files and find their images; those that are broken or have none are left out.

    Raises:
        AnnotationError: there are annotations, but no image of any.
    """
    roots, keys, annotations = [], [], []
    for root, key in chosen:
        file = root.annotations[key]
        try:
            annotations.append(read_annotation(file))
        except AnnotationError as error:
            left_out.add(file, error)
            continue
        roots.append(root)
        keys.append(key)
    pictures = matches.find(roots, keys, annotations)
    if annotations and not any(pictures):
        raise matches.none_found(roots, keys, annotations)
    entries = []
    for root, key, annotation, picture in zip(roots, keys, annotations, pictures, strict=True):
        if picture is None:
            left_out.add(annotation.path, matches.reason(key, annotation))
            left_out.remedy = "add the pictures, or name their folder (--images DIR)"
        else:
            entries.append(Entry(root, key, annotation, picture))
    return entries


def records_of(entries: Sequence[Entry], repairs: Repairs) -> list[Record]:
    """Records of annotation files."""
    flat = [each.corners for entry in entries for each in entry.annotation.objects]
    corners = map(tuple, from_one_based(np.array(flat, np.float64).reshape(-1, 4)).tolist())
    ids = image_ids(entries)
    records = []
    for entry, image_id in zip(entries, ids, strict=True):
        annotation = entry.annotation
        for number in annotation.outlined:
            repairs.add(OUTLINED, f"{annotation.path}: object {number}")
        objects = [
            Object(each.name, next(corners), f"object {number}", each.difficult)
            for number, each in zip(annotation.numbers, annotation.objects, strict=True)
        ]
        records.append(Record(str(annotation.path), str(entry.picture), annotation.size, objects, image_id=image_id))
    return records


def image_ids(entries: Sequence[Entry]) -> list[str]:
    """Image ids: the stem of each file; with its folders where that is not unique."""
    stems = [each.key.rpartition("/")[2] for each in entries]
    if len(set(stems)) == len(stems):
        return stems
    several = len({each.root.folder for each in entries}) > 1
    years = [f"{each.root.folder.name}/{each.key}" if several else each.key for each in entries]
    below = [path_below(each.annotation.path.with_suffix(""), each.root.top) for each in entries]
    return unique_ids(years, below)


def settle_objects(annotations: Sequence[Annotation], columns: Columns, *, strict: bool) -> None:
    """Report the objects that are left out in one message, and add them to the list of the columns.

    Raises:
        AnnotationError: nothing may be left out, or too much would be.
    """
    left_out = LeftOut()
    for annotation in annotations:
        for number, reason in annotation.faults.items():
            left_out.add(f"{annotation.path}: object {number}", reason)
    total = len(left_out) + sum(len(each.objects) for each in annotations)
    left_out.settle(total, name=f"{columns.folder}: objects", strict=strict)
    columns.left_out.update(left_out.entries)


def report_similar(columns: Columns) -> None:
    """Report classes whose names differ only by case or blanks, which are likely to be one."""
    counts = Counter(columns.labels.tolist())
    similar: dict[str, list[str]] = {}
    for label, name in enumerate(columns.names):
        similar.setdefault(re.sub(r"[\s_-]+", "", name.casefold()), []).append(f"{name!r} ({counts[label]} objects)")
    several = [" and ".join(each) for each in similar.values() if len(each) > 1]
    if several:
        logger.warning(
            "%s: classes whose names differ only by case or blanks are kept apart: %s",
            columns.folder,
            "; ".join(several),
        )


def report_unannotated(roots: Sequence[Root], used: set[Path], path: Path) -> None:
    """Report skipped images: without an annotation file it is unknown whether they are empty."""
    left = {file for root in roots for file in root.picture_files.values()} - used
    if left:
        logger.warning("%s: %d pictures without an annotation file, left out (%s)", path, len(left), min(left))


def class_names(roots: Sequence[Root], annotations: Sequence[Annotation]) -> Sequence[str]:
    """Class names of VOC folders, the same for every split.

    They come from a list in the folder (``classes.txt``, ``labels.txt``, ``*.names``); years of VOC without other
    classes have VOC's 20; else they are all names in the annotation files, sorted.
    """
    for folder in dict.fromkeys([*(root.folder for root in roots), roots[0].top]):
        place = Place(folder)
        for file in (place.named(*CLASS_LISTS), *place.with_suffix(".names")):
            if file is not None:
                return [line for _, line in read_lines(file)]
    names = {each.name for annotation in annotations for each in annotation.objects}
    read = {annotation.path for annotation in annotations}
    for root in roots:
        names.update(*(object_names(file) for file in root.annotations.values() if file not in read))
    voc = [line for _, line in read_lines(shipped_folder("data") / "voc.names")]
    years = all(re.fullmatch(r"VOC\d{4}", root.folder.resolve().name) for root in roots)
    return voc if names and years and names <= set(voc) else sorted(names)


def recognise(place: Place) -> Source | None:
    """Recognise a VOC folder, or a folder of several.

    What lies in a single folder further down is left to `load_dataset`, which looks for descriptions there first.
    """
    if not place.is_folder or (len(place.folders) == 1 and find_root(place, place.path) is None):
        return None
    roots = find_roots(place)
    return voc_source(roots, place.path) if roots else None


def voc_source(roots: Sequence[Root], path: Path) -> Source:
    """Source of VOC folders at or below a path."""

    def read(split: str | None, options: ReadOptions) -> Columns:
        with paused_garbage_collection():
            return read_voc(roots, path, split, options)

    return Source("VOC", split_names(roots), read)


def near_miss(place: Place) -> str | None:
    """Say what is missing where XML files lie, or a folder for them."""
    if not place.is_folder:
        if place.with_suffix(".xml") and root_name(place.path) in ROOTS:
            return f"{place.path}: the annotations of one picture (VOC); give the folder that holds them all"
        return None
    for each in places_below(place, DEEPEST):
        files = first_files(each)
        roots = [name for name in map(root_name, files) if name]
        if roots and CVAT not in roots:
            return (
                f"{files[0]}: its root is <{roots[0]:.40}>, not <annotation>: no VOC file, nor of another format that "
                "is known; export it as VOC, COCO or YOLO"
            )
    if (place.path / "Annotations").is_dir():
        return f"{place.path / 'Annotations'}: holds no .xml file"
    return None


FORMAT = Format("VOC", FOLDERS, recognise, near_miss)
