"""The pictures that could not be read in a run, each once with its reason."""

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

NAME = "quarantine.csv"
COLUMNS = ("file", "reason", "picture")
NAMED = 3
"""So many are named in the log; all of them are in the list."""


class Entry(NamedTuple):
    """A picture that could not be read."""

    file: str
    reason: str


class Quarantine:
    """Keeps the list of a Dataset's unreadable pictures; may be used from many threads at once.

    A picture that is in it is not tried again in the run, so that one whose file comes and goes
    (a network folder) does not make a resumed run differ from one that was never stopped.
    """

    def __init__(
        self, dataset: Dataset, *, limit: float = 0.05, path: str | Path | None = None, replaced: bool = True
    ) -> None:
        """An empty list.

        Args:
            dataset: whose pictures.
            limit: the share of its pictures that may be unreadable; one always may.
            path: where the list is written, also when there are too many; None: nowhere by itself.
            replaced: whether others take their place, as in training; else they are left out.
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
        """List picture ``index``; a second time changes nothing.

        Raises:
            MediaError: they have become too many.
        """
        entry = Entry(str(self.dataset.path(index)), reason)
        with self._lock:
            new = self._entries.setdefault(index, entry) is entry
            count = len(self._entries)
        if new and count <= NAMED:
            logger.warning("%s; %s", reason, "another picture takes its place" if self.replaced else "it is left out")
        self.check()

    def check(self) -> None:
        """See that there are not too many.

        What raises may be a thread that reads ahead for batches nobody asks for any more: so whoever
        meets a listed picture looks again.

        Raises:
            MediaError: there are.
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
        """The list so far, by picture, in the order it came together."""
        with self._lock:
            return dict(self._entries)

    def take_over(self, entries: Mapping[int, Entry]) -> None:
        """Add what others found, another host or an earlier part of the run; no warning, no complaint."""
        with self._lock:
            self._entries = {**entries, **self._entries}

    def write(self, path: str | Path | None = None) -> None:
        """Write the list as CSV, sorted by file; no list, no file.

        Raises:
            ConfigError: it cannot be written.
        """
        target, entries = path or self.path, self.entries()
        if target is None or not entries:
            return
        write_csv(target, COLUMNS, sorted((*entry, index) for index, entry in entries.items()))

    def forget(self) -> None:
        """Delete the list that another run has left."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def read(self, path: str | Path | None = None) -> None:
        """Take over the list of an earlier part of the run, if there is one; other datasets' pictures are passed over.

        Raises:
            AnnotationError: it is no such list.
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
        """What to say at the end of a run; None: all could be read."""
        if not self._entries:
            return None
        place = "" if self.path is None else f": see {self.path}"
        fate = "replaced by others" if self.replaced else "left out"
        return f"{len(self)} of {len(self.dataset)} pictures could not be read and were {fate}{place}"
