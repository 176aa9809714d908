"""Detections in all images as a dataset, written as annotations that labelling tools open as suggestions."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from yolo.errors import ConfigError
from yolo.structs import Dataset, Detections, Size

logger = logging.getLogger(__name__)

FoundFormat = Literal["coco", "csv", "cvat", "fiftyone", "labelme", "voc", "yolo"]
"""Formats of annotations that leave the images where they are."""


@dataclass
class FoundDataset:
    """Images so far with what was found in them."""

    to: FoundFormat
    """Format, and name of the folder."""
    force: bool = False
    """Whether the folder need not be empty."""
    files: list[Path] = field(default_factory=list)
    sizes: list[Size] = field(default_factory=list)
    found: list[Detections] = field(default_factory=list)

    def add(self, file: Path, size: Size, detections: Detections) -> None:
        """Add an image of (height, width) with its detections."""
        self.files.append(file)
        self.sizes.append(size)
        self.found.append(detections)

    def write(self, folder: Path) -> Path | None:
        """Write the annotations into a folder of the format's name in ``folder``; None without images.

        Raises:
            ConfigError: the folder is not empty and ``force`` is not set, or a file cannot be written.
        """
        if not self.files:
            return None
        from yolo.datasets.write import write_found

        target = folder / self.to
        dataset = Dataset.from_detections(self.files, self.sizes, self.found, name="detections")
        report = write_found(dataset, target, to=self.to, force=self.force)
        for old, new in report.renamed.items():
            logger.warning("%s is %s in the annotations, as another picture has its name", old, new)
        return target


def check_found_format(to: FoundFormat | None, out: str | None, names: Sequence[str]) -> None:
    """Check that there is a folder for annotations, and that no drawn picture has its name.

    Raises:
        ConfigError: there is none, or one has.
    """
    if to is not None and out is None:
        raise ConfigError(f"save_as {to}: needs --out DIR, into which it writes {to}/")
    if to is not None and to in names:
        raise ConfigError(f"save_as {to}: a picture has this name; give the pictures another --out")
