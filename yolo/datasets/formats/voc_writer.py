"""Writes VOC annotation files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

import numpy as np
from numpy.typing import NDArray

from yolo.errors import AnnotationError
from yolo.files.atomic import write_whole
from yolo.structs import Boxes, Size


def write_voc_annotation(
    path: str | Path,
    *,
    filename: str,
    size: Size,
    boxes: Boxes,
    labels: NDArray[np.int32],
    classes: Sequence[str],
) -> None:
    """Write a picture's objects as an annotation file.

    Args:
        path: of the file.
        filename: of the picture.
        size: (height, width) of the picture.
        boxes: (N, 4) xyxy in its pixels; written in VOC's corners, which count pixels from 1.
        labels: (N,) indices into the classes.
        classes: names.

    Raises:
        AnnotationError: the file cannot be written.
    """
    root = Element("annotation")
    SubElement(root, "filename").text = filename
    add_numbers(SubElement(root, "size"), width=size[1], height=size[0], depth=3)
    for (x1, y1, x2, y2), label in zip(boxes.tolist(), labels.tolist(), strict=True):
        item = SubElement(root, "object")
        SubElement(item, "name").text = classes[label]
        SubElement(item, "difficult").text = "0"
        add_numbers(SubElement(item, "bndbox"), xmin=x1 + 1, ymin=y1 + 1, xmax=x2, ymax=y2)
    indent(root)
    tree = ElementTree(root)
    write_whole(path, lambda temporary: tree.write(temporary, encoding="utf-8"), error=AnnotationError)


def add_numbers(element: Element, **numbers: float) -> None:
    for tag, number in numbers.items():
        # As many digits as bring a float32 back exactly; whole numbers without a point.
        SubElement(element, tag).text = f"{number:.15g}"
