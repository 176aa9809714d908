"""Tuning of the memory allocator (glibc's malloc) for training steps."""

from __future__ import annotations

import ctypes
import sys

# glibc's malloc.h
M_TRIM_THRESHOLD = -1
M_TOP_PAD = -2
M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8
LARGEST = 2**31 - 1
"""Largest value that mallopt takes, a C int."""
STEP = 64 * 2**20
"""Bytes by which the heap grows at a time."""


def tune_allocator() -> bool:
    """Make glibc keep the memory that a training step frees, for the next step; returns whether it could be set.

    By default glibc returns large blocks to the system, which has to zero every page again when the next step
    allocates them. Threads other than the first have heaps of 64 MB, too small for large blocks: one heap for all
    avoids that. To be called before other threads start, so before TensorFlow is imported. Systems with another
    allocator are left alone.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # musl
        return False
    settings = (
        (M_MMAP_THRESHOLD, LARGEST),
        (M_TRIM_THRESHOLD, LARGEST),
        (M_TOP_PAD, STEP),
        (M_ARENA_MAX, 1),
    )
    accepted = [mallopt(name, value) == 1 for name, value in settings]
    return all(accepted)
