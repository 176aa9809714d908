"""Quarantine: the images that could not be read in a run, each listed once with the reason."""

from __future__ import annotations

import csv
import io
import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from yolo.errors import AnnotationError, MediaError
from yolo.files.bounded import open_file
from yolo.files.csv_table import write_csv
from yolo.structs import Dataset

logger = logging.getLogger(__name__)

COLUMNS = ("file", "reason", "picture")
NEVER_LOADED = -1
"""Index of what was left out when the dataset was loaded, in the column ``picture``."""
NAMED = 3
"""Largest number of unreadable images that are logged; the list has all of them."""


class Entry(NamedTuple):
    """File and reason of an unreadable image."""

    file: str
    reason: str


class Quarantine:
    """List of a Dataset's unreadable images; thread-safe.

    A listed image is not tried again in the run, so that one whose file comes and goes (a network folder) does not make
    a resumed run differ from an uninterrupted one.
    """

    def __init__(
        self, dataset: Dataset, *, limit: float = 0.05, path: str | Path | None = None, replaced: bool = True
    ) -> None:
        """Make an empty list.

        Args:
            dataset: dataset of the images.
            limit: fraction of its images that may be unreadable; one always may.
            path: file of the list, also written when there are too many; None: not written by itself.
            replaced: whether other images replace them, as in training; otherwise they are skipped.
        """
        self.dataset = dataset
        self.limit = limit
        self.path = None if path is None else Path(path)
        self.replaced = replaced
        self._entries: dict[int, Entry] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, index: int) -> bool:
        return index in self._entries

    def add(self, index: int, reason: str) -> None:
        """List image ``index``; repeating it changes nothing.

        Raises:
            MediaError: too many images are unreadable.
        """
        entry = Entry(str(self.dataset.path(index)), reason)
        with self._lock:
            new = self._entries.setdefault(index, entry) is entry
            count = len(self._entries)
        if new and count <= NAMED:
            logger.warning("%s; %s", reason, "another picture replaces it" if self.replaced else "it is skipped")
        self.check()

    def check(self) -> None:
        """Raise if too many images are unreadable.

        This is repeated at every access to a listed image: the thread that crossed the limit may have been prefetching
        batches that are never used.

        Raises:
            MediaError: too many images are unreadable.
        """
        if len(self) > max(1.0, self.limit * len(self.dataset)):
            raise MediaError(self._complaint())

    def _complaint(self) -> str:
        entries, place = self.entries(), ""
        if self.path is not None:
            self.write(self.path)
            place = f"; all are listed in {self.path}"
        first = next(iter(entries.values()))
        return (
            f"{len(entries)} of {len(self.dataset)} pictures ({len(entries) / len(self.dataset):.1%}) cannot be read, "
            f"more than {self.limit:.0%}: mend or remove them. The first: {first.reason}{place}"
        )

    def entries(self) -> dict[int, Entry]:
        """Entries by image index, in the order of discovery."""
        with self._lock:
            return dict(self._entries)

    def take_over(self, entries: Mapping[int, Entry]) -> None:
        """Merge entries of another host or of an earlier part of the run, without warnings or limit."""
        with self._lock:
            self._entries = {**entries, **self._entries}

    def write(self, path: str | Path | None = None) -> None:
        """Write the list as CSV, sorted by file; without entries there is no file.

        The images and annotations that were left out when the dataset was loaded are listed too.

        Raises:
            ConfigError: the file cannot be written.
        """
        target = path or self.path
        rows = [(*entry, index) for index, entry in self.entries().items()]
        rows += [(file, reason, NEVER_LOADED) for file, reason in self.dataset.left_out.items()]
        if target is not None and rows:
            write_csv(target, COLUMNS, sorted(rows))

    def forget(self) -> None:
        """Delete a list left by another run."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def read(self, path: str | Path | None = None) -> None:
        """Restore the list of an earlier part of the run, if there is one; other datasets' images are skipped.

        Raises:
            AnnotationError: the file is not such a list.
        """
        source = Path(path or self.path or "")
        if not source.is_file():
            return
        try:
            with (
                open_file(source) as content,
                io.TextIOWrapper(content, newline="", encoding="utf-8", errors="surrogatepass") as file,
            ):
                rows = [(Entry(row["file"], row["reason"]), int(row["picture"])) for row in csv.DictReader(file)]
        except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
            raise AnnotationError(f"{source}: not a list of unreadable pictures ({error!r}); remove it") from error
        self.take_over(
            {
                index: entry
                for entry, index in rows
                if 0 <= index < len(self.dataset) and str(self.dataset.path(index)) == entry.file
            }
        )

    def summary(self) -> str | None:
        """Summary for the end of a run; None if all images could be read."""
        if not self._entries:
            return None
        place = "" if self.path is None else f": see {self.path}"
        fate = "replaced by others" if self.replaced else "skipped"
        return f"{len(self)} of {len(self.dataset)} pictures could not be read and were {fate}{place}"
