"""Locks held by the operating system: one process at a time writes into a folder.

The system ends a lock together with its process, however that ends: a lock file that a killed process has left behind
blocks nobody.
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
from yolo.files.atomic import is_file

logger = logging.getLogger(__name__)

NAME = ".lock"
"""The lock file of a folder. It is there only while the lock is held, or after its holder was killed."""
SECONDS = 0.2
"""How long a lock is waited for: its holder may be about to end."""
REMEDY = "wait for it or give another --out"

_held: dict[Path, tuple[int, int]] = {}
"""The lock files that this process holds, with its id (after a fork it is another's) and that of the thread."""
_unlockable: set[Path] = set()
"""The lock files of which it was said that they cannot be locked."""


class BusyError(Exception):
    """Another process or thread holds the lock; the message names it."""


@contextmanager
def locked_folder(folder: str | Path, *, remedy: str = REMEDY) -> Iterator[None]:
    """Keep other processes and threads out of an output folder; within one thread it may be nested.

    Where the file system knows no locks, or does not let this process make a lock file, a warning says so once and
    the work goes on.

    Args:
        folder: must exist.
        remedy: the end of the error's message.

    Raises:
        ConfigError: another process or thread holds the lock; nothing has been changed.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(locked_file(Path(folder) / NAME))
        except BusyError as error:
            raise ConfigError(f"a run is going on in {folder} ({error}); {remedy}") from error
        yield


def check_free(folder: str | Path, *, remedy: str = REMEDY) -> None:
    """See that nobody holds the lock of a folder, without making a lock file in it; arguments as of `locked_folder`.

    Raises:
        ConfigError: somebody else does.
    """
    if is_file(Path(folder) / NAME):
        with locked_folder(folder, remedy=remedy):
            pass


def is_unused(folder: Path) -> bool:
    """Whether a folder holds nothing but perhaps the lock file of a process that was killed.

    Raises:
        OSError: the folder cannot be read.
    """
    return all(path.name == NAME for path in folder.iterdir())


@contextmanager
def locked_file(path: Path) -> Iterator[None]:
    """Hold a lock file, which is deleted afterwards.

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
        if os.getpid() == own[0]:  # a forked child that leaves by an exception has no part in it
            del _held[path]
            with suppress(OSError):  # first, so that a file is never deleted that another process has locked
                path.unlink()
            lock.release()


def _acquire(path: Path) -> FileLock | None:
    """The lock on a file; None where files cannot be locked.

    Raises:
        BusyError: another process or thread holds it.
    """
    # Soft locks, which stay when their process is killed, are not wanted.
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
    """Write into a lock file who holds it."""
    since = datetime.now().astimezone().isoformat(" ", "seconds")
    holder = {"process": os.getpid(), "host": platform.node(), "since": since}
    with suppress(OSError):  # on a full disk it is a lock all the same
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps(holder).encode())


def _holder(path: Path) -> str:
    """Who holds a lock file, as far as it can be read."""
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return f"process {holder['process']} on {holder['host']}, since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
