"""Temporary handlers of the signals that ask a process to stop."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Stop signals: Ctrl-C, and the one that kill, Slurm and systemd send."""


@contextmanager
def stop_signal_handler(handle: Callable[[int], None]) -> Iterator[Callable[[], None]]:
    """Call ``handle`` with the number of each stop signal inside the block; main thread only.

    Yields:
        A function that restores the previous handlers before the block ends.
    """
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in STOP_SIGNALS:
        signal.signal(number, lambda number, _: handle(number))
    try:
        yield restore
    finally:
        restore()
