"""Folders that may lie on this machine or at any address `tf.io.gfile` knows, such as ``gs://bucket/folder``.

Local files go through Python, which needs no TensorFlow and reads a range of a file in a fifth of the time.
"""

from __future__ import annotations

import atexit
import io
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from yolo.errors import AnnotationError, ConfigError, YoloError
from yolo.files.atomic import write_whole
from yolo.files.bounded import open_file

if TYPE_CHECKING:
    import tensorflow as tf

IDLE_FILES = 256
"""Handles of remote files that are kept open between two reads; each holds half a MiB that it has read ahead."""
CHUNK = 16 * 2**20
"""Bytes of a remote file that are written at once."""


def is_remote(address: str) -> bool:
    return "://" in address


def join(folder: str, name: str) -> str:
    return f"{folder.rstrip('/')}/{name}" if is_remote(folder) else str(Path(folder) / name)


@contextmanager
def named_faults(address: str, error: type[YoloError] = AnnotationError) -> Iterator[None]:
    """Turns what a file system refuses, TensorFlow's included, into an error that names the file."""
    try:
        yield
    except OSError as fault:
        raise error(f"{fault.filename or address}: cannot be read ({fault.strerror or fault})") from fault
    except Exception as fault:
        if not is_remote(address) or not _is_tensorflows(fault):
            raise
        raise error(f"{address}: cannot be read ({_reason(fault)})") from fault


def list_names(folder: str) -> list[str]:
    """The names of a folder's entries, sorted."""
    if not is_remote(folder):
        return sorted(os.listdir(folder))  # noqa: PTH208 - names, not paths
    import tensorflow as tf

    # Some of its file systems mark folders with a slash, and list the folder itself.
    return sorted(name for each in tf.io.gfile.listdir(folder) if (name := each.rstrip("/")))


def file_size(address: str) -> int:
    """Bytes of a file."""
    if not is_remote(address):
        return Path(address).stat().st_size
    import tensorflow as tf

    return int(tf.io.gfile.stat(address).length)


@contextmanager
def opened(address: str) -> Iterator[IO[bytes]]:
    """A file to read from, anywhere in it."""
    if not is_remote(address):
        with open_file(address) as file:
            yield file
        return
    import tensorflow as tf

    with tf.io.gfile.GFile(address, "rb") as remote:
        yield remote


def read_range(address: str, offset: int, length: int) -> bytes:
    """Some bytes of a file, fewer where it ends; may be called from many threads at once."""
    if is_remote(address):
        with _handles.taken(address) as file:
            file.seek(offset)
            return file.read(length)
    with open_file(address, buffering=0) as local:
        local.seek(offset)
        return local.read(length)


class HandlePool:
    """Open remote files that nobody reads just now: to open one costs round trips.

    A handle has one position, so whoever reads takes it out. (Handles of each thread's own would not last:
    TensorFlow's threads forget their Python state between two calls.)
    """

    def __init__(self, limit: int = IDLE_FILES) -> None:
        """Make an empty pool, which keeps so many handles at most; those that are being read do not count."""
        self._limit = limit
        self._lock = threading.Lock()
        self._idle: OrderedDict[str, list[tf.io.gfile.GFile]] = OrderedDict()
        """By address, the one used last at the end; no list is empty."""

    @contextmanager
    def taken(self, address: str) -> Iterator[tf.io.gfile.GFile]:
        """A handle of the file for one reader alone; if reading fails, it is not used again."""
        file = self._take(address)
        try:
            yield file
        except BaseException:
            file.close()
            raise
        self._put_back(address, file)

    def forget(self, address: str) -> None:
        """Close the idle handles of a file, which has changed: they may have read ahead."""
        with self._lock:
            files = self._idle.pop(address, [])
        for file in files:
            file.close()

    def close(self) -> None:
        """Close the idle handles, and from now on every handle as it comes back."""
        with self._lock:
            self._limit = 0
            addresses = list(self._idle)
        for address in addresses:
            self.forget(address)

    def _take(self, address: str) -> tf.io.gfile.GFile:
        with self._lock:
            if address in self._idle:
                return self._pop(address)
        import tensorflow as tf

        return tf.io.gfile.GFile(address, "rb")

    def _put_back(self, address: str, file: tf.io.gfile.GFile) -> None:
        with self._lock:
            self._idle.setdefault(address, []).append(file)
            self._idle.move_to_end(address)
            full = sum(map(len, self._idle.values())) > self._limit
            surplus = self._pop(next(iter(self._idle))) if full else None
        if surplus is not None:
            surplus.close()

    def _pop(self, address: str) -> tf.io.gfile.GFile:
        """With the lock held."""
        files = self._idle[address]
        file = files.pop()
        if not files:
            del self._idle[address]
        return file


_handles = HandlePool()
atexit.register(_handles.close)


def write_file(address: str, write: Callable[[IO[bytes]], Any]) -> None:
    """Write a file whole or not at all.

    Raises:
        ConfigError: it cannot be written.
    """
    if not is_remote(address):

        def save(temporary: Path) -> None:
            with temporary.open("wb") as file:
                write(file)

        write_whole(address, save)
        return
    import tensorflow as tf

    buffer = io.BytesIO()
    write(buffer)
    content = buffer.getbuffer()

    def upload(temporary: str) -> None:
        with tf.io.gfile.GFile(temporary, "wb") as file:
            for start in range(0, len(content), CHUNK):
                file.write(bytes(content[start : start + CHUNK]))

    write_with_tensorflow(address, upload)


def write_with_tensorflow(address: str, write: Callable[[str], Any]) -> None:
    """Let one of TensorFlow's writers write a file whole or not at all; it is given a name beside the final one.

    Raises:
        ConfigError: it cannot be written.
    """
    import tensorflow as tf

    folder, name = os.path.split(address)
    temporary = join(folder, f".{name}.partial")
    try:
        write(temporary)
        tf.io.gfile.rename(temporary, address, overwrite=True)
        _handles.forget(address)
    except (tf.errors.OpError, OSError) as fault:
        raise ConfigError(f"{address}: cannot be written ({_reason(fault)})") from fault
    finally:
        with suppress(tf.errors.OpError):
            tf.io.gfile.remove(temporary)


def _is_tensorflows(fault: Exception) -> bool:
    import tensorflow as tf

    return isinstance(fault, tf.errors.OpError)


def _reason(fault: Exception) -> str:
    """What went wrong, without the name of the file, which the message has already."""
    text = str(getattr(fault, "strerror", None) or getattr(fault, "message", None) or fault)
    return " ".join(text.rpartition("; ")[2].split())
