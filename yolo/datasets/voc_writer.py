"""Writes VOC annotation files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

import numpy as np
from numpy.typing import NDArray

from yolo.structs import Boxes


def write_voc_annotation(
    path: str | Path,
    filename: str,
    size: tuple[int, int],
    boxes: Boxes,
    labels: NDArray[np.int32],
    classes: Sequence[str],
) -> None:
    """Write the boxes (N, 4) xyxy of a picture of (height, width) as VOC's corners, which count from 1."""
    root = Element("annotation")
    SubElement(root, "filename").text = filename
    dimensions = SubElement(root, "size")
    for tag, value in zip(("width", "height", "depth"), (size[1], size[0], 3), strict=True):
        SubElement(dimensions, tag).text = str(value)
    for box, label in zip(boxes, labels, strict=True):
        item = SubElement(root, "object")
        SubElement(item, "name").text = classes[label]
        SubElement(item, "difficult").text = "0"
        corners = SubElement(item, "bndbox")
        for tag, side, shift in zip(("xmin", "ymin", "xmax", "ymax"), box, (1, 1, 0, 0), strict=True):
            SubElement(corners, tag).text = f"{float(side) + shift:g}"
    indent(root)
    ElementTree(root).write(path, encoding="utf-8")
