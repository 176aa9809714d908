"""Reading and writing one annotation file of Pascal VOC (VOC2012 development kit, section 5)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

import numpy as np
from numpy.typing import NDArray

from yolo.datasets.annotations.xml_file import REPLACED, parse_xml
from yolo.errors import AnnotationError
from yolo.files.atomic import write_whole
from yolo.structs import Boxes, Size

ROOTS = ("annotation", "doc")
"""Names of the root element: VOC's, which LabelMe's web tool shares, and that of Colabeler."""
OBJECTS = ("object", "outputs/object/item", "objects/object")
"""Paths of the objects below the root; those of a file are all in the first that it has."""
OUTLINES = ("polygon", "bndbox", "segmentation", "rotated_bndbox")
"""Elements whose points are an object's outline, if it has no box."""
TRUE = ("true", "yes", "t", "y")

Corners = tuple[float, float, float, float]


class Object(NamedTuple):
    """One object as written in the file."""

    name: str
    corners: Corners
    """xmin, ymin, xmax, ymax: pixels counted from 1, the last one included."""
    difficult: bool


@dataclass(frozen=True)
class Annotation:
    """Content of one annotation file."""

    path: Path
    filename: str
    """Name of the image file; empty if not stated."""
    size: tuple[int, int] | None
    """(height, width) of the image; None if not stated or not valid."""
    objects: list[Object]
    numbers: list[int] = field(default_factory=list)
    """Number of each object in the file, from 1."""
    source: str = ""
    """Path of the image file where it was annotated; empty if not stated."""
    outlined: tuple[int, ...] = ()
    """Numbers of the objects that have an outline but no box."""
    faults: dict[int, str] = field(default_factory=dict)
    """Reason for each object that is left out, by its number; it names the file."""


def read_annotation(path: Path) -> Annotation:
    """Read one annotation file.

    An object without a name or a box is left out and noted; other faults are the file's.

    Raises:
        AnnotationError: the file cannot be read or is not XML, or an object's name or side cannot be read.
    """
    root = parse_xml(path)
    if root.tag.lower() not in ROOTS:
        raise AnnotationError(f"{path}: its root is <{root.tag:.40}>, not <annotation>: no VOC file")
    objects, numbers, outlined, faults = [], [], [], {}
    for number, element in enumerate(find_objects(root), start=1):
        name, box = read_name(path, number, element), element.find("bndbox")
        corners = None if box is None or box.find("xmin") is None else read_box(path, number, box)
        if name and corners is None:
            corners = read_outline(path, number, element)
            outlined += [number] if corners else []
        if not name or corners is None:
            what = "<name>" if not name else "sides in its <bndbox>" if box is not None else "<bndbox>"
            faults[number] = f"{path}: object {number} has no {what}; add it or remove the object"
            continue
        objects.append(Object(name, corners, is_true(element.findtext("difficult"))))
        numbers.append(number)
    filename, source = text_of(root, "filename"), text_of(root, "path")
    return Annotation(path, filename, read_size(root), objects, numbers, source, tuple(outlined), faults)


def find_objects(root: Element) -> Iterator[Element]:
    """Objects of a file, without those that LabelMe keeps as deleted, and without the parts of objects."""
    found = next((found for each in OBJECTS if (found := root.findall(each))), [])
    return (each for each in found if not is_true(each.findtext("deleted")))


def object_names(path: Path) -> set[str]:
    """Classes in a file; empty if it is malformed, which reading it reports."""
    try:
        root = parse_xml(path)
    except AnnotationError:
        return set()
    return {name for each in find_objects(root) if (name := text_of(each, "name"))}


def text_of(element: Element, tag: str) -> str:
    """Text of an element's child, stripped; empty if it is missing or could not be decoded."""
    text = (element.findtext(tag) or "").strip()
    return "" if REPLACED in text else text


def read_name(path: Path, number: int, element: Element) -> str:
    name = (element.findtext("name") or "").strip()
    if REPLACED in name:
        raise AnnotationError(
            f"{path}: object {number}: <name> is not UTF-8, and the file declares no other encoding; save it as UTF-8"
        )
    return name


def is_true(text: str | None) -> bool:
    """Whether a flag is set: 1 in VOC, true and 1.0 by other tools; words such as Unspecified are not."""
    flag = (text or "").strip().lower()
    try:
        return float(flag or 0) > 0
    except ValueError:
        return flag in TRUE


def read_box(path: Path, number: int, box: Element) -> Corners | None:
    """Corners of a box; None if it has no number at all."""
    if not any((side.text or "").strip() for side in box):
        return None
    x1, y1, x2, y2 = (read_side(path, number, box, tag) for tag in ("xmin", "ymin", "xmax", "ymax"))
    return x1, y1, x2, y2


def read_side(path: Path, number: int, box: Element, tag: str) -> float:
    return to_number(path, number, tag, box.findtext(tag))


def to_number(path: Path, number: int, tag: str, text: str | None) -> float:
    try:
        return float(text or "")
    except ValueError:
        got = "nothing" if text is None else repr(text.strip()[:40])
        remedy = "; write decimals with a point" if text and "," in text else ""
        raise AnnotationError(f"{path}: object {number}: <{tag}> expected a number, got {got}{remedy}") from None


def read_outline(path: Path, number: int, element: Element) -> Corners | None:
    """Bounding box of an object's outline or turned box, as VOC's corners; None if it has none."""
    turned = element.find("robndbox")
    if turned is not None and turned.find("cx") is not None:  # roLabelImg: the angle in radians
        tags = ("cx", "cy", "w", "h", "angle")
        x, y, width, height, angle = (read_side(path, number, turned, tag) for tag in tags)
        if not math.isfinite(angle):
            return math.nan, math.nan, math.nan, math.nan
        cosine, sine = abs(math.cos(angle)) / 2, abs(math.sin(angle)) / 2
        across, down = width * cosine + height * sine, width * sine + height * cosine
        return x - across + 1, y - down + 1, x + across, y + down
    for outline in (each for tag in ("robndbox", *OUTLINES) if (each := element.find(tag)) is not None):
        sides = [(each.tag.lower()[:1], each) for each in outline.iter() if (each.text or "").strip()]
        xs, ys = ([to_number(path, number, e.tag, e.text) for axis, e in sides if axis == key] for key in "xy")
        if len(xs) > 1 and len(ys) > 1:
            return min(xs) + 1, min(ys) + 1, max(xs), max(ys)
    return None


def read_size(root: Element) -> tuple[int, int] | None:
    """Size (height, width) in VOC's <size> or LabelMe's <imagesize>; None if it is missing or no size."""
    tags = ("imagesize/nrows", "imagesize/ncols") if root.find("size") is None else ("size/height", "size/width")
    try:
        height, width = (int(float(root.findtext(tag) or "")) for tag in tags)
    except (ValueError, OverflowError):
        return None
    return (height, width) if height > 0 and width > 0 else None


def from_one_based(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert corners of VOC (K, 4) to continuous pixels; they may be in any order."""
    # A box narrower than a pixel has xmin > xmax by less than 1, and is not inverted.
    swapped = corners[:, :2] - 1 >= corners[:, 2:]
    ones: NDArray[np.float64] = np.concatenate([~swapped, swapped], axis=1).astype(np.float64)
    return corners - ones


def write_voc_annotation(
    path: str | Path,
    *,
    filename: str,
    size: Size,
    boxes: Boxes | NDArray[np.float64],
    labels: NDArray[np.int32],
    classes: Sequence[str],
    difficult: NDArray[np.bool_] | None = None,
) -> None:
    """Write an image's objects as an annotation file.

    Args:
        path: file to write.
        filename: name of the image file.
        size: (height, width) of the image.
        boxes: (N, 4) xyxy in image pixels; written as VOC's corners, which count pixels from 1.
        labels: (N,) indices into the classes.
        classes: class names.
        difficult: (N,) objects that count neither as right nor as wrong; None: none.

    Raises:
        AnnotationError: the file cannot be written.
    """
    root = Element("annotation")
    SubElement(root, "filename").text = filename
    add_numbers(SubElement(root, "size"), width=size[1], height=size[0], depth=3)
    flags = np.zeros(len(boxes), bool) if difficult is None else difficult
    for (x1, y1, x2, y2), label, flag in zip(boxes.tolist(), labels.tolist(), flags.tolist(), strict=True):
        item = SubElement(root, "object")
        SubElement(item, "name").text = classes[label]
        SubElement(item, "difficult").text = str(int(flag))
        add_numbers(SubElement(item, "bndbox"), xmin=x1 + 1, ymin=y1 + 1, xmax=x2, ymax=y2)
    indent(root)
    tree = ElementTree(root)
    write_whole(path, lambda temporary: tree.write(temporary, encoding="utf-8"), error=AnnotationError)


def add_numbers(element: Element, **numbers: float) -> None:
    for tag, number in numbers.items():
        # Enough digits to restore a float32 exactly; whole numbers without a point.
        SubElement(element, tag).text = f"{number:.15g}"
