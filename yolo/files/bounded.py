"""Bounded reading of the user's files: regular files only, and never more bytes than a limit.

A named pipe or a device in place of an image or annotation file would hang the program or never end; a file far
larger than any of its type would fill the memory before its content is found to be invalid.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import IO

from yolo.errors import ConfigError, YoloError

MIB = 2**20
KINDS = {
    stat.S_IFDIR: "is a folder",
    stat.S_IFIFO: "is a named pipe",
    stat.S_IFSOCK: "is a socket",
    stat.S_IFCHR: "is a device",
    stat.S_IFBLK: "is a device",
}
FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
"""Flags of `os.open` that never wait for a pipe's other end: a checked file may be replaced before it is opened."""


def open_file(path: str | Path, *, buffering: int = -1) -> IO[bytes]:
    """Open a regular file for reading, with ``buffering`` as in Python's `open`.

    Raises:
        OSError: it is missing, cannot be read, or is a folder, a pipe, a socket or a device; its ``strerror`` says so.
    """
    try:
        # Not `os.fdopen`: Keras needs the file's name for temporary files beside it.
        return open(path, "rb", buffering, opener=lambda name, _: open_descriptor(name))
    except ValueError as error:  # NUL in the name
        raise OSError(errno.EINVAL, str(error), str(path)) from error


def open_descriptor(path: str | Path) -> int:
    """Open a regular file as `open_file` does; return its descriptor, which the caller must close."""
    _check_regular(os.stat(path), path)  # noqa: PTH116 - checked before opening, which may rewind a tape
    descriptor = os.open(path, FLAGS)
    try:
        _check_regular(os.fstat(descriptor), path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _check_regular(status: os.stat_result, path: str | Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        reason = KINDS.get(stat.S_IFMT(status.st_mode), "is something else")
        raise OSError(errno.EINVAL, f"{reason}, not a file", str(path))


def open_or_fault(path: str | Path, error: type[YoloError] = ConfigError) -> IO[bytes]:
    """Open a regular file as `open_file` does, but raise a YoloError in place of an OSError.

    Raises:
        YoloError: of the class ``error``: the file is missing, cannot be read, or is not a regular file.
    """
    try:
        return open_file(path)
    except OSError as fault:
        raise error(unreadable(path, fault)) from fault


def unreadable(path: str | Path, fault: OSError) -> str:
    """Describe why a file cannot be read, with the same words for all readers."""
    return f"{path}: cannot be read ({fault.strerror or fault})"


def read_bytes(
    path: str | Path, *, limit: int, error: type[YoloError] = ConfigError, what: str = "such a file"
) -> bytes:
    """Read a whole file.

    Args:
        path: file to read.
        limit: largest size in bytes.
        error: class of the error to raise.
        what: type of file, with its article, for the message.

    Raises:
        YoloError: of the class ``error``: the file is missing, too large, cannot be read, or is not a regular file.
    """
    with open_or_fault(path, error) as file:
        try:
            size = os.fstat(file.fileno()).st_size
            content = b"" if size > limit else _read_all(file, size, limit)
        except OSError as fault:
            raise error(unreadable(path, fault)) from fault
    size = max(size, len(content))
    if size > limit:
        raise error(f"{path}: {in_units(size)}; {what} may have {in_units(limit)} at most")
    return content


def _read_all(file: IO[bytes], size: int, limit: int) -> bytes:
    """Read to the end, or slightly beyond the limit if the file grows meanwhile."""
    content = file.read(size + 1)  # Python allocates as many bytes as are requested: do not request the limit
    while size < len(content) <= limit and (more := file.read(MIB)):
        content += more
    return content


def read_text(path: str | Path, *, limit: int, error: type[YoloError] = ConfigError, what: str = "it") -> str:
    """Read a whole UTF-8 text file, with or without a byte order mark; arguments as in `read_bytes`.

    Raises:
        YoloError: of the class ``error``: as in `read_bytes`, or the file is not UTF-8.
    """
    content = read_bytes(path, limit=limit, error=error, what=what)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = content.count(b"\n", 0, fault.start) + 1
        raise error(f"{path}:{line}: not a text file in UTF-8; save it as UTF-8") from fault


def in_units(size: int) -> str:
    """Format a number of bytes in a suitable unit, rounded up."""
    return f"{-(-size // MIB):,} MiB" if size >= MIB else f"{size:,} bytes"
