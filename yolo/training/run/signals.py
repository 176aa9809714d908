"""SIGTERM and Ctrl-C: a run is told, saves, and leaves."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
ECHO_SECONDS = 2.0
"""A signal that comes again so soon is the same one: Slurm and systemd send it to every process of a job, and the one
that watches over this one (`yolo/distributed/supervisor.py`) passes it on."""


class Interruption:
    """Whether somebody has asked the run to stop."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def leave(self) -> None:
        """End as the signal would have ended the program.

        Raises:
            KeyboardInterrupt: it was Ctrl-C.
            SystemExit: it was SIGTERM; with the shell's exit status for it.
        """
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + int(self.signal or signal.SIGTERM))


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """While it lasts, the first signal is noted for the run to see; a second one, if it is no echo, ends the program.

    Outside the main thread, where Python takes no signals, nothing is noted.
    """
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    noted = 0.0

    def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a handler
        nonlocal noted
        if interruption.signal is None:
            interruption.signal, noted = number, time.monotonic()
        elif number != interruption.signal or time.monotonic() - noted > ECHO_SECONDS:
            for each, handler in before.items():
                signal.signal(each, handler)
            signal.raise_signal(number)

    for number in SIGNALS:
        signal.signal(number, note)
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
