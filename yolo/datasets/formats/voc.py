"""Pascal VOC folders (VOC2012 development kit, section 3).

``Annotations/*.xml``, ``JPEGImages/`` and the lists of ``ImageSets/Main``. A folder of years (``VOCdevkit/VOC2007``,
``VOC2012``) is one dataset. Other folders may lack the lists, name the folder of images ``images``, or contain XML
files and images side by side.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from yolo.datasets.annotations.columns import Columns, unique_ids
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.repair import LISTED_TWICE, WRONG_SIZE, Repairs
from yolo.datasets.annotations.sizes import LARGEST_SIDE
from yolo.datasets.annotations.source import FOLDERS, Format, Source
from yolo.datasets.annotations.text_files import read_lines
from yolo.datasets.formats.voc_xml import Annotation, from_one_based, parse_xml, read_annotation
from yolo.errors import AnnotationError
from yolo.files.bounded import open_file
from yolo.files.shipped import shipped_folder
from yolo.images.codec import read_header
from yolo.images.suffixes import SUFFIXES
from yolo.structs import Size

logger = logging.getLogger(__name__)

ANNOTATION_FOLDERS = ("Annotations", "annotations", ".")
PICTURE_FOLDERS = ("JPEGImages", "images", "Images", ".")
PLACES_NAMED = 3


@dataclass(frozen=True)
class Root:
    """One folder of annotations and images: a year of VOC, or another folder."""

    folder: Path
    annotation_folder: str

    @property
    def lists(self) -> Path:
        return self.folder / "ImageSets" / "Main"

    @cached_property
    def annotations(self) -> dict[str, Path]:
        """Annotation files by stem, sorted."""
        files = sorted((self.folder / self.annotation_folder).glob("*.xml"))
        return {file.stem: file for file in files if not file.name.startswith(".")}

    @cached_property
    def pictures(self) -> dict[str, Path]:
        """Images by name, and by stem."""
        for name in PICTURE_FOLDERS:
            folder = self.folder / name
            files = sorted(folder.iterdir()) if folder.is_dir() else []
            found = [file for file in files if file.suffix.lower() in SUFFIXES]
            if found:
                return {file.stem: file for file in reversed(found)} | {file.name: file for file in found}
        raise AnnotationError(f"{self.folder}: it has annotations, but no JPEGImages/ or images/ with their pictures")

    def picture(self, annotation: Annotation) -> Path | None:
        """Find the image with the annotation file's stem, as in the development kit; else its <filename>."""
        name, stem = Path(annotation.filename).name, annotation.path.stem
        if Path(name).stem == stem and name in self.pictures:  # rather than another image with this stem
            return self.pictures[name]
        return self.pictures.get(stem) or self.pictures.get(name) or self.pictures.get(Path(name).stem)


def find_roots(path: Path) -> list[Root]:
    """Find the folders with annotations at a path, or in the years below it; empty if it is not a VOC folder."""
    own = [root for root in [find_root(path)] if root]
    if own:
        return own
    pattern = "*" if path.resolve().name == "VOCdevkit" else "VOC[0-9]*"
    for below in (path.glob(pattern), path.glob("VOCdevkit/*")):
        roots = [root for root in map(find_root, sorted(below)) if root]
        if roots:
            return roots
    return []


def find_root(folder: Path) -> Root | None:
    for name in ANNOTATION_FOLDERS:
        if next((folder / name).glob("*.xml"), None):
            return Root(folder, name)
    return None


def split_names(roots: Sequence[Root]) -> tuple[str, ...]:
    """Names of the lists in ``ImageSets/Main``, except those of single classes (``cat_train`` beside ``train``)."""
    names = sorted({file.stem for root in roots for file in root.lists.glob("*.txt")})
    return tuple(name for name in names if name.rpartition("_")[2] not in names or "_" not in name)


def read_voc(roots: Sequence[Root], path: Path, split: str | None = None) -> Columns:
    """Read the dataset of VOC folders at or below a path, or one split of it.

    Corners count pixels from 1 and include the last one: 1 is subtracted from the two minima alone.

    Args:
        roots: the VOC folders.
        path: folder that names the dataset and that image paths are relative to.
        split: load the images of ``ImageSets/Main/SPLIT.txt``, in every folder that has it; None: all.

    Raises:
        AnnotationError: something is missing or malformed.
    """
    repairs = Repairs()
    chosen = [(root, stem) for root in roots for stem in list_stems(root, split, repairs)]
    if not chosen:
        part = f"split {split!r} lists none" if split else "there is no annotation file"
        raise AnnotationError(f"{path}: no annotated pictures: {part}")
    annotations = [read_annotation(root.annotations[stem]) for root, stem in chosen]
    pictures = find_pictures(roots, chosen, annotations)
    sizes = [picture_size(each, file, repairs) for each, file in zip(annotations, pictures, strict=True)]
    if split is None:
        report_unannotated(roots, pictures, path)
    stems = [stem for _, stem in chosen]
    return Columns(
        folder=path,
        files=[str(file.relative_to(path)) for file in pictures],
        sizes=np.array(sizes, np.int32),
        image_ids=unique_ids(stems, [f"{root.folder.name}/{stem}" for root, stem in chosen]),
        repairs=repairs,
        classes=lambda: class_names(roots, annotations),
        **object_columns(annotations),
    )


def object_columns(annotations: Sequence[Annotation]) -> dict[str, Any]:
    """Columns of the objects: pictures, names, labels, boxes, ignore, place."""
    objects = [each for annotation in annotations for each in annotation.objects]
    counts = [len(annotation.objects) for annotation in annotations]
    pictures = np.repeat(np.arange(len(annotations)), counts)
    firsts = np.cumsum([0, *counts])
    names = sorted({each.name for each in objects})
    label_of = {name: label for label, name in enumerate(names)}

    def place(row: int) -> str:
        picture = int(pictures[row])
        return f"{annotations[picture].path}: object {row - firsts[picture] + 1}"

    return {
        "pictures": pictures,
        "names": names,
        "labels": np.array([label_of[each.name] for each in objects], np.int32),
        "boxes": from_one_based(np.array([each.corners for each in objects], np.float64).reshape(-1, 4)),
        "ignore": np.array([each.difficult for each in objects], bool),
        "place": place,
    }


def list_stems(root: Root, split: str | None, repairs: Repairs) -> list[str]:
    """Stems of all annotation files, or of those that a list names; empty if there is no such list.

    Raises:
        AnnotationError: the list names an annotation file that does not exist.
    """
    if split is None:
        return list(root.annotations)
    file = root.lists / f"{split}.txt"
    stems: dict[str, None] = {}
    for number, line in read_lines(file) if file.is_file() else []:
        stem = next((each for each in possible_stems(line) if each in root.annotations), None)
        if stem is None:
            raise AnnotationError(
                f"{file}:{number}: there is no {root.annotation_folder}/{line.split()[0]}.xml; "
                "remove the line or add the file"
            )
        if stem in stems:
            repairs.add(LISTED_TWICE, f"{file}:{number}")
        stems[stem] = None
    return list(stems)


def possible_stems(line: str) -> list[str]:
    """Readings of a list's line: a stem, a stem and a number, or (not in the VOC format) an image's name."""
    stems = [line, line.split(maxsplit=1)[0]]
    return stems + [Path(each).stem for each in stems if Path(each).suffix.lower() in SUFFIXES]


def find_pictures(
    roots: Sequence[Root], chosen: Sequence[tuple[Root, str]], annotations: Sequence[Annotation]
) -> list[Path]:
    """Find the image of each annotation.

    Raises:
        AnnotationError: some have no image.
    """
    found = [root.picture(each) for (root, _), each in zip(chosen, annotations, strict=True)]
    missing = [each for each, file in zip(annotations, found, strict=True) if file is None]
    if missing:
        named = ", ".join(str(each.path) for each in missing[:PLACES_NAMED])
        raise AnnotationError(
            f"{roots[0].folder}: {len(missing)} of {len(chosen)} annotated pictures are missing, those of "
            f"{named}{', ...' if len(missing) > PLACES_NAMED else ''}; add the pictures or remove the files"
        )
    return [file for file in found if file is not None]


def picture_size(annotation: Annotation, picture: Path, repairs: Repairs) -> Size:
    """Size (height, width) of an image; the annotated size is used only if it fits the file's header.

    Raises:
        AnnotationError: the size is neither annotated nor readable.
    """
    try:
        with open_file(picture) as file:
            header = read_header(file, name=str(picture))
    except OSError:
        header = None
    if header is None:  # reading the pixels will report it
        if annotation.size is None or max(annotation.size) > LARGEST_SIDE:
            raise AnnotationError(
                f"{annotation.path}: it has no <size>, and {picture} cannot be read; mend one of the two"
            )
        return annotation.size
    # If the size was annotated before the EXIF rotation, `read_image` does not apply the rotation either.
    if annotation.size not in (header.size, header.stored):
        repairs.add(WRONG_SIZE, str(annotation.path))
        return header.size
    return annotation.size


def report_unannotated(roots: Sequence[Root], pictures: Sequence[Path], path: Path) -> None:
    """Report skipped images: without an annotation file it is unknown whether they are empty."""
    left = {file for root in roots for file in root.pictures.values()} - set(pictures)
    if left:
        logger.info("%s: %d pictures without an annotation file, left out (%s)", path, len(left), min(left))


def class_names(roots: Sequence[Root], annotations: Sequence[Annotation]) -> Sequence[str]:
    """Class names of VOC folders, the same for every split.

    They come from a list in the folder (``classes.txt``, ``labels.txt``, ``*.names``); years of VOC without other
    classes have VOC's 20; else they are all names in the annotation files, sorted.
    """
    for folder in (root.folder for root in roots):
        for file in (folder / "classes.txt", folder / "labels.txt", *sorted(folder.glob("*.names"))):
            if file.is_file():
                return [line for _, line in read_lines(file)]
    names = {each.name for annotation in annotations for each in annotation.objects}
    read = {annotation.path for annotation in annotations}
    for root in roots:
        names.update(*(object_names(file) for file in root.annotations.values() if file not in read))
    voc = [line for _, line in read_lines(shipped_folder("data") / "voc.names")]
    years = all(re.fullmatch(r"VOC\d{4}", root.folder.resolve().name) for root in roots)
    if years and names <= set(voc):
        return voc
    if not names:
        raise AnnotationError(f"{roots[0].folder}: no annotation file has an object; nothing names a class")
    return sorted(names)


def object_names(path: Path) -> set[str]:
    """Classes in a file of another split; empty if it is malformed, which loading that split reports."""
    try:
        root = parse_xml(path)
    except AnnotationError:
        return set()
    return {(each.findtext("name") or "").strip() for each in root.iterfind("object")} - {""}


def recognise(place: Place) -> Source | None:
    """Recognise a VOC folder, or a folder of several."""
    roots = find_roots(place.path) if place.is_folder else []
    return voc_source(roots, place.path) if roots else None


def voc_source(roots: Sequence[Root], path: Path) -> Source:
    return Source("VOC", split_names(roots), lambda split, _: read_voc(roots, path, split))


def near_miss(place: Place) -> str | None:
    if (place.path / "Annotations").is_dir():
        return f"{place.path / 'Annotations'}: holds no .xml file"
    return None


FORMAT = Format("VOC", FOLDERS, recognise, near_miss)
