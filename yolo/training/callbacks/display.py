"""Where a run shows its progress: one line drawn anew on a terminal or in a notebook, now and then a line elsewhere."""

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
"""Seconds between two drawings of a line that is drawn anew."""
PLAIN = 30.0
"""Seconds between two plain lines, where no line can be drawn anew: in a log file, a pipe, a batch job."""
CLEAR = "\x1b[K"
"""Tells a terminal to wipe the line from the cursor on."""


class Display:
    """Shows the newest line of a run, if it is time for one.

    Args:
        shown: False: nothing is shown anywhere.
    """

    def __init__(self, shown: bool = True):
        self.notebook = shown and in_notebook()
        self.redrawn = self.notebook or (shown and sys.stderr.isatty())
        """Whether a line takes the place of the one before."""
        self.every = REDRAWN if self.redrawn else PLAIN if shown else math.inf
        self._last, self._length = 0.0, 0

    def begin(self, now: float) -> None:
        """Count the time to the next line from now on."""
        self._last = now

    def due(self, now: float) -> bool:
        """Whether it is time for a line; if so, the time to the next one counts from now on."""
        if now - self._last < self.every:
            return False
        self._last = now
        return True

    def show(self, line: str) -> None:
        """Show a line, in place of the one before where that can be."""
        if self.redrawn:
            self._draw(line)
        else:
            logger.info("%s", line)

    def clear(self) -> None:
        """Wipe the line, if one is drawn."""
        if self.redrawn:
            self._draw("")

    def _draw(self, line: str) -> None:
        if self.notebook:  # where no code wipes: spaces cover a longer line
            print(f"\r{line.ljust(self._length)}", end="" if line else "\r", flush=True)
            self._length = len(line)
        else:
            print(f"\r{line}{CLEAR}", end="", file=sys.stderr, flush=True)


def terminal_columns() -> int:
    """The width of the terminal at stderr, on which the line is drawn; stdout may be a file."""
    with suppress(OSError, ValueError):  # it is none
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
        if columns:
            return columns
    return shutil.get_terminal_size().columns
