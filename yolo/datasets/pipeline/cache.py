"""Cache of decoded, resized images in memory or on disk: `--cache ram|disk`.

Only pixels are kept; boxes come from the Dataset every time, so that corrected annotations count at once. The result is
bit for bit that of reading the image again.
"""

from __future__ import annotations

import logging
import shutil
import struct
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from yolo.config import Cache, LetterboxMode
from yolo.errors import ConfigError, WeightsError
from yolo.files.atomic import remove_abandoned, write_whole
from yolo.files.cache_folder import cache_folder
from yolo.structs import Dataset, Size
from yolo.system.available_memory import available_memory

logger = logging.getLogger(__name__)

MEMORY_FRACTION = 0.5
"""Fraction of the memory free at the start that a cache may use; the rest is for training."""
DISK_RESERVE = 0.1
"""Fraction of the disk that stays free."""
DISK_RESERVE_BYTES = 2**30
"""Least number of bytes of the disk that stay free."""
SETTLING_NS = 2_000_000_000
"""Age below which a file may change again without a new time stamp (2 s, the tick of FAT)."""
ABANDONED_SECONDS = 24 * 3600
"""Age from which a temporary file was left by a killed process."""
HEAD = struct.Struct("<8sQI4I")
"""Header of a file on disk: magic, stamp, checksum, height and width as read, height and width of the pixels."""
MAGIC = b"YOLO RGB"
SCHEME = "1"
"""Version in every key; to be raised when images are decoded or resized differently."""


class Pixels(NamedTuple):
    """Pixels of one image as the cache keeps them."""

    image: NDArray[np.uint8]
    """(h, w, 3) RGB, resized for the canvas."""
    size: Size
    """Height and width as read."""


class Key(NamedTuple):
    """Identity of a cached image and the state of its file."""

    place: str
    """Source and processing of the image; one cache entry each."""
    stamp: str
    """State of the file; an entry with another stamp is stale."""
    settled: bool
    """Whether the file is old enough for the stamp to reveal a further change."""


def picture_key(dataset: Dataset, index: int, canvas_size: Size, mode: LetterboxMode) -> Key | None:
    """Cache key of image ``index`` on a canvas; None if there is no such file.

    The stamp of a file is its length, times of change and inode. Hashing the content instead would cost as much as
    reading it, which the cache is to save. Length and modification time reveal nearly every change; the inode reveals
    another file moved here with its old time (``mv``, ``rsync``, unpacking), and the inode's change time, which no
    program can set, a rewrite in place with the old time restored.
    """
    view = (SCHEME, *canvas_size, mode, *dataset.sizes[index].tolist())
    if dataset.store is not None:
        place = f"{dataset.folder}\0{dataset.files[index]}"
        return Key(f"{place}\0{view}", str(dataset.store.stamp(index)), True)
    path = dataset.path(index).absolute()
    try:
        status = path.stat()
    except (OSError, ValueError):  # reading the image reports why
        return None
    stamp = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    settled = time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > SETTLING_NS
    return Key(f"{path}\0{view}", str(stamp), settled)


class PictureCache(Protocol):
    """Protocol of a cache of pixels by key; thread-safe."""

    def pixels(self, key: Key, make: Callable[[], Pixels]) -> Pixels:
        """Return the cached pixels, or those that ``make`` returns, which are cached if there is room."""


def make_cache(kind: Cache, *, pictures: int, folder: str | Path | None = None) -> PictureCache | None:
    """Make the cache that an option asks for; None for none.

    Args:
        kind: ``ram``, ``disk`` or none.
        pictures: number of images in the dataset, for a message when they do not all fit.
        folder: folder of ``disk``; None: ``pictures`` in the package's cache folder.

    Raises:
        ConfigError: the folder cannot be made.
    """
    if kind == "none":
        return None
    if kind == "ram":
        return MemoryCache(memory_bound(available_memory()), pictures=pictures)
    try:
        target = cache_folder() / "pictures" if folder is None else Path(folder)
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{target}: pictures cannot be cached there ({error.strerror}); set YOLO_CACHE") from error
    except WeightsError as error:  # no home folder
        raise ConfigError(str(error)) from error
    return DiskCache(target, pictures=pictures)


def memory_bound(free: int) -> int:
    """Bytes that a memory cache may use when ``free`` bytes are free."""
    return int(MEMORY_FRACTION * free)


def most_in_memory(kind: Cache, *, pictures: int, canvases: Sequence[Size], free: int) -> int:
    """Largest number of bytes of memory that an option's cache can use.

    Args:
        kind: ``ram``, ``disk`` or none.
        pictures: number of images in the dataset.
        canvases: (height, width) that occur; an image is kept for each.
        free: free bytes when the cache is made.
    """
    if kind != "ram":
        return 0
    return min(memory_bound(free), 3 * pictures * sum(height * width for height, width in canvases))


class MemoryCache:
    """Cache in memory with an upper bound; images that do not fit are made each time."""

    def __init__(self, bound: int, *, pictures: int) -> None:
        self.bound = bound
        self.pictures = pictures
        self.used = 0
        self._entries: dict[str, tuple[str, Pixels]] = {}
        self._full = False
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def pixels(self, key: Key, make: Callable[[], Pixels]) -> Pixels:
        entry = self._entries.get(key.place)
        if entry is not None and entry[0] == key.stamp:
            return entry[1]
        made = make()
        if key.settled:
            self._keep(key, made)
        return made

    def _keep(self, key: Key, made: Pixels) -> None:
        with self._lock:
            old = self._entries.pop(key.place, None)
            self.used -= 0 if old is None else old[1].image.nbytes
            if self.used + made.image.nbytes <= self.bound:
                self._entries[key.place] = (key.stamp, made)
                self.used += made.image.nbytes
            elif not self._full:
                self._full = True
                logger.info(
                    "cache: %d resized pictures fit in memory (%s, from %d files); the others are decoded each time",
                    *(len(self._entries), _bytes(self.bound), self.pictures),
                )


class DiskCache:
    """Cache in a folder, one file per image, until the disk is nearly full."""

    def __init__(self, folder: Path, *, pictures: int) -> None:
        self.folder = folder
        self.pictures = pictures
        self.kept = 0
        """Images written in this run."""
        self._closed = False
        self._remove_abandoned()

    def pixels(self, key: Key, make: Callable[[], Pixels]) -> Pixels:
        digest = blake2b(key.place.encode(errors="surrogatepass"), digest_size=20).hexdigest()
        path = self.folder / digest[:2] / f"{digest}.rgb"
        stamp = int.from_bytes(blake2b(key.stamp.encode(), digest_size=8).digest(), "little")
        found = _read(path, stamp)
        if found is not None:
            return found
        made = make()
        if key.settled and not self._closed:
            self._keep(path, stamp, made)
        return made

    def _keep(self, path: Path, stamp: int, made: Pixels) -> None:
        try:
            total, _, free = shutil.disk_usage(self.folder)
            if free - made.image.nbytes < max(DISK_RESERVE * total, DISK_RESERVE_BYTES):
                self._close(f"{_bytes(free)} of {_bytes(total)} are still free and stay so")
                return
            path.parent.mkdir(exist_ok=True)
            _write(path, stamp, made)
            self.kept += 1
        except OSError as error:  # a read-only cache is still useful
            self._close(f"{self.folder}: {error.strerror or error}")
        except ConfigError as error:
            self._close(str(error))

    def _close(self, reason: str) -> None:
        if not self._closed:
            self._closed = True
            logger.info(
                "cache: %d resized pictures were added on disk (from %d files); the others are decoded each time (%s)",
                *(self.kept, self.pictures, reason),
            )

    def _remove_abandoned(self) -> None:
        for path in self.folder.glob("??"):
            remove_abandoned(path, older_than=ABANDONED_SECONDS)


def _write(path: Path, stamp: int, made: Pixels) -> None:
    """Write a header and the raw pixels, atomically.

    Raises:
        ConfigError: the file cannot be written.
    """
    pixels = np.ascontiguousarray(made.image).data
    shape = (*made.size, *made.image.shape[:2])

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            file.write(HEAD.pack(MAGIC, stamp, _checksum(pixels, shape), *shape))
            file.write(pixels)

    write_whole(path, write)


def _read(path: Path, stamp: int) -> Pixels | None:
    """Pixels in a file; None if it is missing, stale or damaged and has to be written again."""
    try:
        data = path.read_bytes()
        magic, found, checksum, *shape = HEAD.unpack_from(data)
    except (OSError, struct.error):
        return None
    pixels = memoryview(data)[HEAD.size :]
    if (magic, found, checksum) != (MAGIC, stamp, _checksum(pixels, shape)):
        return None
    return Pixels(np.frombuffer(pixels, np.uint8).reshape(*shape[2:], 3), (shape[0], shape[1]))


def _checksum(pixels: memoryview, shape: Sequence[int]) -> int:
    return zlib.crc32(pixels, zlib.crc32(struct.pack("<4I", *shape)))


def _bytes(count: float) -> str:
    return f"{count / 2**30:.1f} GiB"
