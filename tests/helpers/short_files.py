"""A limit on the length of files, which stands for a full disk."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def no_file_longer_than(limit: int) -> Iterator[None]:
    """Let no file grow beyond ``limit`` bytes; skips the test where a system knows no such limit.

    Modules imported meanwhile are not kept as bytecode: Python would write it cut off, and every later import of them
    would fail (fixed in Python 3.14).
    """
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    kept, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        sys.dont_write_bytecode = kept
