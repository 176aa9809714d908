"""Which files of a folder are COCO's, and which split each one is."""

from __future__ import annotations

import re
from pathlib import Path

from yolo.datasets.annotations.json_file import outline
from yolo.datasets.annotations.place import Place
from yolo.datasets.annotations.splits import SPLITS, without_year

ANNOTATION_FOLDERS = ("annotations", "annotation", "annots", "anns", "ann", "labels", "json", "jsons")
"""Names of folders of annotation files, in lower case."""
KINDS = ("instances", "", "keypoints", "stuff", "info")
"""Words in the names of files with boxes, best first: of several files of one split the best is taken."""
WITHOUT_BOXES = frozenset({"captions", "caption", "panoptic"})
"""Words in the names of COCO files without boxes."""
WORDS = re.compile(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*")
OTHER_NAMES = {"training": "train", "testing": "test", "valids": "valid", "vali": "val"}
MOST_FILES = 100
"""Largest number of JSON files in a folder that are all looked into; more are the annotations of an image each."""
TYPICAL = re.compile(r"coco|instances|annotations", re.IGNORECASE)


def words_of(name: str) -> list[str]:
    """Words of a file's name in lower case, each with the digits after it."""
    return [word.lower() for word in WORDS.findall(name)]


def split_word(name: str) -> str | None:
    """Split that a name contains as a word, such as train2017 in ``my_train2017_coco``; None: none or several."""
    plain = {word: without_year(word) for word in words_of(name)}
    found = {OTHER_NAMES.get(short, word) for word, short in plain.items() if OTHER_NAMES.get(short, short) in SPLITS}
    return found.pop() if len(found) == 1 else None


def subject(stem: str) -> str:
    """Name of a file without the word for its kind, such as val2017 of ``instances_val2017``."""
    return re.sub(r"^(instances|person_keypoints|stuff|image_info)[_-]", "", stem)


def is_coco(path: Path) -> bool:
    """Whether a file is COCO's by the keys at its beginning; of a large one that may be only some of them."""
    if path.suffix.lower() != ".json":
        return False
    found = outline(path)
    if found.is_list:
        return False
    listed = [key for key in ("images", "annotations", "categories") if key in found.keys]
    if "images" in listed:
        return len(listed) > 1 or "file_name" in found.inner
    return "annotations" in listed and {"image_id", "category_id"} <= found.inner


def kind_of(path: Path) -> int | None:
    """Rank of a file among those of one split; None: it holds no boxes."""
    words = set(words_of(path.stem))
    if words & WITHOUT_BOXES:
        return None
    return next((rank for rank, word in enumerate(KINDS) if word in words), KINDS.index(""))


def json_files(place: Place) -> list[Path]:
    """Files that may be COCO's: in a folder, in those of annotations, and in those named after splits."""
    places = [place]
    for below in place.below(*ANNOTATION_FOLDERS):
        places += [below, *below.below(*SPLITS)]
    for below in place.below(*SPLITS):
        places += [below, *below.below(*ANNOTATION_FOLDERS)]
    found = []
    for each in places:
        files = each.with_suffix(".json")
        few = len(files) <= MOST_FILES
        found += [file for file in files if few or split_word(file.stem) or TYPICAL.search(file.stem)]
    return found


def coco_files(place: Place) -> dict[str, Path]:
    """COCO files of a folder by split; a single file that is named after none is the split "".

    A split with a year, such as train2017, is also called train if there is no other of that name.
    """
    found = [(kind, file) for file in json_files(place) if (kind := kind_of(file)) is not None and is_coco(file)]
    splits = {file: split_of(file) for _, file in found}
    if any(splits.values()):
        found = [(kind, file) for kind, file in found if splits[file] or kind == 0]
    files: dict[str, Path] = {}
    best: dict[str, int] = {}
    for kind, file in sorted(found, key=lambda each: (each[0], len(each[1].stem), each[1])):
        name = splits[file] or subject(file.stem)
        if name in files and best[name] < kind:
            continue
        name = file.stem if name in files else name
        files[name], best[name] = file, kind
    if len(files) == 1:
        name, file = files.popitem()
        files["" if splits[file] is None else name] = file
    files = dict(sorted(files.items(), key=lambda each: (each[1].parent != place.path, each[1])))
    plain = [without_year(name) for name in files]
    short = {each: file for each, file in zip(plain, files.values(), strict=True) if each and plain.count(each) == 1}
    return files | short


def split_of(file: Path) -> str | None:
    """Split that a file is named after, or else its folder, or the one around it."""
    folders = [parent.name.lower() for parent in list(file.parents)[:2]]
    return split_word(file.stem) or next((name for name in folders if without_year(name) in SPLITS), None)
