"""Conversion of a reader's result to a `Dataset`: classes in the wanted order, boxes repaired and sorted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from yolo.datasets.annotations.repair import UNWANTED, Repairs, repair_boxes
from yolo.errors import AnnotationError
from yolo.structs import Dataset, PictureStore

logger = logging.getLogger(__name__)

OtherClasses = Literal["refuse", "drop"]
"""Treatment of boxes whose classes are not among the wanted ones."""
NAMES_SHOWN = 20
"""Largest number of classes that a message lists."""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Result of a reader: N images and K boxes, the boxes in any order."""

    folder: Path
    files: Sequence[str]
    """(N) images, relative to the folder."""
    sizes: NDArray[np.int32]
    """(N, 2) height and width."""
    image_ids: Sequence[int | str]
    """(N) ids of the images in the source."""
    names: Sequence[str]
    """Class names of the source, those of all its objects included; a name may be there twice."""
    classes: Sequence[str] | Callable[[], Sequence[str]] | None = None
    """Class names of the whole dataset, all splits included, in its order; a function if they are costly to find;
    None: ``names``."""
    split: str | None = None
    """Name of the split, if the reader has chosen one itself."""
    category_ids: Sequence[int] | None = None
    """Id of each class in the source; None: 0, 1, ..."""
    pictures: NDArray[np.int64]
    """(K,) index of each box's image."""
    labels: NDArray[np.int32]
    """(K,) indices into ``names``."""
    boxes: NDArray[np.float64]
    """(K, 4) corners in continuous pixels, not yet repaired."""
    ignore: NDArray[np.bool_] | None = None
    """(K,) crowds and difficult objects; None: none."""
    areas: NDArray[np.float64] | None = None
    """(K,) areas of the objects, NaN where the source has none; None: those of the boxes."""
    place: Callable[[int], str]
    """Function that describes where box k is: file and object."""
    repairs: Repairs = field(default_factory=Repairs)
    """Repairs made by the reader so far."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Images and annotation files that could not be used, with the reason of each."""
    store: PictureStore | None = None
    """Storage of the images, if they are not files of their own."""


def build_dataset(
    columns: Columns,
    *,
    classes: Sequence[str] | None,
    name: str,
    split: str | None,
    others: OtherClasses = "refuse",
    rename: Mapping[str, str] | None = None,
) -> Dataset:
    """Build the Dataset; invalid boxes are repaired or dropped, and all repairs reported in one message.

    Args:
        columns: result of the reader.
        classes: class names in the wanted order, after renaming; None: those of the source.
        name: name of the dataset.
        split: name of the split.
        others: what is done with boxes of classes that are not in ``classes``.
        rename: new names of classes; several with one new name become one class.

    Raises:
        AnnotationError: a box has a class that is not wanted, or the list of classes is invalid.
    """
    columns = with_new_names(columns, rename or {}, name=name, partly=classes is not None)
    if classes is None:
        classes = own_classes(columns)
        if not classes:
            raise AnnotationError(f"{name}: no annotation file has an object, and there is no list of classes")
    wanted = check_classes(classes, place=name)
    if others == "drop":
        report_absent(columns, wanted, name=name)
    labels = relabel(columns, wanted, others=others)
    boxes, keep = repair_boxes(
        columns.boxes, columns.sizes[columns.pictures], place=columns.place, repairs=columns.repairs
    )
    columns.repairs.add_rows(UNWANTED, labels < 0, columns.place)
    keep &= labels >= 0
    columns.repairs.report(name)
    order = np.argsort(columns.pictures, kind="stable")
    order = order[keep[order]]
    counts = np.bincount(columns.pictures[order], minlength=len(columns.files))
    return Dataset(
        classes=wanted,
        files=columns.files,
        sizes=columns.sizes,
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        boxes=boxes[order],
        labels=labels[order],
        ignore=np.zeros(len(order), bool) if columns.ignore is None else columns.ignore[order],
        areas=object_areas(columns, boxes)[order],
        image_ids=columns.image_ids,
        category_ids=category_ids(columns, wanted),
        folder=columns.folder,
        name=name,
        split=columns.split if split is None else split,
        repairs=columns.repairs.counts,
        repair_places=columns.repairs.places,
        left_out=columns.left_out,
        store=columns.store,
    )


def own_classes(columns: Columns) -> Sequence[str]:
    """Class names of the whole dataset in its own order."""
    if columns.classes is None:
        return list(dict.fromkeys(columns.names))
    return columns.classes() if callable(columns.classes) else columns.classes


def report_absent(columns: Columns, wanted: Sequence[str], *, name: str) -> None:
    """Warn of picked classes that the source does not have, which may be mistyped.

    Raises:
        AnnotationError: it has none of them.
    """
    own = {*own_classes(columns), *columns.names}
    absent = [each for each in wanted if each not in own]
    if len(absent) == len(wanted):
        raise AnnotationError(f"{name}: it has none of the classes {show(wanted)}; it has {show(sorted(own))}")
    if absent:
        logger.warning("%s: there is no class %s; it has %s", name, " and no ".join(absent), show(sorted(own)))


def with_new_names(columns: Columns, rename: Mapping[str, str], *, name: str, partly: bool) -> Columns:
    """Rename classes of the columns.

    Args:
        columns: the columns.
        rename: new names by old ones.
        name: name of the dataset.
        partly: whether classes to be renamed may be missing, as in validation data that lack some of training's.

    Raises:
        AnnotationError: a class to be renamed is not in the dataset.
    """
    if not rename:
        return columns
    own = own_classes(columns)
    unknown = [old for old in rename if old not in own and old not in columns.names]
    if unknown and not partly:
        raise AnnotationError(f"{name}: there is no class {unknown[0]!r} to rename; it has {show(own)}")
    return replace(
        columns,
        names=[rename.get(each, each) for each in columns.names],
        classes=list(dict.fromkeys(rename.get(each, each) for each in own)),
    )


def check_classes(classes: Sequence[str], *, place: str) -> tuple[str, ...]:
    """Strip and check a list of class names.

    Raises:
        AnnotationError: the list is empty, or a name is empty or repeated.
    """
    names = tuple(str(name).strip() for name in classes)
    if not names:
        raise AnnotationError(f"{place}: the list of classes is empty; name at least one")
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise AnnotationError(f"{place}: class {doubled[0]!r} is twice in the list; names have to differ")
    for name in names:
        if not name.isprintable():
            raise AnnotationError(f"{place}: class {name!a} has characters that cannot be printed; rename it")
    if "" in names:
        raise AnnotationError(f"{place}: class {names.index('')} has an empty name; give it one")
    return names


def relabel(columns: Columns, wanted: Sequence[str], *, others: OtherClasses = "refuse") -> NDArray[np.int32]:
    """Labels (K,) as indices into the wanted classes; -1 for others that are to be dropped.

    Raises:
        AnnotationError: a box has another class.
    """
    label_of = {name: label for label, name in enumerate(wanted)}
    table = np.array([label_of.get(name, -1) for name in columns.names], np.int32)
    labels = table[columns.labels]
    unknown = np.flatnonzero(labels < 0)
    if len(unknown) and others == "refuse":
        row = int(unknown[0])
        raise AnnotationError(
            f"{columns.place(row)}: class {columns.names[columns.labels[row]]!r} is not in the list "
            f"({show(wanted)}); mend the name or add it to the list"
        )
    return labels


def show(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMES_SHOWN]) + (", ..." if len(names) > NAMES_SHOWN else "")


def category_ids(columns: Columns, wanted: Sequence[str]) -> tuple[int, ...]:
    """Source id of each wanted class; unused ids for classes that the source does not have."""
    own = range(len(columns.names)) if columns.category_ids is None else columns.category_ids
    ids = dict(zip(reversed(columns.names), reversed(own), strict=True))  # the first of several with one name
    free = max((each for each in own if isinstance(each, int)), default=-1) + 1
    for name in wanted:
        if name not in ids:
            ids[name], free = free, free + 1
    return tuple(ids[name] for name in wanted)


def object_areas(columns: Columns, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Areas (K,) of the source, and those of the repaired boxes where it has none."""
    own = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    if columns.areas is None:
        return own
    given = columns.areas >= 0  # False for NaN
    return np.where(given, np.minimum(columns.areas, np.finfo(np.float32).max), own).astype(np.float32)


def unique_ids(stems: Sequence[str], names: Sequence[str]) -> list[str]:
    """Image ids: the stem of each file, or a longer name where two images have the same stem."""
    return list(stems if len(set(stems)) == len(stems) else names)
