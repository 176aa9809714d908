"""`write_dataset`: writes a dataset, all its splits at once, in any format that can be written."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path, PurePosixPath
from pkgutil import iter_modules
from typing import NamedTuple

import numpy as np

import yolo.datasets.writers
from yolo.config import check
from yolo.datasets.annotations.splits import SPLITS, without_year
from yolo.datasets.writers.journal import empty_target
from yolo.datasets.writers.names import Names, own_names, plan_names
from yolo.datasets.writers.pictures import Pictures, Stored, store_picture, turn_boxes, with_suffixes
from yolo.datasets.writers.writer import SPLIT_NAMES, Layout, Part, Target, Writer, safe_name
from yolo.errors import AnnotationError, ConfigError
from yolo.structs import Dataset

WINDOW = 64
"""Number of images stored at once."""


class Counts(NamedTuple):
    """Content of one split."""

    pictures: int
    boxes: int


@dataclass(frozen=True)
class Report:
    """Result of `write_dataset`."""

    folder: Path
    format: str
    parts: Mapping[str | None, Counts]
    """Numbers of images and boxes written of each split."""
    not_held: Mapping[str, int]
    """Number of objects, images or classes by each kind of content that the format cannot hold."""
    renamed: Mapping[str, str]
    """New names of images whose own were taken already or cannot be held."""
    left_out: Mapping[str, str]
    """Images that cannot be read, with the reason of each."""

    @property
    def pictures(self) -> int:
        """Number of images written, those in several splits counted in each."""
        return sum(part.pictures for part in self.parts.values())

    @property
    def boxes(self) -> int:
        """Number of boxes written."""
        return sum(part.boxes for part in self.parts.values())


@cache
def writers() -> dict[str, Writer]:
    """Formats that can be written, by name."""
    modules = sorted(module.name for module in iter_modules(yolo.datasets.writers.__path__))
    found = [import_module(f"yolo.datasets.writers.{name}") for name in modules]
    return {module.WRITER.name: module.WRITER for module in found if hasattr(module, "WRITER")}


def write_dataset(
    parts: Mapping[str | None, Dataset],
    folder: str | Path,
    *,
    to: str,
    pictures: Pictures = "copy",
    force: bool = False,
    workers: int = 0,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Report:
    """Write a dataset in another format.

    Images that cannot be read are left out, and classes of all parts are written as one list.

    Args:
        parts: datasets by split; None is the name of one that is not divided.
        folder: new or empty folder.
        to: name of the format: one of `writers`.
        pictures: treatment of the image files: copied, linked to, or left out, so that the annotations have to be
            read with the folder of the images.
        force: write into a folder that is not empty; files that an earlier call has written there are removed.
        workers: threads that read images; 0: one per core.
        progress: called with the numbers of images done and of all images.

    Raises:
        AnnotationError: there are no images, or none can be read.
        ConfigError: the format is unknown, the folder is not empty, or a file cannot be written.
    """
    check(to in writers(), "to", f"one of {', '.join(writers())}", to)
    check(pictures in ("copy", "link", "none"), "pictures", "one of copy, link, none", pictures)
    writer, target = writers()[to], Target(Path(folder), progress, stored=pictures != "none")
    filled = with_one_list({split: part for split, part in parts.items() if len(part)})
    if not filled:
        names = ", ".join(part.name for part in parts.values()) or "nothing"
        raise AnnotationError(f"{names}: no pictures to write; check the folder and the split")
    splits = held_splits(list(filled), writer.layout)
    refuse_source(filled, target.folder)
    empty_target(target.folder, writer.layout, force=force)
    return fill_target(filled, splits, writer, target, pictures=pictures, workers=workers)


def write_found(dataset: Dataset, folder: str | Path, *, to: str, force: bool = False) -> Report:
    """Write the annotation files of a dataset whose images stay where they are, in an empty folder anywhere.

    Args:
        dataset: what a detector has found (`Dataset.from_detections`).
        folder: new or empty folder.
        to: name of the format: one of `writers` that does not hold the images themselves.
        force: write into a folder that is not empty; files that an earlier call has written there are removed.

    Raises:
        ConfigError: the folder is not empty, or a file cannot be written.
    """
    writer, target = writers()[to], Target(Path(folder), stored=False)
    empty_target(target.folder, writer.layout, force=force)
    return fill_target({None: dataset}, {None: None}, writer, target, pictures="none")


def fill_target(
    filled: Mapping[str | None, Dataset],
    splits: Mapping[str | None, str | None],
    writer: Writer,
    target: Target,
    *,
    pictures: Pictures,
    workers: int = 0,
) -> Report:
    """Write all files into the emptied folder.

    Args:
        filled: datasets by split, all with the same classes, none without images.
        splits: name of each split in the format.
        writer: writer of the format.
        target: the folder.
        pictures: treatment of the image files.
        workers: threads that read images; 0: one per core.
    """
    renamed: dict[str, str] = {}
    if writer.layout is None:
        written = [Part(split, part, "", part.files, part.files) for split, part in filled.items()]
    else:
        named = {splits[split]: part for split, part in filled.items()}
        planned = plan_parts(named, writer.layout, pictures, renamed)
        written = store_parts(planned, writer.layout, target, pictures, workers)
    lost = not_held(writer, written, splits)
    writer.write(written, target)
    return Report(
        folder=target.folder,
        format=writer.name,
        parts={part.split: Counts(*target.counts.get(part.split, part.counts)) for part in written},
        not_held=lost,
        renamed=renamed,
        left_out=target.left_out,
    )


def not_held(writer: Writer, parts: Sequence[Part], splits: Mapping[str | None, str | None]) -> dict[str, int]:
    """Count what a format cannot hold of some parts, the names of their splits included."""
    counts = {SPLIT_NAMES: sum(old != new for old, new in splits.items()), **writer.cannot_hold(parts)}
    return {kind: number for kind, number in counts.items() if number}


def held_splits(splits: Sequence[str | None], layout: Layout | None) -> dict[str | None, str | None]:
    """Names by which a format holds the splits: a single one of an unusual name becomes undivided.

    Raises:
        ConfigError: the format cannot tell the splits apart.
    """
    if layout is None or not layout.usual_splits:
        return {split: split for split in splits}
    short = {split: split if split is None else without_year(split) for split in splits}
    unusual = [split for split, name in short.items() if name is not None and name not in SPLITS]
    if len(splits) == 1:
        return {split: None if unusual else short[split] for split in splits}
    if unusual or len(set(short.values())) < len(splits):
        named = unusual[0] if unusual else splits[0]
        raise ConfigError(
            f"split {named!r}: the format holds {', '.join(SPLITS)} alone; write it by itself (--split {named})"
        )
    return short


def with_one_list(parts: Mapping[str | None, Dataset]) -> dict[str | None, Dataset]:
    """Datasets with one list of classes: that of all, in the order of their first appearance."""
    ids: dict[str, int] = {}
    for part in parts.values():
        for name, number in zip(part.classes, part.category_ids, strict=True):
            ids.setdefault(name, number)
    if len(set(ids.values())) < len(ids):
        ids = {name: label for label, name in enumerate(ids)}
    label_of = {name: label for label, name in enumerate(ids)}
    classes, category_ids = tuple(ids), tuple(ids.values())
    return {
        split: replace(
            part,
            split=split,
            classes=classes,
            category_ids=category_ids,
            labels=np.array([label_of[name] for name in part.classes], np.int32)[part.labels],
        )
        for split, part in parts.items()
    }


def refuse_source(parts: Mapping[str | None, Dataset], folder: Path) -> None:
    """Refuse to write into a dataset that is being read.

    Raises:
        ConfigError: the folder is that of a dataset, or lies in a folder of its images.
    """
    target = folder.resolve()
    for part in parts.values():
        own = set() if part.store is not None else {str(part.path(index).parent) for index in range(len(part))}
        if target == part.folder.resolve() or {Path(each).resolve() for each in own} & {target, *target.parents}:
            raise ConfigError(f"{folder}: the dataset itself is there; give another OUT")


def plan_parts(
    parts: Mapping[str | None, Dataset], layout: Layout, pictures: Pictures, renamed: dict[str, str]
) -> list[Part]:
    """Name the images of all parts; an image of several parts gets one name in a folder that these share."""
    names: dict[str, Names] = {}
    known: dict[tuple[str, str], str] = {}
    planned = []
    for split, part in parts.items():
        folder = layout.undivided if split is None else layout.folder.format(split=safe_name(split))
        own = own_names(part)
        wanted = with_suffixes(part, own, pictures)
        keys = [(folder, str(part.path(index))) for index in range(len(part))]
        fresh = [index for index, key in enumerate(keys) if key not in known]
        # In the source names may differ by a suffix that is replaced here.
        by_stem = layout.by_stem or wanted != own
        taken = names.setdefault(folder, Names(by_stem=by_stem))
        given = dict(zip(fresh, plan_names([wanted[index] for index in fresh], taken, flat=layout.flat), strict=True))
        files = [given.get(index) or known[key] for index, key in enumerate(keys)]
        known.update(zip(keys, files, strict=True))
        for index, name in given.items():
            if name != (PurePosixPath(own[index]).name if layout.flat else own[index]):
                renamed[str(part.path(index))] = str(PurePosixPath(folder, name))
        planned.append(Part(split, part, folder, files, own))
    return planned


def store_parts(parts: Sequence[Part], layout: Layout, target: Target, pictures: Pictures, workers: int) -> list[Part]:
    """Store the images of all parts; return the parts without those that cannot be read.

    Raises:
        AnnotationError: none can be read.
        ConfigError: a file cannot be written.
    """
    total, done = sum(len(part.files) for part in parts), 0
    written = []
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        for part in parts:
            if pictures != "none":
                target.claim([str(PurePosixPath(part.folder, file)) for file in part.files])
            files = [target.folder / part.folder / file for file in part.files]

            def store(index: int, part: Part = part, files: Sequence[Path] = files) -> Stored:
                return store_picture(part.dataset, index, files[index], pictures)

            found: list[Stored] = []
            for start in range(0, len(files), WINDOW):  # else the pool would read ahead without limit
                found += pool.map(store, range(start, min(start + WINDOW, len(files))))
                target.progress(done + len(found), total)
            done += len(found)
            written.append(kept_part(part, found, layout, target))
    if not any(len(part.dataset) for part in written):
        raise AnnotationError(
            f"{parts[0].dataset.name}: none of the {total} pictures can be read: {next(iter(target.left_out.values()))}"
        )
    return [part for part in written if len(part.dataset)]


def kept_part(part: Part, found: Sequence[Stored], layout: Layout, target: Target) -> Part:
    """Part without the images that cannot be read, sizes and boxes in the frame that the format takes them in."""
    data = part.dataset
    target.left_out |= {str(data.path(index)): each.fault for index, each in enumerate(found) if each.fault}
    kept = [index for index, each in enumerate(found) if not each.fault]
    data, boxes = data.subset(kept), data.subset(kept).boxes.copy()
    sizes = data.sizes.copy()
    for index, each in enumerate(found[index] for index in kept):
        size = (int(sizes[index, 0]), int(sizes[index, 1]))
        if each.shown in ((0, 0), size):
            continue
        rows = slice(data.offsets[index], data.offsets[index + 1])
        if size == each.stored and layout.shown:
            boxes[rows] = turn_boxes(boxes[rows], each.stored, each.orientation)
        if size != each.stored or layout.shown:
            sizes[index] = each.shown
    return replace(
        part,
        dataset=replace(data, boxes=boxes, sizes=sizes),
        files=[part.files[index] for index in kept],
        own=[part.own[index] for index in kept],
    )
