"""Recognised dataset, and what a format has to provide: `Format`, `Source`, `ReadOptions`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from yolo.datasets.annotations.columns import Columns
from yolo.datasets.annotations.place import Place

DESCRIBED = 10
"""Rank of formats with a file that describes the whole dataset, splits included: ``data.yaml``, Darknet's ``.data``."""
FOLDERS = 20
"""Rank of formats known by the names of their folders, with one annotation file per image: VOC."""
FILES = 30
"""Rank of formats whose annotation files are known by their content: JSON, XML and CSV."""
PLAIN = 40
"""Rank of formats with nothing but numbers in plain text beside the images: YOLO without a description, KITTI."""
PACKED = 50
"""Rank of formats that contain the images: TFRecord."""


@dataclass(frozen=True)
class ReadOptions:
    """Arguments of `load_dataset` that readers use."""

    images: Path | None = None
    """Folder of the images; None: look for it."""
    names: tuple[str, ...] | None = None
    """Class names of a source that only numbers its classes, and has no list of them."""
    strict: bool = False
    """Refuse a dataset with an unreadable image, annotation file or entry, instead of leaving it out."""
    need_images: bool = True
    """Whether the images will be read, so that those which are not found have to be left out."""


@dataclass(frozen=True)
class Source:
    """Dataset of a recognised format."""

    format: str
    """Name of the format."""
    splits: tuple[str, ...]
    """Names of its splits; empty if it is not divided."""
    read: Callable[[str | None, ReadOptions], Columns]
    """Function that reads a split, or everything (None)."""


@dataclass(frozen=True)
class Format:
    """Annotation format: a module of `yolo.datasets.formats` makes one as ``FORMAT``, and the table finds it."""

    name: str
    """Name in messages."""
    rank: int
    """Order in which formats are tried, lowest first: one of the constants of this module."""
    recognise: Callable[[Place], Source | None]
    """Function that returns the dataset at a place, or None if it is of another format."""
    near_miss: Callable[[Place], str | None] = lambda _: None
    """Function that says what is missing at a place which almost holds this format, and what to do; None: nothing of
    it lies there."""
