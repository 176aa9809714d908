"""Darknet's ``.data`` files (``obj.data``), which CVAT's "YOLO 1.1" has too.

classes = 2
train = data/train.txt      # a list of images, relative to some folder around it
valid = data/valid.txt
names = data/obj.names      # a class a line
"""

from __future__ import annotations

from pathlib import Path

from yolo.datasets.annotations.columns import Columns
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.source import DESCRIBED, Format, ReadOptions, Source
from yolo.datasets.annotations.splits import SPLITS
from yolo.datasets.annotations.text_files import read_lines
from yolo.datasets.formats.class_lists import needed_names, read_class_list
from yolo.datasets.formats.yolo_pictures import PictureList, first_existing
from yolo.datasets.formats.yolo_txt import YoloSet, new_pictures, read_yolo
from yolo.errors import AnnotationError
from yolo.files.atomic import is_folder
from yolo.files.quoted import quoted

USUAL = "obj.data"
KEYS = frozenset({"names", "classes", *SPLITS})


def recognise(place: Place) -> Source | None:
    """Recognise a ``.data`` file, or a folder with one."""
    files = [file for file in place.with_suffix(".data") if KEYS & read_settings(file).keys()]
    chosen = files[0] if len(files) == 1 else next((each for each in files if each.name.lower() == USUAL), None)
    if chosen is None:
        return None
    settings = read_settings(chosen)
    splits = tuple(name for name in SPLITS if settings.get(name))
    if not splits:
        raise AnnotationError(f"{chosen}: it names no pictures; give train = and valid =")
    return Source("Darknet", splits, lambda split, options: read_darknet(chosen, split, options))


def near_miss(place: Place) -> str | None:
    """Name the files of a folder that has several."""
    files = place.with_suffix(".data") if place.is_folder else []
    if len(files) < 2:
        return None
    return f"{place.path}: it has several .data files: {', '.join(each.name for each in files[:20])}; give one as DATA"


def read_settings(path: Path) -> dict[str, str]:
    """Settings ``key = value`` of a ``.data`` file; empty if it is something else."""
    try:
        lines = read_lines(path)
    except AnnotationError:
        return {}
    pairs = (line.partition("=")[::2] for _, line in lines if not line.startswith("#") and "=" in line)
    return {key.strip().lower(): value.strip() for key, value in pairs}


def read_darknet(path: Path, split: str | None, options: ReadOptions) -> Columns:
    """Read a split of the dataset, or all of it (None).

    Raises:
        AnnotationError: something is missing or malformed.
    """
    settings = read_settings(path)
    source = YoloSet(name=str(path), folder=path.parent, names=class_names(path, settings, options))
    pictures = new_pictures(base_folders(path), options)
    splits = [name for name in SPLITS if settings.get(name)]
    for name in splits if split is None else [split]:
        add_split(path, settings, name, pictures)
    return read_yolo(source, pictures, options, split)


def add_split(path: Path, settings: dict[str, str], split: str, pictures: PictureList) -> None:
    """Add the images of a split to a list.

    Raises:
        AnnotationError: there are none.
    """
    place = first_existing(base_folders(path), settings[split])
    if place is None:
        raise AnnotationError(f"{path}: {split}: there is no {quoted(settings[split], 200)} beside this file or above")
    if not (pictures.add_folder(place) if is_folder(place) else pictures.add_list(place)):
        raise AnnotationError(f"{path}: {split}: there are no pictures in {place}")


def class_names(path: Path, settings: dict[str, str], options: ReadOptions) -> tuple[str, ...]:
    """Class names of the file that ``names`` says, else of a list beside.

    Raises:
        AnnotationError: there is none, or it has another number of names than ``classes``.
    """
    file = first_existing(base_folders(path), settings["names"]) if settings.get("names") else None
    if file is None:
        missing = f"there is no {quoted(settings['names'], 200)}" if settings.get("names") else "not given"
        return needed_names(path.parent, options.names, f"{path}: names: {missing}; add the list or give --names")
    names = read_class_list(file)
    if settings.get("classes", str(len(names))) != str(len(names)):
        raise AnnotationError(
            f"{path}: classes is {quoted(settings['classes'])}, but {file} has {len(names)} names; mend one"
        )
    return names


def base_folders(path: Path) -> list[Path]:
    """Folders that entries may be relative to: Darknet's is the one it was started in, somewhere above."""
    folder = path.parent
    return [folder, folder / "..", folder / ".." / "..", Path()]


FORMAT = Format("Darknet", DESCRIBED, recognise, near_miss)
