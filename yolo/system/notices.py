"""Messages of the `yolo` loggers for a program that has not configured logging."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def notices() -> Iterator[None]:
    """Print messages of the `yolo` loggers, as the command line does, inside the context or decorated call.

    Does nothing if the program has configured logging itself. The change is undone afterwards, so that a later
    configuration does not print messages twice.
    """
    logger = logging.getLogger("yolo")
    if logger.hasHandlers() or logger.level != logging.NOTSET:
        yield
        return
    # Notebooks show stderr in red.
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
