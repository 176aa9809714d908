"""`load_dataset`: recognises the format of a dataset and reads it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from yolo.datasets.coco import load_coco
from yolo.datasets.voc import find_roots, load_voc, split_names
from yolo.datasets.yolo_txt import SPLITS, load_yolo, read_yaml, resolve, yaml_names
from yolo.errors import AnnotationError
from yolo.structs import Dataset


@dataclass(frozen=True)
class Source:
    """A dataset that was recognised."""

    splits: tuple[str, ...]
    load: Callable[[str | None], Dataset]


def load_dataset(
    path: str | Path,
    split: str | None = None,
    *,
    images: str | Path | None = None,
    classes: Sequence[str] | None = None,
) -> Dataset:
    """An annotated dataset, whatever its format.

    Args:
        path: a dataset ``.yaml``; a VOC folder; a COCO ``.json``; or a folder that holds one of these.
        split: the part that is wanted, e.g. ``train``; None: everything.
        images: folder of a COCO file's pictures, where it is not beside it.
        classes: names in the order they are wanted (VOC and COCO); None: the dataset's own.

    Raises:
        AnnotationError: something is missing or malformed; the message names the file and place.
    """
    source = recognise(Path(path), images, classes)
    if split is not None and split not in source.splits:
        has = f"it has {', '.join(source.splits)}" if source.splits else "it is not divided into splits"
        raise AnnotationError(f"{path}: there is no split {split!r}; {has}")
    return replace(source.load(split), name=Path(path).stem or str(path))


def available_splits(path: str | Path) -> tuple[str, ...]:
    """The names of the parts a dataset is divided into; none for a single COCO file.

    Raises:
        AnnotationError: it is no dataset.
    """
    return recognise(Path(path)).splits


def recognise(path: Path, images: str | Path | None = None, classes: Sequence[str] | None = None) -> Source:
    """What kind of dataset a path holds.

    Raises:
        AnnotationError: none that is known.
    """
    if not path.exists():
        raise AnnotationError(f"{path}: no such file or folder")
    if path.is_dir():
        return recognise_folder(path, images, classes)
    if path.suffix == ".json":
        return Source((), lambda split: load_coco(path, images=images, classes=classes, split=split))
    if path.suffix in (".yaml", ".yml"):
        return recognise_yaml(path, images)
    raise AnnotationError(f"{path}: not a dataset; give a .yaml, a COCO .json or a VOC folder")


def recognise_folder(path: Path, images: str | Path | None, classes: Sequence[str] | None) -> Source:
    """A VOC folder, or a folder around a ``data.yaml`` or COCO files."""
    roots = find_roots(path)
    if roots:
        return Source(split_names(roots), lambda split: load_voc(path, split, classes=classes, roots=roots))
    for name in ("data.yaml", "data.yml", "dataset.yaml"):
        if (path / name).is_file():
            return recognise_yaml(path / name, images)
    files = {
        file.stem.removeprefix("instances_"): file
        for file in sorted(path.glob("annotations/instances_*.json"))
    }
    files |= {file.parent.name: file for file in sorted(path.glob("*/_annotations.coco.json"))}
    if not files:
        raise AnnotationError(
            f"{path}: no dataset in this folder; expected Annotations/ and JPEGImages/ (VOC), "
            "a data.yaml, or annotations/instances_*.json (COCO)"
        )
    # train2017 answers to train as well.
    files |= {name.rstrip("0123456789"): file for name, file in files.items() if name.rstrip("0123456789")}
    return coco_parts(path, files, images, classes)


def coco_parts(
    path: Path, files: dict[str, Path], images: str | Path | None, classes: Sequence[str] | None
) -> Source:
    """Several COCO files, a split each."""

    def load(split: str | None) -> Dataset:
        if split is None and len(set(files.values())) > 1:
            raise AnnotationError(f"{path}: has the parts {', '.join(files)}; choose one (--split NAME)")
        name = next(iter(files)) if split is None else split
        return load_coco(files[name], images=images, classes=classes, split=name)

    return Source(tuple(files), load)


def recognise_yaml(path: Path, images: str | Path | None) -> Source:
    """A description of YOLO txt labels, of COCO files, or (``format: voc``) of a VOC folder."""
    content = read_yaml(path)
    if content.get("format") == "voc":
        folder, names = resolve(path, content, "."), yaml_names(path, content)
        return recognise_folder(folder, None, names)
    entries = {name: content[name] for name in SPLITS if content.get(name)}
    if not entries:
        raise AnnotationError(f"{path}: it names no pictures; give train and val")
    if all(isinstance(entry, str) and entry.endswith(".json") for entry in entries.values()):
        files = {name: resolve(path, content, entry) for name, entry in entries.items()}
        return coco_parts(path, files, images, None)
    return Source(tuple(entries), lambda split: load_yolo(path, content, split))
