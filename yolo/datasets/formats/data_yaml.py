"""Dataset descriptions: ``data.yaml`` (Ultralytics' "Object detection datasets overview").

    path: folder of the dataset, relative to this file or to the working folder
    train, val, test: a folder of images in `path`, a .txt that lists them, or a list of these; or a COCO .json
    names: a list, or a mapping from 0, 1, ...
    format: voc                 # only here: `path` is a VOC folder
    images: folder              # only here: the images of COCO files, if they are not beside them

Other keys are ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

from yolo.datasets.annotations.columns import check_classes
from yolo.errors import AnnotationError
from yolo.files.atomic import exists, is_folder
from yolo.files.quoted import quoted
from yolo.files.yaml_file import read_yaml


def read_description(path: Path) -> dict[str, Any]:
    """Read a dataset description.

    Raises:
        AnnotationError: the file is missing, malformed, or not a mapping.
    """
    content = read_yaml(path, AnnotationError)
    if not isinstance(content, dict):
        raise AnnotationError(f"{path}: expected a mapping with names, train and val")
    return content


def class_list(path: Path, content: Mapping[str, Any]) -> tuple[str, ...]:
    """Class names of a description.

    Raises:
        AnnotationError: the names are missing or repeated, or their number is not ``nc``.
    """
    names = content.get("names")
    if isinstance(names, dict):
        numbered = {str(key): name for key, name in names.items()}
        missing = [str(index) for index in range(len(names)) if str(index) not in numbered]
        if missing:
            raise AnnotationError(f"{path}: names: class {missing[0]} is missing; number them from 0")
        names = [numbered[str(index)] for index in range(len(names))]
    if not isinstance(names, list):
        raise AnnotationError(f"{path}: names: expected the list of class names, got {quoted(names)}")
    for index, name in enumerate(names):
        if not isinstance(name, str | int | float) or isinstance(name, bool):
            # YAML reads yes, no and null as values.
            raise AnnotationError(f"{path}: names: class {index}: {quoted(name)} is no text; put it in quotes")
    if content.get("nc") not in (None, len(names)):
        raise AnnotationError(f"{path}: nc is {quoted(content['nc'])}, but names has {len(names)}; mend one")
    return check_classes(names, place=f"{path}: names")


def given_path(path: Path, content: Mapping[str, Any]) -> str:
    """Entry ``path`` of a description, ``.`` if there is none.

    Raises:
        AnnotationError: the entry is not text.
    """
    given = content.get("path") or "."
    if not isinstance(given, str | int | float):  # a folder may be called 2012
        raise AnnotationError(f"{path}: path: expected a folder, got {quoted(given)}")
    return str(given)


def base_folder(path: Path, content: Mapping[str, Any]) -> Path:
    """Folder that entries are relative to: ``path``, itself relative to the description or to the working folder.

    Raises:
        AnnotationError: there is no such folder.
    """
    given = given_path(path, content)
    bases = [base for base in (path.parent / given, Path(given)) if is_folder(base)]
    if not bases:
        raise AnnotationError(f"{path}: path: there is no folder {quoted(given, 200)} beside this file or here")
    return bases[0]


def resolve(path: Path, content: Mapping[str, Any], key: str, entry: Any) -> Path:
    """Find the folder or file that a description names under ``key``.

    Raises:
        AnnotationError: it does not exist.
    """
    if not isinstance(entry, str):
        raise AnnotationError(f"{path}: {key}: expected a folder or a file, got {quoted(entry)}")
    place = next((place for place in possible_places(path, content, entry) if exists(place)), None)
    if place is None:
        given = given_path(path, content)
        below = f", nor in {quoted(given, 200)} (path)" if given != "." else ""
        raise AnnotationError(f"{path}: {key}: there is no {quoted(entry, 200)} beside this file{below}")
    return place


def possible_places(path: Path, content: Mapping[str, Any], entry: str) -> Iterator[Path]:
    """Places where an entry may lie, best first."""
    given = given_path(path, content)
    # A `path` that does not exist was often written on another machine: try the file's own folder too.
    for base in (path.parent / given, Path(given), path.parent):
        for form in (entry, PureWindowsPath(entry).as_posix()):
            yield base / form
            # Roboflow's exports say ../train/images for train/images beside the file.
            yield base / without_parents(form)


def without_parents(entry: str) -> str:
    while entry.startswith("../"):
        entry = entry.removeprefix("../")
    return entry
