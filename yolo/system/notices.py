"""Messages of the `yolo` loggers for a program that has not configured logging."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def notices() -> Iterator[None]:
    """Print what the `yolo` loggers say, as the command line does, while the context (or decorated call) lasts.

    Nothing is changed where the program has configured logging itself, and nothing stays changed afterwards, so
    that a configuration made later does not print messages twice.
    """
    logger = logging.getLogger("yolo")
    if logger.hasHandlers() or logger.level != logging.NOTSET:
        yield
        return
    # A notebook paints stderr red.
    handler = logging.StreamHandler(sys.stdout if in_notebook() else sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(logging.NOTSET)
        logger.removeHandler(handler)


def in_notebook() -> bool:
    """Whether this is a Jupyter kernel: a notebook, not IPython on a terminal."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None
