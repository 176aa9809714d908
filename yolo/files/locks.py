"""Locks held by the operating system: one process at a time writes into a folder.

The system releases a lock when its process ends in any way, so the lock file of a killed process blocks nobody.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from yolo.errors import ConfigError

logger = logging.getLogger(__name__)

NAME = ".lock"
"""Name of a folder's lock file, which exists only while the lock is held or after its holder was killed."""
SECONDS = 0.2
"""Seconds to wait for a lock, as its holder may be about to end."""
REMEDY = "wait for it or give another --out"

_held: dict[Path, tuple[int, int]] = {}
"""Lock files that this process holds, with the ids of process (it differs after a fork) and thread."""
_unlockable: set[Path] = set()
"""Lock files that cannot be locked and have been warned of."""


class BusyError(Exception):
    """Another process or thread holds the lock; the message names it."""


@contextmanager
def locked_folder(folder: str | Path, *, remedy: str = REMEDY) -> Iterator[None]:
    """Keep other processes and threads out of an output folder; within one thread it may be nested.

    If the file system does not support locks, or this process may not create the lock file, there is one warning and
    no lock.

    Args:
        folder: existing folder.
        remedy: end of the error's message.

    Raises:
        ConfigError: another process or thread holds the lock; nothing has been changed.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(locked_file(Path(folder) / NAME))
        except BusyError as error:
            raise ConfigError(f"a run is going on in {folder} ({error}); {remedy}") from error
        yield


def check_free(folder: str | Path) -> None:
    """Check that nobody else holds the lock of a folder, without creating a lock file.

    Raises:
        ConfigError: another process or thread does.
    """
    if (Path(folder) / NAME).is_file():
        with locked_folder(folder):
            pass


def is_unused(folder: Path) -> bool:
    """Whether a folder is empty, except perhaps for the lock file of a killed process.

    Raises:
        OSError: the folder cannot be read.
    """
    return all(path.name == NAME for path in folder.iterdir())


@contextmanager
def locked_file(path: Path) -> Iterator[None]:
    """Hold a lock inside the block; its file is deleted afterwards.

    Raises:
        BusyError: another process or thread holds it.
    """
    path = path.parent.resolve() / path.name
    own = (os.getpid(), threading.get_ident())
    if _held.get(path) == own or (lock := _acquire(path)) is None:
        yield
        return
    _held[path] = own
    try:
        yield
    finally:
        if os.getpid() == own[0]:  # a forked child that leaves by an exception does not own the lock
            del _held[path]
            with suppress(OSError):  # before the release: afterwards another process may have locked the file
                path.unlink()
            lock.release()


def _acquire(path: Path) -> FileLock | None:
    """Acquire the lock on a file; None where files cannot be locked.

    Raises:
        BusyError: another process or thread holds it.
    """
    # Soft locks would survive a killed process.
    lock = FileLock(path, timeout=SECONDS, poll_interval=SECONDS / 10, fallback_to_soft=False, on_acquired=_sign)
    try:
        lock.acquire()
    except Timeout as error:
        raise BusyError(_holder(path)) from error
    except OSError as error:
        if path not in _unlockable:
            _unlockable.add(path)
            reason = error.strerror or error
            logger.warning("%s: cannot be locked (%s); see that no other process writes there", path.parent, reason)
        return None
    return lock


def _sign(descriptor: int) -> None:
    """Write the holder of a lock into its file."""
    since = datetime.now().astimezone().isoformat(" ", "seconds")
    holder = {"process": os.getpid(), "host": platform.node(), "since": since}
    with suppress(OSError):  # the disk may be full; the lock holds all the same
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps(holder).encode())


def _holder(path: Path) -> str:
    """Holder of a lock, read from its file if possible."""
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return f"process {holder['process']} on {holder['host']}, since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
