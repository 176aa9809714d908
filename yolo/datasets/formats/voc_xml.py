"""Reading and writing one annotation file of Pascal VOC (VOC2012 development kit, section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element, ElementTree, ParseError, SubElement, indent

import numpy as np
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from numpy.typing import NDArray

from yolo.datasets.annotations.text_files import read_bytes
from yolo.errors import AnnotationError
from yolo.files.atomic import write_whole
from yolo.structs import Boxes, Size


class Object(NamedTuple):
    """One object as written in the file."""

    name: str
    corners: tuple[float, float, float, float]
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


def read_annotation(path: Path) -> Annotation:
    """Read one annotation file.

    Raises:
        AnnotationError: the file cannot be read or is not XML, or an object is incomplete.
    """
    root = parse_xml(path)
    objects = [read_object(path, number, each) for number, each in enumerate(root.iterfind("object"), start=1)]
    return Annotation(path, (root.findtext("filename") or "").strip(), read_size(root), objects)


def parse_xml(path: Path) -> Element:
    try:
        return fromstring(read_bytes(path))
    except ParseError as error:
        line, column = error.position
        problem = str(error).partition(":")[0]
        raise AnnotationError(
            f"{path}:{line}:{column + 1}: not valid XML ({problem}); mend or export the file again"
        ) from error
    except DefusedXmlException as error:
        raise AnnotationError(f"{path}: defines entities or refers to other files; remove that") from error
    except (ValueError, LookupError) as error:  # from text in the encoding that the file declares
        raise AnnotationError(f"{path}: not valid XML ({error}); export the file again") from error


def read_object(path: Path, number: int, element: Element) -> Object:
    name = (element.findtext("name") or "").strip()
    box = element.find("bndbox")
    if not name or box is None:
        missing = "<bndbox>" if name else "<name>"
        raise AnnotationError(f"{path}: object {number} has no {missing}; add it or remove the object")
    x1, y1, x2, y2 = (read_side(path, number, box, tag) for tag in ("xmin", "ymin", "xmax", "ymax"))
    difficult = (element.findtext("difficult") or "").strip() == "1"
    return Object(name, (x1, y1, x2, y2), difficult)


def read_side(path: Path, number: int, box: Element, tag: str) -> float:
    text = box.findtext(tag)
    try:
        return float(text or "")
    except ValueError:
        got = "nothing" if text is None else repr(text.strip()[:40])
        raise AnnotationError(f"{path}: object {number}: <{tag}> expected a number, got {got}") from None


def read_size(root: Element) -> tuple[int, int] | None:
    try:
        height, width = (int(float(root.findtext(f"size/{side}") or "")) for side in ("height", "width"))
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
