"""Elements of CVAT's XML, read one at a time: labels, images with their shapes, and tracks of a video."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from yolo.datasets.annotations.part_files import Reading
from yolo.datasets.annotations.records import Object
from yolo.datasets.annotations.repair import NAMELESS, NO_AREA_SHAPES, OUTLINED, ROTATED
from yolo.errors import AnnotationError
from yolo.files.bounded import MIB, in_units, open_file, open_or_fault
from yolo.files.quoted import quoted
from yolo.structs import Size

LARGEST_XML = 8192 * MIB
"""Largest size of a file in bytes; only one image or track of it is in memory at a time."""
GLANCE = 65536
ROOT = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*\?>\s*)?(?:<!--.*?-->\s*)*<annotations[\s>]", re.DOTALL)
CONTENT = (b"<image ", b"<track ", b"<meta>", b"<version>")

Corners = tuple[float, float, float, float]


class Labels(NamedTuple):
    """Description at the top of a file."""

    names: list[str]
    size: Size | None
    """Height and width of a video's frames."""
    length: int | None
    """Number of images or frames."""


def is_cvat(path: Path) -> bool:
    """Whether a file is CVAT's XML, by its root and what is in it."""
    head = read_head(path)
    return ROOT.match(head) is not None and any(tag in head for tag in CONTENT)


def read_head(path: Path) -> bytes:
    try:
        with open_file(path) as file:
            return file.read(GLANCE)
    except OSError:
        return b""


def read_elements(path: Path) -> Iterator[Element]:
    """Elements directly below the root of an XML file, each dropped when the next is asked for.

    Raises:
        AnnotationError: the file cannot be read, is too large, or is not XML.
    """
    with open_or_fault(path, AnnotationError) as file:
        if (size := path.stat().st_size) > LARGEST_XML:
            raise AnnotationError(f"{path}: {in_units(size)}; an XML file may have {in_units(LARGEST_XML)} at most")
        depth, root = 0, None
        try:
            for event, element in iterparse(file, events=("start", "end")):
                depth += 1 if event == "start" else -1
                root = element if root is None else root
                if event == "end" and depth == 1:
                    yield element
                    root.clear()
        except ParseError as error:
            line, column = error.position
            problem = str(error).partition(":")[0]
            raise AnnotationError(
                f"{path}:{line}:{column + 1}: not valid XML ({problem}); mend or export the file again"
            ) from error
        except DefusedXmlException as error:
            raise AnnotationError(f"{path}: defines entities or refers to other files; remove that") from error
        except (ValueError, LookupError) as error:  # from text in the encoding that the file declares
            raise AnnotationError(f"{path}: not valid XML ({error!s:.80}); export the file again") from error


def read_labels(meta: Element) -> Labels:
    """Read the labels that shapes may have, without those of a skeleton's points."""
    entries = [each for labels in meta.iter("labels") for each in labels.iterfind("label")]
    names = [
        (each.findtext("name") or "").strip()
        for each in entries
        if each.find("parent") is None and each.findtext("type") not in ("tag", "points")
    ]
    tags = ("original_size/height", "original_size/width", "size")
    height, width, length = (to_count(meta.findtext(f".//{tag}")) for tag in tags)
    size = None if height is None or width is None else (height, width)
    return Labels(list(dict.fromkeys(filter(None, names))), size, length)


def to_count(text: str | None) -> int | None:
    try:
        count = int(float(text or ""))
    except (ValueError, OverflowError):
        return None
    return count if count > 0 else None


def read_shape(element: Element, name: str, place: str, file: str, reading: Reading) -> Object | None:
    """Read the object of a shape; None if it has no box or cannot be used, which is counted or left out.

    Args:
        element: the shape.
        name: its label.
        place: entry in the file.
        file: the file, for messages.
        reading: what the faults are added to.
    """
    where = f"{file}: {place}"
    try:
        found = bounds(element)
    except ValueError as error:
        reading.left_out.add(where, f"{where}: {element.tag}: {error!s:.80}")
        return None
    if found is None:
        if element.tag == "points":
            reading.repairs.add(NO_AREA_SHAPES, where)
        return None
    if not name:
        reading.repairs.add(NAMELESS, where)
        return None
    if element.tag not in ("box", "mask"):
        reading.repairs.add(OUTLINED, where)
    elif element.tag == "box" and turn_of(element):
        reading.repairs.add(ROTATED, where)
    return Object(name, found, place)


def bounds(element: Element) -> Corners | None:
    """Bounding box of a shape; None for what has none: points and tags.

    Raises:
        ValueError: a coordinate is missing or no number.
    """
    shape = SHAPES.get(element.tag)
    return None if shape is None else shape(element)


def box_bounds(element: Element) -> Corners:
    x1, y1, x2, y2 = (number(element, side) for side in ("xtl", "ytl", "xbr", "ybr"))
    turn = turn_of(element)
    return turned(x1, y1, x2, y2, turn) if turn else (x1, y1, x2, y2)


def ellipse_bounds(element: Element) -> Corners:
    x, y, across, down = (number(element, each) for each in ("cx", "cy", "rx", "ry"))
    turn = math.radians(turn_of(element))
    half_width = math.hypot(across * math.cos(turn), down * math.sin(turn))
    half_height = math.hypot(across * math.sin(turn), down * math.cos(turn))
    return x - half_width, y - half_height, x + half_width, y + half_height


def mask_bounds(element: Element) -> Corners:
    left, top, width, height = (number(element, each) for each in ("left", "top", "width", "height"))
    return left, top, left + width, top + height


def cuboid_bounds(element: Element) -> Corners:
    corners = [end + side + face for end in "tb" for side in "lr" for face in "12"]
    return around([(number(element, f"x{each}"), number(element, f"y{each}")) for each in corners])


def skeleton_bounds(element: Element) -> Corners:
    seen = [each for each in element.iterfind("points") if each.get("outside") != "1"]
    return around([point for each in seen for point in read_points(each)])


def number(element: Element, name: str) -> float:
    text = element.get(name)
    try:
        return float(text or "")
    except ValueError:
        raise ValueError(f"{name}: expected a number, got {'nothing' if text is None else quoted(text)}") from None


def turn_of(element: Element) -> float:
    """Rotation in degrees, clockwise."""
    turn = number(element, "rotation") if element.get("rotation") else 0.0
    if not math.isfinite(turn):
        raise ValueError(f"rotation: expected a number of degrees, got {turn}")
    return turn


def turned(x1: float, y1: float, x2: float, y2: float, degrees: float) -> Corners:
    """Bounding box of a box that is turned about its centre."""
    x, y, width, height = (x1 + x2) / 2, (y1 + y2) / 2, abs(x2 - x1), abs(y2 - y1)
    cosine, sine = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    half_width, half_height = (width * cosine + height * sine) / 2, (width * sine + height * cosine) / 2
    return x - half_width, y - half_height, x + half_width, y + half_height


def read_points(element: Element) -> list[tuple[float, float]]:
    """Read corners such as ``1.0,2.0;3.0,4.0``."""
    text = element.get("points") or ""
    try:
        pairs = [tuple(map(float, pair.split(","))) for pair in text.split(";") if pair.strip()]
        return [(x, y) for x, y in pairs]
    except ValueError:
        raise ValueError(f"points: expected x,y;x,y;..., got {quoted(text)}") from None


def around(points: Sequence[tuple[float, float]]) -> Corners:
    if not points:
        raise ValueError("it has no points")
    across, down = [x for x, _ in points], [y for _, y in points]
    if not all(map(math.isfinite, (*across, *down))):  # min and max would not see every NaN
        return math.nan, math.nan, math.nan, math.nan
    return min(across), min(down), max(across), max(down)


SHAPES: dict[str, Callable[[Element], Corners]] = {
    "box": box_bounds,
    "polygon": lambda element: around(read_points(element)),
    "polyline": lambda element: around(read_points(element)),
    "ellipse": ellipse_bounds,
    "mask": mask_bounds,
    "cuboid": cuboid_bounds,
    "skeleton": skeleton_bounds,
}
"""Functions that give the bounding box of a shape, by its tag."""
