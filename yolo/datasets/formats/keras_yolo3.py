"""Lists as keras-yolo3 has them: ``path x1,y1,x2,y2,class x1,y1,x2,y2,class ...``, an image a line, corners in pixels.

Roboflow's "YOLO Keras" export has one as ``_annotations.txt`` beside ``_classes.txt``.
"""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

from yolo.datasets.annotations.columns import Columns
from yolo.datasets.annotations.joining import concatenate
from yolo.datasets.annotations.left_out import LeftOut
from yolo.datasets.annotations.pictures import PictureFinder
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.records import Object, Record, to_columns
from yolo.datasets.annotations.source import PLAIN, Format, ReadOptions, Source
from yolo.datasets.annotations.splits import SPLITS
from yolo.datasets.annotations.text_files import LARGEST_ANNOTATION, LARGEST_LIST, read_lines
from yolo.datasets.formats.class_lists import needed_names
from yolo.datasets.formats.yolo_folder import SPLIT_LIST, first_lines
from yolo.errors import AnnotationError
from yolo.images.suffixes import SUFFIXES

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
BOXES = re.compile(rf"(?:\s+{NUMBER}(?:,{NUMBER}){{4}})+$")
"""Boxes at the end of a line; what stands before is the path, blanks included."""
MOST_TEXTS = 50
"""Number of ``.txt`` files in a folder above which only those named after splits are looked into."""
LINES_SEEN = 20
"""Number of lines at the beginning of a file among which one has to have boxes."""
TOTAL = 8 * LARGEST_ANNOTATION
"""Limit of a list in bytes."""


def recognise(place: Place) -> Source | None:
    """Recognise a list, or a folder with lists of which the names say the split."""
    texts = place.with_suffix(".txt")
    if len(texts) > MOST_TEXTS:  # labels of single images
        texts = [file for file in texts if SPLIT_LIST.fullmatch(file.stem)]
    files = [file for file in texts if is_list(file)]
    if not files:
        return None
    splits: dict[str, Path] = {}
    for file in files:
        match = SPLIT_LIST.fullmatch(file.stem)
        if match and place.is_folder:
            splits.setdefault(match[1].lower(), file)
    splits = {name: splits[name] for name in SPLITS if name in splits}
    if not splits and len(files) > 1:
        names = ", ".join(file.name for file in files[:20])
        raise AnnotationError(f"{place.path}: it has several lists: {names}; give one of them as DATA")
    folder = place.path if place.is_folder else place.path.parent
    chosen = splits or {"": files[0]}

    def read(split: str | None, options: ReadOptions) -> Columns:
        parts = [read_list(file, folder, options) for name, file in chosen.items() if split in (None, name)]
        return parts[0] if len(parts) == 1 else concatenate(parts, folder=folder, classes=tuple(parts[0].names))

    return Source("keras-yolo3", tuple(splits), read)


def is_list(file: Path) -> bool:
    """Whether one of the first lines is an image's path with boxes."""
    return any(BOXES.search(line) and is_picture(BOXES.sub("", line)) for line in islice(first_lines(file), LINES_SEEN))


def is_picture(path: str) -> bool:
    return Path(path.replace("\\", "/")).suffix.lower() in SUFFIXES


def read_list(file: Path, folder: Path, options: ReadOptions) -> Columns:
    """Read the images and boxes of a list.

    Raises:
        AnnotationError: something is missing or malformed.
    """
    names = needed_names(
        folder, options.names, f"{file}: no list of classes beside it: add a classes.txt or give their names (--names)"
    )
    left_out, records = LeftOut(), []
    for number, line in read_lines(file, limit=min(TOTAL, LARGEST_LIST)):
        try:
            records.append(read_line(f"{file}:{number}", line, names))
        except AnnotationError as error:
            left_out.add(f"{file}:{number}", error)
    given = [] if options.images is None else [options.images]
    finder = PictureFinder([*given, folder])
    return to_columns(records, finder, folder=folder, name=str(file), options=options, classes=names, left_out=left_out)


def read_line(place: str, line: str, names: tuple[str, ...]) -> Record:
    """Read the image of a line.

    Raises:
        AnnotationError: the line is malformed, or a class is not in the list.
    """
    found = BOXES.search(line)
    picture = line if found is None else line[: found.start()]
    if not is_picture(picture):
        raise AnnotationError(f"{place}: expected a picture and its boxes as x1,y1,x2,y2,class, got {line!r:.80}")
    record = Record(place, picture)
    for index, group in enumerate(found.group().split() if found else []):
        *corners, label = map(float, group.split(","))
        if not (label.is_integer() and 0 <= label < len(names)):
            raise AnnotationError(
                f"{place}: class {group.split(',')[-1]:.40} is not in names (0 to {len(names) - 1}); mend one of them"
            )
        x1, y1, x2, y2 = corners
        record.objects.append(Object(names[int(label)], (x1, y1, x2, y2), f"box {index + 1}"))
    return record


FORMAT = Format("keras-yolo3", PLAIN, recognise)
