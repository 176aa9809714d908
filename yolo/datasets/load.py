"""`load_dataset`: recognises the format of a dataset and reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from yolo.datasets.formats.coco import load_coco
from yolo.datasets.formats.data_yaml import SPLITS, base_folder, class_list, read_description, resolve
from yolo.datasets.formats.voc import find_roots, load_voc, split_names
from yolo.datasets.formats.yolo_txt import load_yolo
from yolo.datasets.tfrecord.index import read_index
from yolo.datasets.tfrecord.records import Part, find_parts, part_splits
from yolo.datasets.tfrecord.scan import scan
from yolo.errors import AnnotationError
from yolo.files.atomic import exists, is_folder
from yolo.files.quoted import quoted
from yolo.files.remote import is_remote, list_names
from yolo.structs import Dataset

VALIDATION = ("val", "valid", "validation")
"""Names of the validation split, which are interchangeable."""
DESCRIPTIONS = ("data.yaml", "data.yml", "dataset.yaml")


@dataclass(frozen=True)
class Options:
    """Arguments of `load_dataset` besides the path and the split."""

    images: Path | None = None
    classes: Sequence[str] | None = None


@dataclass(frozen=True)
class Source:
    """Dataset of a recognised format: its splits, and a function that reads one."""

    splits: tuple[str, ...]
    load: Callable[[str | None, Options], Dataset]
    """Function that reads a split, or everything (None)."""


def load_dataset(
    path: str | Path,
    split: str | None = None,
    *,
    images: str | Path | None = None,
    classes: Sequence[str] | None = None,
) -> Dataset:
    """Load an annotated dataset; its format is recognised.

    Args:
        path: a dataset ``.yaml``; a VOC folder; a COCO ``.json``; a folder of TFRecord files, also at any address
            that `tf.io.gfile` supports, such as ``gs://bucket/folder``; or a folder that contains one of these.
        split: name of the split, e.g. ``train``; ``val``, ``valid`` and ``validation`` are interchangeable; None:
            everything.
        images: folder of a COCO file's images; None: look for it beside the file.
        classes: class names in the wanted order; None: the dataset's own.

    Raises:
        AnnotationError: something is missing or malformed; the message names the file and place.
        MediaError: an image whose size is needed cannot be read.
    """
    options = Options(images if images is None else Path(images), classes)
    with named_faults(Path(path)):
        source = recognise(path)
        found = None if split is None else check_split(path, split, source.splits)
        dataset = source.load(found, options)
        return replace(dataset, name=dataset_name(path))


def check_split(path: str | Path, split: str, splits: Sequence[str]) -> str:
    """The dataset's own name of a split.

    Raises:
        AnnotationError: there is no such split; the message lists the existing ones.
    """
    found = find_split(split, splits)
    if found is None:
        has = f"it has {', '.join(splits)}" if splits else "it is not divided into splits (leave --split out)"
        raise AnnotationError(f"{path}: there is no split {split!r}; {has}")
    return found


def find_split(name: str, splits: Sequence[str]) -> str | None:
    """The dataset's own name of a split: val, valid (Roboflow) and validation are interchangeable; None: not found."""
    synonyms = (name, *VALIDATION) if name in VALIDATION else (name,)
    return next((each for each in synonyms if each in splits), None)


def dataset_name(path: str | Path) -> str:
    """Name of a dataset: that of its folder, or of its file without the suffix."""
    if is_remote(str(path)):
        return str(path).rstrip("/").rpartition("/")[2]
    path = Path(path)
    return path.resolve().name if path.is_dir() else path.stem


def available_splits(path: str | Path) -> tuple[str, ...]:
    """Names of a dataset's splits; empty for a single COCO file.

    Raises:
        AnnotationError: the path holds no dataset.
    """
    with named_faults(Path(path)):
        return recognise(path).splits


@contextmanager
def named_faults(path: Path) -> Iterator[None]:
    """Turn an OSError into an AnnotationError that names the file."""
    try:
        yield
    except OSError as error:
        raise AnnotationError(f"{error.filename or path}: cannot be read ({error.strerror})") from error


def recognise(path: str | Path) -> Source:
    """Recognise the format of a dataset at a path or address.

    Raises:
        AnnotationError: the format is unknown, or the path does not exist.
    """
    if is_remote(str(path)):
        return recognise_address(str(path))
    path = Path(path)
    if not exists(path):
        raise AnnotationError(f"{path}: no such file or folder")
    if is_folder(path):
        return recognise_folder(path)
    suffix = path.suffix.lower()
    if suffix == ".json":
        return Source((), lambda _, options: load_coco(path, images=options.images, classes=options.classes))
    if suffix in (".yaml", ".yml"):
        return recognise_description(path)
    raise AnnotationError(f"{path}: not a dataset; give a .yaml, a COCO .json or a VOC folder")


def recognise_address(address: str) -> Source:
    """Recognise a folder of TFRecord files at any address."""
    parts = find_parts(address)
    if not parts:
        raise AnnotationError(
            f"{address}: no TFRecord files there; other datasets have to lie in a folder of this machine "
            "(`yolov3 data convert DATA ADDRESS --to tfrecord` brings them there)"
        )
    return tfrecord_parts(address, parts)


def tfrecord_parts(folder: str, parts: dict[str, Part]) -> Source:
    """Source of TFRecord shards: a single set of them, or one per split."""

    def load(split: str | None, options: Options) -> Dataset:
        if split is None and len(parts) > 1:
            raise AnnotationError(f"{folder}: it has the splits {', '.join(parts)}; choose one (--split NAME)")
        name = next(iter(parts)) if split is None else split
        part = parts[name]
        if part.index is not None:
            return read_index(folder, part.index, classes=options.classes)
        return scan(folder, part.shards, names=list_names(folder), classes=options.classes, split=split)

    return Source(part_splits(parts, SPLITS), load)


def recognise_folder(path: Path) -> Source:
    """Recognise a folder: with a data.yaml, VOC, COCO files, or TFRecord files."""
    for name in DESCRIPTIONS:
        if (path / name).is_file():
            return recognise_description(path / name)
    roots = find_roots(path)
    if roots:
        return Source(
            split_names(roots),
            lambda split, options: load_voc(roots, path, split, classes=options.classes),
        )
    files = coco_files(path)
    if files:
        return coco_parts(path, files)
    parts = find_parts(str(path))
    if parts:
        return tfrecord_parts(str(path), parts)
    if (path / "Annotations").is_dir():
        raise AnnotationError(f"{path / 'Annotations'}: holds no .xml file")
    raise AnnotationError(
        f"{path}: no dataset in this folder; expected Annotations/*.xml with JPEGImages/ (VOC), "
        "a data.yaml, annotations/instances_*.json, train.json and val.json (COCO), or *.tfrecord"
    )


def coco_files(path: Path) -> dict[str, Path]:
    """COCO files of a folder by split.

    Known layouts are COCO's layout (annotations/instances_train2017.json, also called train), Roboflow's
    (train/_annotations.coco.json), and train.json, val.json and so on in the folder or in annotations/.
    """
    files = {file.stem.removeprefix("instances_"): file for file in sorted(path.glob("annotations/instances_*.json"))}
    files |= {file.parent.name: file for file in sorted(path.glob("*/_annotations.coco.json"))}
    for file in sorted([*path.glob("annotations/*.json"), *path.glob("*.json")]):
        if without_year(file.stem) in SPLITS and file.stem not in files:
            files[file.stem] = file
    plain = [without_year(name) for name in files]
    alone = {
        short: file for short, file in zip(plain, files.values(), strict=True) if short and plain.count(short) == 1
    }
    return files | alone


def without_year(split: str) -> str:
    """Name of a split such as train2017 without the digits at its end."""
    return split.rstrip("0123456789")


def coco_parts(path: Path, files: dict[str, Path], images: dict[str, Path] | None = None) -> Source:
    """Source of several COCO files, one per split, with the folders of their images if given."""

    def load(split: str | None, options: Options) -> Dataset:
        if split is None and len(set(files.values())) > 1:
            raise AnnotationError(f"{path}: it has the splits {', '.join(files)}; choose one (--split NAME)")
        name = next(iter(files)) if split is None else split
        folder = options.images or (images or {}).get(name)
        return load_coco(files[name], images=folder, classes=options.classes, split=name)

    return Source(tuple(files), load)


def recognise_description(path: Path) -> Source:
    """Recognise a description of YOLO txt labels, of COCO files, or (``format: voc``) of a VOC folder.

    Raises:
        AnnotationError: the file describes no dataset.
    """
    content = read_description(path)
    kind = content.get("format")
    if kind == "voc":
        return described_voc(path, content)
    if kind is not None:
        raise AnnotationError(
            f"{path}: format: {quoted(kind)} is not known; give voc, or leave it out (YOLO txt, COCO)"
        )
    entries = {name: content[name] for name in SPLITS if content.get(name)}
    if not entries:
        raise AnnotationError(f"{path}: it names no pictures; give train and val")
    if any(isinstance(entry, str) and entry.lower().endswith(".json") for entry in entries.values()):
        return described_coco(path, content, entries)
    return Source(
        tuple(entries),
        lambda split, options: load_yolo(
            path, content, tuple(entries) if split is None else (split,), classes=options.classes
        ),
    )


def described_voc(path: Path, content: dict[str, Any]) -> Source:
    folder, names = base_folder(path, content), described_names(path, content)
    roots = find_roots(folder)
    if not roots:
        raise AnnotationError(f"{path}: path: {folder} is no VOC folder; it has no Annotations/*.xml")
    return Source(
        split_names(roots),
        lambda split, options: load_voc(
            roots, folder, split, classes=names if options.classes is None else options.classes
        ),
    )


def described_coco(path: Path, content: dict[str, Any], entries: dict[str, Any]) -> Source:
    files = {name: resolve(path, content, name, entry) for name, entry in entries.items()}
    given = content.get("images") or {}
    folders = given if isinstance(given, dict) else dict.fromkeys(files, given)
    images = {name: resolve(path, content, "images", folder) for name, folder in folders.items() if name in files}
    source, names = coco_parts(path, files, images), described_names(path, content)
    return Source(
        source.splits,
        lambda split, options: source.load(
            split,
            options if names is None or options.classes is not None else replace(options, classes=names),
        ),
    )


def described_names(path: Path, content: dict[str, Any]) -> tuple[str, ...] | None:
    """Class names of a description in which they are optional."""
    return class_list(path, content) if "names" in content else None
