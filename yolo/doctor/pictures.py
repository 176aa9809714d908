"""Checks of images: unreadable, of other sizes than annotated, turned, not RGB, extreme, without boxes, not listed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from yolo.doctor.findings import Finding, Parts, Spot, finding
from yolo.doctor.scan import Scan
from yolo.images.suffixes import SUFFIXES
from yolo.structs import Dataset

logger = logging.getLogger(__name__)

MANY_EMPTY = 0.5
"""Fraction of images without boxes above which labels are probably missing."""
SMALL, LARGE = 32, 8000
"""Sides in pixels beyond which an image is very small or very large."""
LONG = 5.0
"""Ratio of an image's sides above which it is very long."""
PLAIN = ("", "RGB")
"""Colour modes that are not worth a note."""


def picture_findings(parts: Parts, scans: Mapping[str | None, Scan]) -> list[Finding]:
    """Findings about the image files of all parts."""
    spots: dict[str, list[Spot]] = {
        name: [] for name in ("unreadable", "wrong_size", "colour_mode", "rotated", "extreme_picture")
    }
    for split, part in parts.items():
        for index in range(len(part)):
            for name, detail in picture_faults(part, scans[split], index):
                spots[name].append(Spot(str(part.path(index)), "", split, detail))
    return [each for name, found in spots.items() for each in finding(name, found)]


def picture_faults(part: Dataset, scan: Scan, index: int) -> list[tuple[str, str]]:
    """Kind and detail of everything to say about image ``index``."""
    if index in scan.faults:
        reason = scan.faults[index].removeprefix(f"{part.path(index)}: ")
        return [("unreadable", reason)]
    found = []
    annotated, stored, shown = ((int(y), int(x)) for y, x in (part.sizes[index], scan.stored[index], scan.shown[index]))
    if all(stored) and annotated not in (stored, shown):
        found.append(("wrong_size", f"annotated {across(annotated)}, the picture has {across(shown)}"))
    if scan.modes[index] not in PLAIN:
        found.append(("colour_mode", colour(scan.modes[index])))
    if scan.orientation[index] != 1:
        found.append(("rotated", frame(int(scan.orientation[index]), annotated, stored, shown)))
    if all(stored) and (min(stored) < SMALL or max(stored) > LARGE or max(stored) > LONG * min(stored)):
        found.append(("extreme_picture", across(stored)))
    return found


def across(size: tuple[int, int]) -> str:
    """Width x height, as image programs give it."""
    return f"{size[1]} x {size[0]}"


def colour(mode: str) -> str:
    """Name of a colour mode of Pillow's."""
    base, comma, depth = mode.partition(",")
    names = {"L": "grey", "1": "black and white", "P": "palette", "RGBA": "alpha", "LA": "grey and alpha"}
    plain = "grey, 16 bit" if base.startswith("I;16") else names.get(base, base)
    return plain if "16 bit" in plain else plain + comma + depth


def frame(orientation: int, annotated: tuple[int, int], stored: tuple[int, int], shown: tuple[int, int]) -> str:
    """Description of an EXIF orientation, and of the frame that the boxes are in."""
    if stored == shown:
        return f"EXIF orientation {orientation}, applied; whether its boxes were drawn so is not to be seen"
    if annotated == stored:
        return f"EXIF orientation {orientation}, not applied: its boxes are in the frame as stored"
    return f"EXIF orientation {orientation}, applied: its boxes are in the turned frame"


def empty_findings(parts: Parts) -> list[Finding]:
    """Findings about images without boxes."""
    spots = [
        Spot(str(part.path(index)), "", split)
        for split, part in parts.items()
        for index in np.flatnonzero(part.box_counts == 0).tolist()
    ]
    total = sum(map(len, parts.values()))
    return finding("mostly_empty" if len(spots) > MANY_EMPTY * total else "no_boxes", spots)


def unlisted_findings(parts: Parts) -> list[Finding]:
    """Findings about images that lie beside a dataset's but are not in it."""
    known = {str(part.path(index)) for part in parts.values() if part.store is None for index in range(len(part))}
    folders = sorted({str(Path(file).parent) for file in known})
    known |= {file for part in parts.values() for file in part.left_out}
    spots = [Spot(str(file)) for folder in folders for file in pictures_in(Path(folder)) if str(file) not in known]
    return finding("unlisted", spots)


def pictures_in(folder: Path) -> list[Path]:
    """Image files directly in a folder, sorted; none if it cannot be read."""
    try:
        return sorted(
            file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
        )
    except OSError as error:
        logger.warning("%s: cannot be read (%s)", folder, error.strerror)
        return []
