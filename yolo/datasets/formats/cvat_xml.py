"""CVAT's own XML, "CVAT for images 1.1" and "CVAT for video 1.1" (docs.cvat.ai, "XML annotation format").

``annotations.xml`` with an ``<image>`` per image, or with ``<track>`` elements whose shapes have the number of a frame,
and the images in ``images/``. Corners are continuous pixels. A rotated box gives its bounding box, as do polygons,
polylines, ellipses, cuboids and skeletons; points and tags are passed over. ``subset`` says the split. A file is read
element by element: that of a long video would not fit into memory.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

from yolo.datasets.annotations.part_files import Part, Reading, annotation_files, file_source, part_source
from yolo.datasets.annotations.pictures import PictureFinder
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.records import Object, Record
from yolo.datasets.annotations.source import FOLDERS, Format, Source
from yolo.datasets.annotations.splits import split_in_name
from yolo.datasets.formats.cvat_elements import (
    Labels,
    is_cvat,
    read_elements,
    read_head,
    read_labels,
    read_shape,
    to_count,
)
from yolo.errors import AnnotationError
from yolo.files.bounded import open_or_fault

LONGEST_LINE = 2**20
SUBSET = re.compile(rb'<image\s[^>]*?\bsubset="([^"]*)"')
FRAME = re.compile(r"frame_?(\d{1,9})", re.IGNORECASE)
"""Names that CVAT gives the frames of a video."""


def read_file(path: Path, reading: Reading, subset: str | None = None) -> list[Record]:
    """Read the records of one file, or those of the images of a subset.

    Raises:
        AnnotationError: the file cannot be read or is not XML.
    """
    records, labels = [], Labels([], None, None)
    frames: dict[int, list[Object]] = {}
    tasks = set()
    for index, element in enumerate(read_elements(path)):
        if element.tag == "meta":
            labels = read_labels(element)
        elif element.tag == "image" and subset in (None, subset_name(element.get("subset", ""))):
            records.append(read_image(path, element, reading))
        elif element.tag == "track":
            tasks.add(element.get("task_id"))
            read_track(path, f"track {element.get('id', index)}", element, frames, reading)
    if len(tasks) > 1:
        raise AnnotationError(f"{path}: tracks of {len(tasks)} tasks, whose frames have the same numbers; export each")
    return records if records or not frames else frame_records(path, labels, frames, reading.finder)


def read_image(path: Path, element: Element, reading: Reading) -> Record:
    name = element.get("name", "").strip()
    place = f"{path}: image {element.get('id', '')} {name}".rstrip()
    height, width = to_count(element.get("height")), to_count(element.get("width"))
    record = Record(place, name, None if height is None or width is None else (height, width))
    for number, shape in enumerate(element, start=1):
        found = read_shape(shape, shape.get("label", "").strip(), f"shape {number}", place, reading)
        if found is not None:
            record.objects.append(found)
    return record


def read_track(path: Path, place: str, track: Element, frames: dict[int, list[Object]], reading: Reading) -> None:
    """Read the shapes of a track into those of their frames; where the object is outside of the image there is none."""
    name = track.get("label", "").strip()
    for shape in track:
        frame = shape.get("frame", "")
        if shape.get("outside") == "1" or not frame.isdecimal() or len(frame) > 9:
            continue
        objects = frames.setdefault(int(frame), [])
        found = read_shape(shape, name, place, f"{path}: frame {frame}", reading)
        if found is not None:
            objects.append(found)


def frame_records(path: Path, labels: Labels, frames: dict[int, list[Object]], finder: PictureFinder) -> list[Record]:
    """Records of a video's frames, those without objects included if their images are there."""
    pictures = frame_pictures(finder, labels.length)
    names = {number: str(file) for number, file in pictures.items()}
    return [
        Record(
            f"{path}: frame {number}",
            names.get(number, f"frame_{number:06d}"),
            labels.size,
            frames.get(number, []),
            file=str(path),
        )
        for number in sorted({*frames, *names})
    ]


def frame_pictures(finder: PictureFinder, length: int | None) -> dict[int, Path]:
    """Images of frames by number: by CVAT's names; else all in their order, if they are as many as the frames."""
    alone = (list(PictureFinder([folder]).pictures) for folder in finder.folders)
    files = next(filter(None, alone), [])
    numbered = {int(found[1]): file for file in files if (found := FRAME.fullmatch(file.stem))}
    if numbered:
        return numbered
    return dict(enumerate(sorted(files))) if len(files) == length else {}


def find_labels(files: Sequence[Path]) -> list[str]:
    """Labels in the files' descriptions, in their order."""
    names: list[str] = []
    for file in files:
        meta = next((each for each in read_elements(file) if each.tag in ("meta", "image", "track")), None)
        names += read_labels(meta).names if meta is not None and meta.tag == "meta" else []
    return list(dict.fromkeys(names))


def subset_name(name: str) -> str:
    """Name of the split that a subset is, such as train for Train."""
    return split_in_name(name) or name.strip()


def find_subsets(path: Path) -> list[str]:
    """Names of the subsets of a file's images; empty if they are not divided, or all of one that is no split."""
    head = read_head(path)
    if b"<image " in head and b'subset="' not in head:
        return []
    found: dict[bytes, None] = {}
    with open_or_fault(path, AnnotationError) as file:
        for line in iter(lambda: file.readline(LONGEST_LINE), b""):
            if b"<image" in line:
                found |= dict.fromkeys(SUBSET.findall(line))
    names = list(dict.fromkeys(subset_name(name.decode("utf-8", "replace")) for name in found))
    return names if all(names) and (len(names) > 1 or any(map(split_in_name, names))) else []


def recognise(place: Place) -> Source | None:
    """Recognise an XML file of CVAT, or a folder with some."""
    files = annotation_files(place, is_cvat, ".xml")
    if not files:
        return None
    labels = find_labels(files)
    classes = (lambda: labels) if labels else None
    subsets = find_subsets(files[0]) if len(files) == 1 else []
    if not subsets:
        return file_source("CVAT XML", place, files, read_file, classes=classes)

    def part(subset: str) -> Part:
        return Part(files[0], lambda reading: read_file(files[0], reading, subset))

    return part_source("CVAT XML", place, {each: part(each) for each in subsets}, classes=classes)


FORMAT = Format("CVAT XML", FOLDERS, recognise)
"""The rank is that of VOC, whose reader must not see this XML first; the name brings it before VOC."""
