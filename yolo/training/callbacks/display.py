"""Display of a run's progress: a line redrawn on a terminal or in a notebook; elsewhere a plain line at intervals."""

from __future__ import annotations

import logging
import math
import os
import shutil
import sys
from contextlib import suppress

from yolo.system.notices import in_notebook

logger = logging.getLogger(__name__)

REDRAWN = 0.1
"""Seconds between two drawings of a redrawn line."""
PLAIN = 30.0
"""Seconds between two plain lines, where no line can be redrawn: in a log file, a pipe, a batch job."""
CLEAR = "\x1b[K"
"""Terminal sequence that clears the line from the cursor on."""


class Display:
    """Shows the newest line of a run, at most once per interval.

    Args:
        shown: whether to show anything at all.
    """

    def __init__(self, shown: bool = True):
        self.notebook = shown and in_notebook()
        self.redrawn = self.notebook or (shown and sys.stderr.isatty())
        """Whether a line replaces the one before."""
        self.every = REDRAWN if self.redrawn else PLAIN if shown else math.inf
        self._last, self._length = 0.0, 0

    def begin(self, now: float) -> None:
        """Start the interval until the next line."""
        self._last = now

    def due(self, now: float) -> bool:
        """Whether it is time for a line; if so, the next interval starts."""
        if now - self._last < self.every:
            return False
        self._last = now
        return True

    def show(self, line: str) -> None:
        """Show a line, replacing the one before where possible."""
        if self.redrawn:
            self._draw(line)
        else:
            logger.info("%s", line)

    def clear(self) -> None:
        """Clear the line, if one is drawn."""
        if self.redrawn:
            self._draw("")

    def _draw(self, line: str) -> None:
        if self.notebook:  # notebooks ignore the clear sequence: spaces cover a longer line
            print(f"\r{line.ljust(self._length)}", end="" if line else "\r", flush=True)
            self._length = len(line)
        else:
            print(f"\r{line}{CLEAR}", end="", file=sys.stderr, flush=True)


def terminal_columns() -> int:
    """Width of the terminal at stderr, where the line is drawn; stdout may be a file."""
    with suppress(OSError, ValueError):  # not a terminal
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
        if columns:
            return columns
    return shutil.get_terminal_size().columns
