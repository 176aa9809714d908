"""Filters of Python's warnings that may be set while other threads run.

`warnings.catch_warnings` is not used: it exchanges the filters of the whole process, so that meanwhile a warning in any
thread is treated alike, and of two threads that do so at once, one leaves its filters behind for good.
"""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from typing import Literal

_one_at_a_time = threading.RLock()
_added: set[tuple[object, ...]] = set()
"""Filters of `add_filter`."""


def add_filter(action: Literal["error", "ignore"], modules: str) -> None:
    """Filter the warnings that arise in some modules from now on, before all other filters.

    Called again, it puts its filter before those that others have set since.

    Args:
        action: what is done with them.
        modules: regular expression for the beginning of their names.
    """
    wanted = _filter(action, modules)
    _added.add(wanted)
    if wanted not in takewhile(_added.__contains__, warnings.filters):
        warnings.filterwarnings(action, module=modules)


@contextmanager
def filtering(action: Literal["error", "ignore"], modules: str) -> Iterator[None]:
    """Filter the warnings that arise in some modules as long as the context lasts; arguments as of `add_filter`."""
    with _one_at_a_time:
        warnings.filterwarnings(action, module=modules)
        try:
            yield
        finally:
            with suppress(ValueError):  # somebody has exchanged all of them
                warnings.filters.remove(_filter(action, modules))  # type: ignore[attr-defined]


def _filter(action: str, modules: str) -> tuple[str, None, type[Warning], re.Pattern[str], int]:
    """A filter as it stands in `warnings.filters`."""
    return (action, None, Warning, re.compile(modules), 0)
