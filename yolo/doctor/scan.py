"""Scan of a dataset's image files: each is read and decoded once, and only a few numbers of it are kept."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.errors import MediaError
from yolo.files.bounded import open_file, unreadable
from yolo.images.codec import PNG, Look, decode_reduced, read_bytes, read_look
from yolo.structs import Dataset

SIDE = 16
"""Side of the thumbnails in pixels."""
CHUNK = 16
"""Number of images that a thread scans at a time."""
SHARP = 16
"""Least number of pixels that the shorter side of a reduced image keeps, so that thumbnails stay comparable."""

Progress = Callable[[int], None]
"""Function that is told the number of images that are done."""


class Seen(NamedTuple):
    """Numbers of one image file that are kept."""

    look: Look | None = None
    deep: bool = False
    """Whether it has 16 bits a sample."""
    digest: bytes = b""
    thumbnail: NDArray[np.uint8] | None = None
    fault: str | None = None


@dataclass(frozen=True)
class Scan:
    """Numbers of a Dataset's N image files."""

    stored: NDArray[np.int32]
    """(N, 2) height and width as stored; 0 where unknown."""
    orientation: NDArray[np.uint8]
    """(N,) EXIF orientation."""
    modes: list[str]
    """(N) colour modes as Pillow names them, with ``, 16 bit``; empty where unknown."""
    digests: list[bytes]
    """(N) hashes of the files; empty where they were not read."""
    thumbnails: NDArray[np.uint8]
    """(N, SIDE * SIDE) grey; 0 where the file was not decoded."""
    faults: dict[int, str]
    """Reason for each image that cannot be read."""

    @property
    def shown(self) -> NDArray[np.int32]:
        """(N, 2) height and width after the EXIF rotation."""
        return np.where((self.orientation >= 5)[:, None], self.stored[:, ::-1], self.stored)


def scan(dataset: Dataset, *, quick: bool = False, workers: int = 0, progress: Progress = lambda _: None) -> Scan:
    """Look at all image files of a dataset.

    Args:
        dataset: the dataset.
        quick: read the headers alone: no hashes, no thumbnails, and truncated files are not noticed.
        workers: number of threads; 0: one per core.
        progress: told how many images are done.
    """
    count = len(dataset)
    found = Scan(
        stored=np.zeros((count, 2), np.int32),
        orientation=np.ones(count, np.uint8),
        modes=[""] * count,
        digests=[b""] * count,
        thumbnails=np.zeros((count, SIDE * SIDE), np.uint8),
        faults={},
    )
    chunks = (range(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK))
    one = glance if quick else inspect
    done = 0
    for rows, seen in in_threads(lambda rows: [one(dataset, row) for row in rows], chunks, workers):
        for row, each in zip(rows, seen, strict=True):
            keep(found, row, each)
        done += len(rows)
        progress(done)
    return found


def in_threads(
    work: Callable[[range], list[Seen]], chunks: Iterator[range], workers: int
) -> Iterator[tuple[range, list[Seen]]]:
    """Do the work on each chunk in threads, with few results waiting at a time; they come in any order."""
    threads = workers or os.cpu_count() or 1
    pool = ThreadPoolExecutor(threads)
    try:
        running: dict[Future[list[Seen]], range] = {}
        while True:
            for chunk in islice(chunks, 2 * threads - len(running)):
                running[pool.submit(work, chunk)] = chunk
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def keep(found: Scan, row: int, seen: Seen) -> None:
    """Enter the numbers of image ``row``."""
    if seen.fault is not None:
        found.faults[row] = seen.fault
    if seen.look is not None:
        found.stored[row], found.orientation[row] = seen.look.header.stored, seen.look.orientation
        found.modes[row] = seen.look.mode + (", 16 bit" if seen.deep else "")
    found.digests[row] = seen.digest
    if seen.thumbnail is not None:
        found.thumbnails[row] = seen.thumbnail.ravel()


def glance(dataset: Dataset, index: int) -> Seen:
    """Read the header of image ``index``."""
    path = dataset.path(index)
    if dataset.store is not None:
        return inspect(dataset, index)._replace(digest=b"", thumbnail=None)
    try:
        with open_file(str(path)) as file:
            look = read_look(file, name=str(path))
    except OSError as error:
        return Seen(fault=unreadable(str(path), error))
    except MediaError as error:
        return Seen(fault=str(error))
    return inspect(dataset, index)._replace(digest=b"", thumbnail=None) if look is None else Seen(look)


def inspect(dataset: Dataset, index: int) -> Seen:
    """Read and decode image ``index``."""
    name = str(dataset.path(index))
    try:
        data = read_bytes(name) if dataset.store is None else dataset.store.read(index)
        digest = hashlib.sha256(data).digest()[:16]
        look = read_look(io.BytesIO(data), name=name)
        pixels = decode_reduced(data, name=name, by=reduction(look))
    except MediaError as error:
        return Seen(fault=str(error))
    thumbnail = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return Seen(look, is_deep(data, look), digest, thumbnail.astype(np.uint8, copy=False))


def reduction(look: Look | None) -> Literal[1, 2, 4, 8]:
    """Strongest reduction of a decoded image that keeps enough pixels of its shorter side."""
    shorter = 0 if look is None else min(look.header.stored)
    steps: tuple[Literal[1, 2, 4, 8], ...] = (8, 4, 2)
    return next((by for by in steps if shorter >= by * SHARP), 1)


def is_deep(data: bytes, look: Look | None) -> bool:
    """Whether an image has 16 bits a sample, which Pillow's mode does not always tell."""
    if data.startswith(PNG):
        return data[24:25] == b"\x10"  # PNG specification, 11.2.2: IHDR
    return look is not None and look.mode.startswith("I;16")
