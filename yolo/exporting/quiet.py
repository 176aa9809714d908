"""Silence of other programs while they work, so that stdout holds our results alone."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from io import StringIO

NNCF = "nncf"
"""NNCF's logger, whose handler holds the stdout of the time when it was imported."""


@contextmanager
def quiet() -> Iterator[None]:
    """Keep back progress bars, and what NNCF and users of the root logger log below errors, inside the context.

    The lines of our own loggers still come: their handlers hold the stream that they were made with.
    """
    root, nothing = logging.getLogger(), logging.NullHandler()
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(StringIO()))
        stack.enter_context(redirect_stderr(StringIO()))
        root.addFilter(_is_error)
        stack.callback(root.removeFilter, _is_error)
        root.addHandler(nothing)  # without any, the first record logged to the root would add one, for all loggers
        stack.callback(root.removeHandler, nothing)
        if NNCF in root.manager.loggerDict:  # else it will be made by NNCF, of a class of its own
            logger = logging.getLogger(NNCF)
            stack.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.ERROR)
        yield


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR
