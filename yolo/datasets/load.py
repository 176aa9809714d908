"""`load_dataset`: recognises the format of a dataset and reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

from yolo.datasets.annotations.columns import Columns, OtherClasses, build_dataset, own_classes
from yolo.datasets.annotations.joining import concatenate
from yolo.datasets.annotations.place import Place, walk
from yolo.datasets.annotations.source import DESCRIBED, ReadOptions, Source
from yolo.datasets.annotations.splits import SYNONYMS, find_split, usual_split
from yolo.datasets.format_table import formats
from yolo.datasets.tfrecord.recognise import recognise_address
from yolo.errors import AnnotationError
from yolo.files.atomic import exists
from yolo.files.remote import is_remote
from yolo.structs import Dataset

KINDS_NAMED = 6
"""Largest number of kinds of files that a message lists."""
LOOKED_AT = 20_000
"""Largest number of files that are counted for a message."""
USUAL = [group[0] for group in SYNONYMS]
DEEPEST = 3
"""Number of folders that may lie around a dataset, such as those that an archive puts around its content."""


def load_dataset(
    path: str | Path,
    split: str | None = None,
    *,
    images: str | Path | None = None,
    classes: Sequence[str] | None = None,
    others: OtherClasses = "refuse",
    rename: Mapping[str, str] | None = None,
    names: Sequence[str] | None = None,
    strict: bool = False,
    need_images: bool = True,
) -> Dataset:
    """Load an annotated dataset; its format is recognised.

    Args:
        path: file or folder in any of the formats of docs/formats.md: a dataset ``.yaml``, a VOC folder, a COCO
            ``.json``, a folder of TFRecord files, also at any address that `tf.io.gfile` supports, such as
            ``gs://bucket/folder``, an export of a labelling tool; or a folder that contains one of these.
        split: name of the split, e.g. ``train``; ``val``, ``valid`` and ``validation`` are interchangeable; None:
            everything.
        images: folder of the images, where they are not found beside the annotations; None: look for it.
        classes: class names in the wanted order, after renaming; None: the dataset's own.
        others: what is done with boxes of other classes than ``classes``: refuse the dataset, or drop them.
        rename: new names of classes; several with one new name become one class.
        names: class names of a source that only numbers its classes, and has no list of them.
        strict: refuse a dataset with an unreadable image, annotation file or entry; otherwise these are left out,
            up to a twentieth of the dataset.
        need_images: whether the images will be read; otherwise entries of a COCO file without an image are kept, as
            measuring a results file takes all of them and no image.

    Raises:
        AnnotationError: something is missing or malformed; the message names the file and place.
        MediaError: an image whose size is needed cannot be read.
    """
    options = ReadOptions(
        images if images is None else Path(images),
        None if names is None else tuple(names),
        strict=strict,
        need_images=need_images,
    )
    with named_faults(Path(path)):
        source = recognise(path)
        found = None if split is None else check_split(path, split, source.splits)
        dataset = build_dataset(
            source.read(found, options), classes=classes, name=str(path), split=found, others=others, rename=rename
        )
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


def dataset_name(path: str | Path) -> str:
    """Name of a dataset: that of its folder, or of its file without the suffix."""
    if is_remote(str(path)):
        return str(path).rstrip("/").rpartition("/")[2]
    path = Path(path)
    return path.resolve().name if path.is_dir() else path.stem


def available_splits(path: str | Path) -> tuple[str, ...]:
    """Names of a dataset's splits; empty if it is not divided.

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
    place = Place(path)
    source = find_source(place, DEEPEST)
    if source is not None:
        return source
    missed = next((missed for each in formats() if (missed := each.near_miss(place))), None)
    if missed is not None:
        raise AnnotationError(missed)
    raise AnnotationError(unknown(place))


def unknown(place: Place) -> str:
    """Message about a file or folder that no format has recognised: what lies there, and what would be recognised."""
    known = "; ".join(dict.fromkeys(each.name for each in formats()))
    if not place.is_folder:
        return f"{place.path}: not a dataset of a format that is known ({known})"
    held = ", ".join(content(place)) or "it is empty"
    return f"{place.path}: no dataset in this folder: {held}; known are {known} (docs/formats.md shows their layouts)"


def content(place: Place) -> list[str]:
    """Numbers of files by suffix and folder, such as ``3 .xml in annots/``: the most frequent ones."""
    counts: Counter[tuple[str, str]] = Counter()
    for file in islice(walk(place.path, depth=DEEPEST), LOOKED_AT):
        folder = file.parent.relative_to(place.path).as_posix()
        counts[file.suffix.lower() or file.name, folder] += 1
    return [
        f"{count} {suffix}" + ("" if folder == "." else f" in {folder}/")
        for (suffix, folder), count in counts.most_common(KINDS_NAMED)
    ]


def find_source(place: Place, deepest: int) -> Source | None:
    """Recognise the dataset at a place: described, divided into folders, of any format, or one folder further down."""
    for each in formats():
        if each.rank == DESCRIBED and (source := each.recognise(place)):
            return source
    found = [source for each in formats() if each.rank != DESCRIBED and (source := each.recognise(place))]
    divided = next((source for source in found if source.splits), None) or split_folders(place)
    if divided or found:
        return divided or found[0]
    alone = place.places if len(place.places) == 1 and deepest else []
    return find_source(alone[0], deepest - 1) if alone else None


def split_folders(place: Place) -> Source | None:
    """Source of folders that are named after splits, each a dataset of one format; their classes are joined."""
    parts: dict[str, Source] = {}
    named = [each for each in place.places if usual_split(each.path.name)]
    for below in sorted(named, key=lambda each: USUAL.index(str(usual_split(each.path.name)))):
        tried = (each.recognise(below) for each in formats() if each.rank != DESCRIBED)
        source = next(filter(None, tried), None)
        if source is not None and not source.splits:
            parts[below.path.name] = source
    if not parts:
        return None

    def read(split: str | None, options: ReadOptions) -> Columns:
        columns = {name: source.read(None, options) for name, source in parts.items()}
        lists = [own_classes(each) for each in columns.values()]
        classes = list(dict.fromkeys(name for names in lists for name in names))
        if all(list(names) == sorted(names) for names in lists):
            classes = sorted(classes)
        if split is None:
            return concatenate(list(columns.values()), folder=place.path, classes=classes)
        return concatenate([columns[split]], folder=place.path, classes=classes)

    kinds = " and ".join(dict.fromkeys(source.format for source in parts.values()))
    return Source(kinds, tuple(parts), read)
