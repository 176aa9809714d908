"""Pascal VOC folders (VOC2012 development kit, section 5): ``Annotations/*.xml``, ``JPEGImages/``, ``ImageSets/Main``.

A folder of years (``VOCdevkit/VOC2007``, ``VOC2012``) is one dataset; so is a loose folder
that lacks the lists.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

import numpy as np
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from yolo.datasets.columns import build_dataset
from yolo.errors import AnnotationError, MediaError
from yolo.images import SUFFIXES, image_size
from yolo.structs import Dataset

VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *(
        "diningtable",
        "dog",
        "horse",
        "motorbike",
        "person",
        "pottedplant",
        "sheep",
        "sofa",
        "train",
        "tvmonitor",
    ),
)
PICTURE_FOLDERS = ("JPEGImages", "images", "Images")
LARGEST_XML = 64 * 2**20
"""Bytes of one annotation file, at most."""


@dataclass(frozen=True)
class Root:
    """One folder with ``Annotations/``."""

    folder: Path
    pictures: dict[str, str]
    """File of each picture by its stem, relative to the folder."""

    @property
    def lists(self) -> Path:
        return self.folder / "ImageSets" / "Main"

    def annotation(self, stem: str) -> Path:
        return self.folder / "Annotations" / f"{stem}.xml"


@dataclass(frozen=True)
class Annotation:
    """What one file says."""

    path: Path
    picture: Path
    size: tuple[int, int]
    objects: list[tuple[str, tuple[float, float, float, float], bool]]
    """Name, corners as written, difficult."""


def find_roots(path: Path) -> list[Root]:
    """The folders with annotations at, or one or two levels below, a path; none if it is no VOC folder."""
    folders = [path] if (path / "Annotations").is_dir() else []
    folders = folders or sorted(each.parent for each in path.glob("VOC[0-9]*/Annotations"))
    folders = folders or sorted(each.parent for each in path.glob("VOCdevkit/*/Annotations"))
    return [Root(folder, list_pictures(folder)) for folder in folders]


def list_pictures(folder: Path) -> dict[str, str]:
    for name in PICTURE_FOLDERS:
        if (folder / name).is_dir():
            files = sorted(
                file.name for file in (folder / name).iterdir() if file.suffix.lower() in SUFFIXES
            )
            return {Path(file).stem: f"{name}/{file}" for file in files}
    raise AnnotationError(
        f"{folder}: it has Annotations/ but no JPEGImages/ (or images/) with the pictures"
    )


def split_names(roots: Sequence[Root]) -> tuple[str, ...]:
    """The lists of ``ImageSets/Main``, less those of single classes (``cat_train``)."""
    names = sorted({file.stem for root in roots for file in root.lists.glob("*.txt")})
    return tuple(name for name in names if not re.search(r"._(train|val|trainval|test)$", name))


def load_voc(
    path: str | Path,
    split: str | None = None,
    *,
    classes: Sequence[str] | None = None,
    roots: Sequence[Root] = (),
) -> Dataset:
    """The dataset of a VOC folder, or the part of it that ``ImageSets/Main/SPLIT.txt`` lists.

    Corners count pixels from 1 and include the last one: 1 is subtracted from the two minima alone.

    Raises:
        AnnotationError: something is missing or malformed.
    """
    path = Path(path)
    roots = roots or find_roots(path)
    repairs: dict[str, int] = {}
    chosen = [(root, stem) for root in roots for stem in list_stems(root, split, repairs)]
    if not chosen:
        raise AnnotationError(f"{path}: no annotated picture" + (f" in split {split!r}" if split else ""))
    annotations = [read_annotation(root, stem) for root, stem in chosen]
    names = list(classes or class_names(roots, annotations))
    label_of = {name: label for label, name in enumerate(names)}
    rows = [(index, *item) for index, each in enumerate(annotations) for item in each.objects]
    places = [
        (index, number) for index, each in enumerate(annotations) for number in range(len(each.objects))
    ]
    for (index, number), row in zip(places, rows, strict=True):
        if row[1] not in label_of:
            raise AnnotationError(
                f"{annotations[index].path}: object {number + 1}: class {row[1]!r} is not in the list "
                f"({', '.join(names)}); mend the name or add it to the list"
            )
    corners = np.array([row[2] for row in rows], np.float64).reshape(-1, 4)
    return build_dataset(
        classes=names,
        files=[str(each.picture.relative_to(path)) for each in annotations],
        sizes=np.array([each.size for each in annotations], np.int32),
        pictures=np.array([row[0] for row in rows], np.int64),
        boxes=from_one_based(corners),
        labels=np.array([label_of[row[1]] for row in rows], np.int32),
        ignore=np.array([row[3] for row in rows], bool),
        image_ids=unique_ids(chosen),
        place=lambda row: f"{annotations[places[row][0]].path.name} object {places[row][1] + 1}",
        folder=path,
        name=str(path),
        split=split,
        repairs=repairs,
    )


def from_one_based(corners: np.ndarray) -> np.ndarray:
    """(K, 4) corners of VOC as continuous pixels; which corner is the smaller is looked at, not assumed."""
    shifted = corners.copy()
    for low, high in ((0, 2), (1, 3)):
        swapped = corners[:, low] > corners[:, high]
        shifted[:, low] -= ~swapped
        shifted[:, high] -= swapped
    return shifted


def list_stems(root: Root, split: str | None, repairs: dict[str, int]) -> list[str]:
    """The stems of a split, or of all annotation files."""
    if split is None:
        return sorted(file.stem for file in (root.folder / "Annotations").glob("*.xml"))
    file = root.lists / f"{split}.txt"
    if not file.is_file():
        return []
    stems: dict[str, int] = {}
    for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        if not line.strip():
            continue
        stem = line.strip() if root.annotation(line.strip()).is_file() else line.split()[0]
        if not root.annotation(stem).is_file():
            raise AnnotationError(
                f"{file}:{number}: there is no Annotations/{stem}.xml; remove the line or add the file"
            )
        if stem in stems:
            repairs["pictures listed twice, taken once"] = (
                repairs.get("pictures listed twice, taken once", 0) + 1
            )
        stems[stem] = number
    return list(stems)


def read_annotation(root: Root, stem: str) -> Annotation:
    """One file.

    Raises:
        AnnotationError: it is malformed, or its picture is missing.
    """
    path = root.annotation(stem)
    tree = parse_xml(path)
    picture = root.pictures.get(stem) or root.pictures.get(Path(tree.findtext("filename") or "").stem)
    if picture is None:
        raise AnnotationError(
            f"{path}: its picture is missing; there is no {stem}.jpg (or .png, ...) beside Annotations/"
        )
    objects = [
        read_object(path, number, each) for number, each in enumerate(tree.iterfind("object"), start=1)
    ]
    return Annotation(
        path, root.folder / picture, read_size(path, tree, objects, root.folder / picture), objects
    )


def parse_xml(path: Path) -> Element:
    try:
        if path.stat().st_size > LARGEST_XML:
            raise AnnotationError(f"{path}: larger than any annotation file ({LARGEST_XML} bytes)")
        return fromstring(path.read_bytes())
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be read ({error.strerror})") from error
    except ParseError as error:
        line, column = error.position
        raise AnnotationError(f"{path}:{line}:{column + 1}: not valid XML ({error})") from error
    except (DefusedXmlException, ValueError, LookupError) as error:
        raise AnnotationError(f"{path}: not an annotation file ({error})") from error


def read_object(
    path: Path, number: int, element: Element
) -> tuple[str, tuple[float, float, float, float], bool]:
    name, box = (element.findtext("name") or "").strip(), element.find("bndbox")
    if not name or box is None:
        raise AnnotationError(f"{path}: object {number} has no {'<bndbox>' if name else '<name>'}")
    sides = []
    for tag in ("xmin", "ymin", "xmax", "ymax"):
        text = box.findtext(tag)
        try:
            sides.append(float(text or ""))
        except ValueError:
            raise AnnotationError(
                f"{path}: object {number}: <{tag}> expected a number, got {text!r}"
            ) from None
    difficult = (element.findtext("difficult") or "0").strip() == "1"
    return name, (sides[0], sides[1], sides[2], sides[3]), difficult


def read_size(
    path: Path, tree: Element, objects: Iterable[tuple[str, tuple[float, ...], bool]], picture: Path
) -> tuple[int, int]:
    """(height, width) as written; of the picture itself where that is missing or a box reaches beyond it."""
    try:
        height, width = (int(float(tree.findtext(f"size/{side}") or "")) for side in ("height", "width"))
    except (ValueError, OverflowError):
        height = width = 0
    corners = [corners for _, corners, _ in objects]
    beyond = any(max(x1, x2) > width or max(y1, y2) > height for x1, y1, x2, y2 in corners)
    if height > 0 and width > 0 and not beyond:
        return height, width
    try:
        real = image_size(picture)
    except MediaError as error:
        raise AnnotationError(
            f"{path}: its <size> cannot be right, and the picture's own cannot be read: {error}"
        ) from error
    # Annotated before an EXIF rotation: the two frames differ by a turn, and the written one holds.
    return (height, width) if real == (width, height) else real


def class_names(roots: Sequence[Root], annotations: Sequence[Annotation]) -> Sequence[str]:
    """From a list in the folder; VOC's own for a year of VOC; else all names, sorted, of every split alike."""
    for root in roots:
        for file in (
            root.folder / "classes.txt",
            root.folder / "labels.txt",
            *sorted(root.folder.glob("*.names")),
        ):
            if file.is_file():
                return [
                    line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()
                ]
    found = {name for each in annotations for name, _, _ in each.objects}
    if found <= set(VOC_CLASSES) and all(re.fullmatch(r"VOC\d{4}", root.folder.name) for root in roots):
        return VOC_CLASSES
    for root in roots:
        for file in (root.folder / "Annotations").glob("*.xml"):
            found |= {(each.findtext("name") or "").strip() for each in parse_xml(file).iterfind("object")}
    names = sorted(found - {""})
    if not names:
        raise AnnotationError(
            f"{roots[0].folder}: no annotation names an object; nothing can be learned from it"
        )
    return names


def unique_ids(chosen: Sequence[tuple[Root, str]]) -> list[str]:
    """The stems; with the year before them where two years use the same."""
    stems = [stem for _, stem in chosen]
    if len(set(stems)) == len(stems):
        return stems
    return [f"{root.folder.name}/{stem}" for root, stem in chosen]
