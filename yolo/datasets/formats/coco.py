"""COCO JSON files (cocodataset.org, "Data format", object detection).

A file as large as COCO's becomes a few gigabytes of Python objects, so columns are extracted in bulk, and nothing that
is kept refers to these objects.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from yolo.datasets.annotations.columns import Columns
from yolo.datasets.annotations.joining import concatenate
from yolo.datasets.annotations.json_file import outline, paused_garbage_collection, read_json
from yolo.datasets.annotations.left_out import LeftOut
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.repair import Repairs
from yolo.datasets.annotations.source import FILES, Format, ReadOptions, Source
from yolo.datasets.formats.coco_entries import Pictures, read_categories, read_pictures
from yolo.datasets.formats.coco_fit import fit_to_images
from yolo.datasets.formats.coco_layout import coco_files, is_coco, json_files
from yolo.datasets.formats.coco_objects import Objects, count_shared_ids, read_objects
from yolo.errors import AnnotationError
from yolo.files.atomic import is_folder

RESULTS = "a results file goes to --detections"
WANTED = "a COCO dataset has the lists images, annotations and categories"


def read_coco(
    path: Path, *, images: Path | None = None, split: str | None = None, options: ReadOptions | None = None
) -> Columns:
    """Read a COCO file; classes by rising category id, images in the file's order.

    Images that are not found are left out. If none is found, or they are not needed, all are kept as annotated: a
    results file can be evaluated without any.

    Args:
        path: the ``.json`` file.
        images: folder of the images; None: look for it near the file.
        split: name of the split.
        options: how to read.

    Raises:
        AnnotationError: the file is missing or malformed, lacks something, or too much of it cannot be used.
    """
    if images is not None and not is_folder(images):
        raise AnnotationError(f"{images}: there is no such folder of pictures")
    with paused_garbage_collection():
        return replace(read_columns(path, images, options or ReadOptions()), split=split)


def read_columns(path: Path, images: Path | None, options: ReadOptions) -> Columns:
    """Extract the columns of a COCO file, without references to the parsed objects."""
    repairs, faulty, lost = Repairs(), LeftOut(), LeftOut()
    pictures, objects, names, category_ids = read_entries(path, faulty, lost, repairs, strict=options.strict)
    folder, files, kept, objects = fit_to_images(path, pictures, objects, images, options, lost=lost, repairs=repairs)
    rows = objects.entries
    return Columns(
        folder=folder,
        files=files,
        sizes=kept.sizes,
        image_ids=kept.ids,
        names=names,
        category_ids=category_ids,
        place=lambda row: f"{path}: annotations[{rows[row]}]",
        repairs=repairs,
        left_out=lost.entries | faulty.entries,
        pictures=objects.pictures,
        labels=objects.labels,
        boxes=objects.boxes,
        areas=objects.areas,
        ignore=objects.ignore,
    )


def read_entries(
    path: Path, faulty: LeftOut, lost: LeftOut, repairs: Repairs, *, strict: bool
) -> tuple[Pictures, Objects, list[str], list[int]]:
    """Images, objects, class names and category ids of a file.

    Args:
        path: the file.
        faulty: list of the annotations that cannot be read.
        lost: list of the images that cannot be used.
        repairs: record of other faults.
        strict: as in `ReadOptions`.

    Raises:
        AnnotationError: the file is malformed, or too many annotations are faulty.
    """
    data = read_json(path)
    if isinstance(data, dict) and "image_info" in path.stem:  # COCO's lists of test images
        data.setdefault("annotations", [])
    records, annotations, categories = (table(path, data, key) for key in ("images", "annotations", "categories"))
    label_of, names = read_categories(path, categories, annotations, repairs)
    pictures = read_pictures(path, records, lost, repairs)
    objects = read_objects(
        path, annotations, pictures.index_of, label_of, left_out=faulty, repairs=repairs, strict=strict
    )
    faulty.settle(len(annotations), name=f"{path}: annotations", strict=strict)
    count_shared_ids(path, annotations, repairs)
    # The strings lie scattered among the parsed objects and would keep their memory pages in use: take
    # copies, made after the objects are gone.
    kept = json.dumps([pictures.ids, pictures.names, names, list(label_of)])
    pictures.index_of.clear()
    del data, records, annotations, categories, names, label_of
    pictures.ids, pictures.names = [], []
    pictures.ids, pictures.names, class_names, category_ids = json.loads(kept)
    return pictures, objects, class_names, category_ids


def table(path: Path, data: Any, key: str) -> list[Any]:
    entries = data.get(key) if isinstance(data, dict) else None
    if not isinstance(entries, list):
        raise AnnotationError(f'{path}: not a COCO dataset: it has no list "{key}" ({RESULTS})')
    return entries


def recognise(place: Place) -> Source | None:
    """Recognise a COCO file, or a folder of them."""
    if not place.is_folder:
        return coco_parts(place.path, {"": place.path}) if is_coco(place.path) else None
    files = coco_files(place)
    return coco_parts(place.path, files) if files else None


def coco_parts(path: Path, files: dict[str, Path], images: dict[str, Path] | None = None) -> Source:
    """Source of several COCO files, one per split, with the folders of their images if given.

    Everything is all files together, unless an image is in several: then a split has to be chosen.
    """

    def read_one(name: str, options: ReadOptions) -> Columns:
        folder = options.images or (images or {}).get(name)
        return read_coco(files[name], images=folder, split=name or None, options=options)

    def read(split: str | None, options: ReadOptions) -> Columns:
        names = list({file: name for name, file in reversed(files.items())}.values()) if split is None else [split]
        if len(names) == 1:
            return read_one(names[0], options)
        return joined(path, [read_one(name, options) for name in reversed(names)], list(files))

    return Source("COCO", tuple(filter(None, files)), read)


def joined(path: Path, parts: list[Columns], splits: list[str]) -> Columns:
    """Columns of several files together.

    Raises:
        AnnotationError: an image is in several.
    """
    files = [part.folder / file for part in parts for file in part.files]
    if len(set(files)) < len(files):
        raise AnnotationError(f"{path}: it has the splits {', '.join(splits)}; choose one (--split NAME)")
    ids = {
        name: each for part in reversed(parts) for name, each in zip(part.names, part.category_ids or (), strict=True)
    }
    classes = sorted(ids, key=lambda name: (isinstance(ids[name], str), ids[name]))
    return concatenate(parts, folder=path if path.is_dir() else path.parent, classes=classes)


TOOLS = {
    "shapes": "a labelme file",
    "_via_img_metadata": "a project of the VGG Image Annotator (VIA)",
    "regions": "an export of the VGG Image Annotator (VIA)",
    "assets": "a project of VoTT",
    "segments_info": "COCO's panoptic segments, without boxes of objects",
    "caption": "COCO's captions, without boxes",
    "score": "a results file",
}
"""Meaning of a key in a JSON file that is no COCO dataset."""


def near_miss(place: Place) -> str | None:
    """Say what a ``.json`` file lacks that no format has recognised, or what the only ones in a folder are.

    Raises:
        AnnotationError: it cannot be read or is not JSON.
    """
    if place.is_folder:
        told = ((file, told) for file in json_files(place)[:20] if (told := tool_of(file)))
        return next((f"{file}: {what}, not a COCO dataset; {WANTED}" for file, what in told), None)
    if place.path.suffix.lower() != ".json":
        return None
    read_json(place.path)
    what = tool_of(place.path)
    seems = f" but {what}" if what else ""
    return f'{place.path}: not a COCO dataset{seems}: it has no list "images" ({RESULTS})'


def tool_of(path: Path) -> str | None:
    """Kind of a JSON file that is no COCO dataset, by its keys; None: not known."""
    found = outline(path)
    return next((what for key, what in TOOLS.items() if key in found.keys | found.inner), None)


FORMAT = Format("COCO", FILES, recognise, near_miss)
