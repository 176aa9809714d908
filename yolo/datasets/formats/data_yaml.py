"""Dataset descriptions: ``data.yaml`` (Ultralytics' "Object detection datasets overview").

    path: folder of the dataset, relative to this file or to the working folder
    train, val, test: a folder of images in `path`, a .txt that lists them, or a list of these; or a COCO .json
    names: a list, a mapping from 0, 1, ..., or the name of a file with a class a line
    kpt_shape: [17, 3]          # rows have that many keypoints of that many numbers; []: rows of many are outlines
    format: voc                 # only here: `path` is a VOC folder
    images: folder              # only here: the images of COCO files, if they are not beside them

Other keys are ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

from yolo.datasets.annotations.columns import check_classes
from yolo.datasets.formats.class_lists import find_class_list, read_class_list
from yolo.datasets.formats.yolo_pictures import folder_tails
from yolo.errors import AnnotationError
from yolo.files.atomic import exists, is_file, is_folder
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


def class_list(path: Path, content: Mapping[str, Any], given: Sequence[str] | None = None) -> tuple[str, ...]:
    """Class names of a description; if it has none, those given, or those of a list beside it.

    Raises:
        AnnotationError: the names are missing or repeated, or their number is not ``nc``.
    """
    names = content.get("names")
    if isinstance(names, dict):
        names = in_order(path, names)
    elif isinstance(names, str):
        names = listed_names(path, content, names)
    elif names is None:
        file = find_class_list(path.parent) if given is None else None
        names = given if file is None else read_class_list(file)
    if not isinstance(names, list | tuple):
        raise AnnotationError(
            f"{path}: names: expected the list of class names, got {quoted(names)}; write names: [cat, dog]"
        )
    for index, name in enumerate(names):
        if not isinstance(name, str | int | float) or isinstance(name, bool):
            # YAML reads yes, no and null as values.
            raise AnnotationError(f"{path}: names: class {index}: {quoted(name)} is no text; put it in quotes")
    if content.get("nc") not in (None, len(names)):
        raise AnnotationError(f"{path}: nc is {quoted(content['nc'])}, but names has {len(names)}; mend one")
    return check_classes(names, place=f"{path}: names")


def in_order(path: Path, names: Mapping[Any, Any]) -> list[Any]:
    """Names of a mapping from 0, 1, ...

    Raises:
        AnnotationError: a number is missing.
    """
    numbered = {str(key): name for key, name in names.items()}
    missing = [str(index) for index in range(len(names)) if str(index) not in numbered]
    if missing:
        raise AnnotationError(f"{path}: names: class {missing[0]} is missing; number them from 0")
    return [numbered[str(index)] for index in range(len(names))]


def listed_names(path: Path, content: Mapping[str, Any], entry: str) -> object:
    """Names in the file that ``names`` says; the entry itself if there is no such file."""
    file = next((place for place in possible_places(path, content, entry) if is_file(place)), None)
    return entry if file is None else read_class_list(file)


def keypoint_shape(path: Path, content: Mapping[str, Any]) -> tuple[int, ...] | None:
    """Entry ``kpt_shape`` of a description: number of keypoints and of values of each; empty: none; None: unknown.

    Raises:
        AnnotationError: it is something else.
    """
    if "kpt_shape" not in content:
        return None
    shape = content["kpt_shape"] or []
    fits = isinstance(shape, list) and all(type(each) is int for each in shape)
    if not fits or (shape and not (len(shape) == 2 and 0 < shape[0] < 10_000 and shape[1] in (2, 3))):
        raise AnnotationError(f"{path}: kpt_shape: expected [keypoints, 2 or 3], got {quoted(shape)}")
    return tuple(shape)


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
        check_escapes(path, key, entry)
        given = given_path(path, content)
        below = f", nor in {quoted(given, 200)} (path)" if given != "." else ""
        raise AnnotationError(f"{path}: {key}: there is no {quoted(entry, 200)} beside this file{below}")
    return place


def check_escapes(path: Path, key: str, entry: str) -> None:
    """Refuse a path with characters that YAML makes of backslashes in double quotes.

    Raises:
        AnnotationError: it has one.
    """
    for character, escape, name in (
        ("\t", "\\t", "a tab"),
        ("\n", "\\n", "a line break"),
        ("\b", "\\b", "a control code"),
    ):
        if character in entry:
            raise AnnotationError(
                f"{path}: {key}: {quoted(entry, 200)} has {name}, as YAML reads {escape} in double quotes; "
                "write / in place of \\, or use single quotes"
            )


def possible_places(path: Path, content: Mapping[str, Any], entry: str) -> Iterator[Path]:
    """Places where an entry may lie, best first."""
    given = PureWindowsPath(given_path(path, content)).as_posix()
    # A `path` that does not exist was often written on another machine: try its end, and the file's own folder too.
    bases = [path.parent / given, Path(given), *(path.parent / tail for tail in folder_tails(given)), path.parent]
    forms = dict.fromkeys((entry, PureWindowsPath(entry).as_posix()))
    for base in bases:
        for form in forms:
            yield base / form
            # Roboflow's exports say ../train/images for train/images beside the file; people also write /images.
            yield base / without_parents(form)
    for form in forms:
        yield from (base / tail for tail in folder_tails(form) for base in bases)


def without_parents(entry: str) -> str:
    while entry.startswith(("../", "/")):
        entry = entry.removeprefix("..").removeprefix("/")
    return entry
