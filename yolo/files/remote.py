"""File access by local path or by any address that `tf.io.gfile` opens, such as ``gs://bucket/folder``.

Local files are accessed by Python itself, which needs no TensorFlow and reads a range of a file five times as fast.
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
"""Handles of remote files kept open between reads; each holds a read-ahead buffer of half a MiB."""
CHUNK = 16 * 2**20
"""Bytes of a remote file written at a time."""


def is_remote(address: str) -> bool:
    """Whether an address is for `tf.io.gfile` rather than a local path."""
    return "://" in address


def join(folder: str, name: str) -> str:
    """Join a folder's address or path and a name."""
    return f"{folder.rstrip('/')}/{name}" if is_remote(folder) else str(Path(folder) / name)


@contextmanager
def named_faults(address: str, error: type[YoloError] = AnnotationError) -> Iterator[None]:
    """Turn errors of the file system, TensorFlow's included, into a YoloError that names the file."""
    try:
        yield
    except OSError as fault:
        raise error(f"{fault.filename or address}: cannot be read ({fault.strerror or fault})") from fault
    except Exception as fault:
        if not is_remote(address) or not _is_tensorflows(fault):
            raise
        raise error(f"{address}: cannot be read ({_reason(fault)})") from fault


def list_names(folder: str) -> list[str]:
    """List the names of a folder's entries, sorted."""
    if not is_remote(folder):
        return sorted(os.listdir(folder))  # noqa: PTH208 - names, not paths
    import tensorflow as tf

    # Some of TensorFlow's file systems mark folders with a slash, and list the folder itself.
    return sorted(name for each in tf.io.gfile.listdir(folder) if (name := each.rstrip("/")))


def file_size(address: str) -> int:
    """Size of a file in bytes."""
    if not is_remote(address):
        return Path(address).stat().st_size
    import tensorflow as tf

    return int(tf.io.gfile.stat(address).length)


@contextmanager
def opened(address: str) -> Iterator[IO[bytes]]:
    """Open a file for reading, with random access."""
    if not is_remote(address):
        with open_file(address) as file:
            yield file
        return
    import tensorflow as tf

    with tf.io.gfile.GFile(address, "rb") as remote:
        yield remote


def read_range(address: str, offset: int, length: int) -> bytes:
    """Read a range of a file, cut off at its end; thread-safe."""
    if is_remote(address):
        with _handles.taken(address) as file:
            file.seek(offset)
            return file.read(length)
    with open_file(address, buffering=0) as local:
        local.seek(offset)
        return local.read(length)


class HandlePool:
    """Pool of open handles of remote files: opening one costs network round trips.

    A handle has one position, so each reader takes one out of the pool. (One handle per thread would not work:
    TensorFlow's threads lose their Python state between calls.)
    """

    def __init__(self, limit: int = IDLE_FILES) -> None:
        """Make an empty pool of at most ``limit`` idle handles."""
        self._limit = limit
        self._lock = threading.Lock()
        self._idle: OrderedDict[str, list[tf.io.gfile.GFile]] = OrderedDict()
        """Idle handles by address, in order of last use; no list is empty."""

    @contextmanager
    def taken(self, address: str) -> Iterator[tf.io.gfile.GFile]:
        """Take a handle of a file out of the pool for one reader; it is discarded if reading fails."""
        file = self._take(address)
        try:
            yield file
        except BaseException:
            file.close()
            raise
        self._put_back(address, file)

    def forget(self, address: str) -> None:
        """Close the idle handles of a file that has changed: their read-ahead buffers are stale."""
        with self._lock:
            files = self._idle.pop(address, [])
        for file in files:
            file.close()

    def close(self) -> None:
        """Close the idle handles, and from now on every handle that is returned."""
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
        """Remove an idle handle; the lock must be held."""
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
    """Write a file whole or not at all by one of TensorFlow's writers, which is given a temporary name.

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
    """Reason of an error without the file's name, which our message has already."""
    text = str(getattr(fault, "strerror", None) or getattr(fault, "message", None) or fault)
    return " ".join(text.rpartition("; ")[2].split())
