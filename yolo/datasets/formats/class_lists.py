"""Lists of class names that lie beside annotations which only number their classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from yolo.datasets.annotations.columns import check_classes
from yolo.datasets.annotations.json_file import read_json
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.text_files import read_lines
from yolo.errors import AnnotationError
from yolo.files.atomic import is_folder
from yolo.files.quoted import quoted
from yolo.files.yaml_file import read_yaml

LIST_NAMES = ("classes.txt", "_classes.txt", "obj.names", "predefined_classes.txt", "_darknet.labels", "labels.txt")
"""Names of lists with a class a line, best first; any other ``.names`` and ``*classes.txt`` file is one too."""
ENDS = (".names", "classes.txt")
LABEL_STUDIO = "notes.json"
"""Label Studio's file about a YOLO export, with its classes."""
BESIDE = ("labels", "data", "images", "obj_train_data", "model_data")
"""Folders in which programs put the list, besides the dataset's own."""


def find_class_list(folder: Path) -> Path | None:
    """File with the class names of a folder's dataset: in it, in the folder of its labels, or around it."""
    for place in places(folder):
        files = {file.name.lower(): file for file in place.files}
        named = [name for name in (*LIST_NAMES, *sorted(files)) if name in LIST_NAMES or name.endswith(ENDS)]
        found = next((files[name] for name in named if name in files), None) or files.get(LABEL_STUDIO)
        if found is not None:
            return found
    return None


def places(folder: Path) -> Iterator[Place]:
    """Folders that a dataset's list of classes may lie in, best first."""
    own = Place(folder)
    yield own
    for below in own.below(*BESIDE):
        yield below
        yield from below.places
    above = folder.parent if folder.name not in ("", "..") else folder.resolve().parent
    if is_folder(above):
        yield Place(above)


def read_class_list(path: Path) -> tuple[str, ...]:
    """Read the class names of a file: one a line, Label Studio's ``notes.json``, or a ``.yaml`` with ``names``.

    Raises:
        AnnotationError: it cannot be read, is empty, or has a name twice.
    """
    suffix = path.suffix.lower()
    if suffix == ".json":
        return check_classes(json_names(path, read_json(path)), place=str(path))
    if suffix in (".yaml", ".yml"):
        content = read_yaml(path, AnnotationError)
        names = content.get("names") if isinstance(content, dict) else None
        if not isinstance(names, list):
            raise AnnotationError(f"{path}: it has no list of names")
        return check_classes(names, place=str(path))
    return check_classes([line for _, line in read_lines(path)], place=str(path))


def json_names(path: Path, content: Any) -> list[str]:
    """Names of the ``categories`` in the order of their ids.

    Raises:
        AnnotationError: there are none.
    """
    categories = content.get("categories") if isinstance(content, dict) else None
    if not isinstance(categories, list) or not all(isinstance(each, dict) for each in categories):
        raise AnnotationError(f'{path}: it has no list "categories"')
    ids = [each.get("id") for each in categories]
    names = [each.get("name") for each in categories]
    if not all(isinstance(name, str) for name in names) or sorted(map(str, ids)) != sorted(map(str, range(len(ids)))):
        raise AnnotationError(
            f"{path}: categories: expected a name and an id from 0 for each, got {quoted(categories)}"
        )
    return [str(name) for _, name in sorted(zip(map(int, map(str, ids)), names, strict=True))]


def needed_names(folder: Path, given: Sequence[str] | None, fault: str) -> tuple[str, ...]:
    """Class names of a folder's dataset: those given, else those of its list.

    Raises:
        AnnotationError: there are neither; ``fault`` is the message.
    """
    if given is not None:
        return check_classes(given, place="names")
    file = find_class_list(folder)
    if file is None:
        raise AnnotationError(fault)
    return read_class_list(file)
