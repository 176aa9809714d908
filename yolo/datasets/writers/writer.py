"""Writer of a format: what it has to provide, what it is given, and what formats commonly cannot hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from yolo.errors import ConfigError
from yolo.files.atomic import write_whole
from yolo.structs import Dataset

JOURNAL = ".converted"
"""List of the files written into a folder, a path a line; readers of datasets skip hidden files."""

AREAS = "areas of objects that are not those of their boxes"
CATEGORY_IDS = "category ids, numbered anew"
DUPLICATES = "objects with the class and box of another, taken once by readers"
FLAGS = "difficult and crowd flags"
IMAGE_IDS = "image ids, the names of the files being taken instead"
SCORES = "scores of detected boxes"
SUBFOLDERS = "subfolders of pictures"
SPLIT_NAMES = "splits of other names than train, val and test"
UNDIVIDED = "parts that are no split, written as train"
UNUSED_CLASSES = "classes that have no objects or are not in alphabetical order"


@dataclass(frozen=True)
class Layout:
    """Place of a format's image files, and how far it holds their names."""

    folder: str
    """Folder of the images; ``{split}`` stands for the split's name."""
    undivided: str
    """Folder of the images of a dataset without splits; empty: the output folder itself."""
    flat: bool = False
    """Whether subfolders cannot be held."""
    by_stem: bool = False
    """Whether images have to differ in their names without the suffix."""
    shown: bool = False
    """Whether boxes are in the frame after the EXIF rotation, as there is no annotated size."""
    usual_splits: bool = False
    """Whether only splits of the usual names (train, val, test) can be held."""


@dataclass(frozen=True)
class Part:
    """One split as it is written: its images have been stored, boxes and sizes are in the target's frame."""

    split: str | None
    dataset: Dataset
    folder: str
    """Folder of the images, relative to the output folder; empty: the output folder itself."""
    files: Sequence[str]
    """(N) new names of the images, relative to ``folder``."""
    own: Sequence[str]
    """(N) names of the images in the source, without the folders that they share."""

    @property
    def name(self) -> str:
        """Split as part of a file's name; empty without one."""
        return "" if self.split is None else safe_name(self.split)

    @property
    def counts(self) -> tuple[int, int]:
        """Numbers of images and boxes."""
        return len(self.dataset), len(self.dataset.boxes)

    @property
    def stems(self) -> list[str]:
        """(N) names of the images without the suffix, subfolders included."""
        return [str(PurePosixPath(file).with_suffix("")) for file in self.files]


@dataclass
class Target:
    """Output folder of a conversion, and which images could not be read."""

    folder: Path
    progress: Callable[[int, int], None] = lambda _done, _all: None
    """Function that is called with the numbers of images done and of all images."""
    stored: bool = True
    """Whether the images are stored in the folder; else they stay where they are."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Images that cannot be read, with the reason of each."""
    counts: dict[str | None, tuple[int, int]] = field(default_factory=dict)
    """Numbers of images and boxes of the splits for which a writer knows better than its parts."""
    _made: set[Path] = field(default_factory=set)

    def put(self, name: str, content: bytes) -> None:
        """Write a file of the format, whole or not at all; the name is relative to the folder.

        Raises:
            ConfigError: it cannot be written.
        """
        self.claim([name])
        write_whole(self.folder / name, lambda temporary: temporary.write_bytes(content))

    def claim(self, names: Sequence[str]) -> None:
        """Make the folders of files that are about to be written, and note their names in the journal.

        Raises:
            ConfigError: a folder cannot be made, or the journal not be written.
        """
        try:
            for folder in {(self.folder / name).parent for name in names} - self._made:
                folder.mkdir(parents=True, exist_ok=True)
                self._made.add(folder)
            with (self.folder / JOURNAL).open("a", encoding="utf-8") as file:
                file.writelines(f"{name}\n" for name in names)
        except OSError as error:
            raise ConfigError(f"{error.filename or self.folder}: cannot be written ({error.strerror})") from error


@dataclass(frozen=True)
class Writer:
    """Format that can be written: a module of `yolo.datasets.writers` makes one as ``WRITER``, found by the table."""

    name: str
    """Name in ``--to``."""
    write: Callable[[Sequence[Part], Target], None]
    """Function that writes everything but the image files, the description of the whole dataset last."""
    cannot_hold: Callable[[Sequence[Part]], Mapping[str, int]]
    """Function that counts what the format cannot hold, by kind; 0 where there is nothing of it."""
    layout: Layout | None
    """Place of the image files; None: the format contains the images, and the parts are the datasets as they are."""


def shortest(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Numbers in float64 that have the fewest digits and become the same float32 again."""
    texts = values.astype(np.float32).astype("U32")
    return texts.astype(np.float64)


def safe_name(text: str) -> str:
    """Name of a split in characters that every file system accepts."""
    return "".join(each if each.isalnum() or each in "-_" else "_" for each in text)


def total(parts: Sequence[Part], count: Callable[[Part], int]) -> int:
    return sum(count(part) for part in parts)


def count_flags(part: Part) -> int:
    return int(part.dataset.ignore.sum())


def count_scores(part: Part) -> int:
    return 0 if part.dataset.scores is None else len(part.dataset.scores)


def count_areas(part: Part) -> int:
    """Number of objects whose area is not that of the box, such as that of a mask."""
    boxes, areas = part.dataset.boxes.astype(np.float64), part.dataset.areas
    return int((~np.isclose(areas, (boxes[:, 2:] - boxes[:, :2]).prod(axis=1), rtol=1e-3, atol=0.5)).sum())


def count_category_ids(parts: Sequence[Part]) -> int:
    """Number of classes with an id of their own; without ids in the source they are numbered in some order."""
    ids = parts[0].dataset.category_ids
    return 0 if set(ids) == set(range(len(ids))) else sum(given != label for label, given in enumerate(ids))


def count_unlisted_classes(parts: Sequence[Part]) -> int:
    """Number of classes that another list takes the place of: that of the classes with objects, sorted."""
    classes = parts[0].dataset.classes
    used = {classes[label] for part in parts for label in np.unique(part.dataset.labels).tolist()}
    listed = sorted(used)
    return sum(index >= len(listed) or name != listed[index] for index, name in enumerate(classes))


def count_image_ids(part: Part, names: Sequence[int | str]) -> int:
    """Number of images whose id is not the one that readers of the format take."""
    return sum(given != name for given, name in zip(part.dataset.image_ids, names, strict=True))


def count_subfolders(part: Part) -> int:
    return sum("/" in name for name in part.own)


def count_duplicates(part: Part, *, flags: bool = False) -> int:
    """Number of objects that repeat another of their image; with ``flags``, the flag has to be the same too."""
    data = part.dataset
    columns = [data.box_pictures, data.labels, *data.boxes.T, *([data.ignore] if flags else [])]
    rows = np.stack([each.astype(np.float64) for each in columns], axis=1)
    return len(rows) - len(np.unique(rows, axis=0))


def reader_ids(part: Part) -> list[str]:
    """Ids that readers give to images known by their files: the stems, or the whole paths if stems repeat."""
    stems = [PurePosixPath(file).stem for file in part.files]
    return stems if len(set(stems)) == len(stems) else [str(PurePosixPath(part.folder, each)) for each in part.files]
