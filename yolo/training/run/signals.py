"""SIGTERM and Ctrl-C during a run: it saves a checkpoint and stops."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from yolo.system.signal_handlers import stop_signal_handler

ECHO_SECONDS = 2.0
"""Time within which a repeated signal counts as an echo of the first: Slurm and systemd signal every process of a job,
and the supervisor of this one (`yolo/distributed/supervisor.py`) forwards it as well."""


class Interruption:
    """Request to stop the run: the signal received, or None."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def leave(self) -> None:
        """End the program as the signal would have done.

        Raises:
            KeyboardInterrupt: the signal was Ctrl-C.
            SystemExit: the signal was SIGTERM; with the shell's exit status for it.
        """
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + int(self.signal or signal.SIGTERM))


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Note the first stop signal inside the block, for the run to see; a second one, unless an echo, ends the program.

    Outside the main thread, where Python delivers no signals, nothing is noted.
    """
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    noted = 0.0

    def note(number: int) -> None:
        nonlocal noted
        if interruption.signal is None:
            interruption.signal, noted = number, time.monotonic()
        elif number != interruption.signal or time.monotonic() - noted > ECHO_SECONDS:
            restore()
            signal.raise_signal(number)

    with stop_signal_handler(note) as restore:
        yield interruption
