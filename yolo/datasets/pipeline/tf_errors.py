"""Exceptions and shutdown between TensorFlow's reader threads and Python.

TensorFlow turns whatever a Python function raises in one of its threads into an error of its own with the traceback as
text; and a thread of it that enters Python while the interpreter shuts down aborts the process.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from yolo.errors import YoloError

Result = TypeVar("Result")

QUIET_SECONDS = 0.1
"""Time without a call after which no thread can still be about to enter Python."""

_failures: deque[YoloError] = deque(maxlen=64)


class _Gate:
    """Counts TensorFlow's calls into Python; once closed, it ends streams that still call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._used = False
        self._closed = False
        self._latest = 0.0

    def __enter__(self) -> None:
        with self._lock:
            self._latest, self._used = time.monotonic(), True
            if self._closed:
                raise StopIteration  # means the end of the stream to TensorFlow
            self._running += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._latest = time.monotonic()
            self._running -= 1

    def close(self) -> None:
        """Wait for running calls to end and reject new ones."""
        with self._lock:
            self._closed, self._latest = True, time.monotonic()
        while self._running or (self._used and time.monotonic() - self._latest < QUIET_SECONDS):
            time.sleep(QUIET_SECONDS / 10)


_gate = _Gate()
atexit.register(_gate.close)


def guarded(function: Callable[..., Result]) -> Callable[..., Result]:
    """Wrap a function that TensorFlow's threads call; see `reported_failures`."""

    def call(*arguments: object) -> Result:
        with _gate:
            try:
                return function(*arguments)
            except YoloError as error:
                _failures.append(error)
                raise

    return call


@contextmanager
def reported_failures() -> Iterator[None]:
    """Context for code that draws batches; converts TensorFlow's error back to the YoloError behind it.

    Raises:
        YoloError: a guarded function raised it, e.g. the MediaError of an image that cannot be read.
    """
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        # A TensorFlow message quotes the whole traceback: match the error quoted last.
        places = [(str(error).rfind(f"{type(failure).__name__}: {failure}"), failure) for failure in list(_failures)]
        place, behind = max(places, key=lambda found: found[0], default=(-1, error))
        if place < 0:
            raise
        raise behind from None
