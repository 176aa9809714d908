"""The memory allocator of the process, tuned for training steps."""

from __future__ import annotations

import ctypes
import sys

# glibc's malloc.h
M_TRIM_THRESHOLD = -1
M_TOP_PAD = -2
M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8
LARGEST = 2**31 - 1
"""What mallopt takes is a C int."""
STEP = 64 * 2**20
"""By so many bytes the heap grows."""


def tune_allocator() -> bool:
    """Let glibc keep the memory that a step frees for the next one; whether it could be told.

    By its defaults it hands large blocks back to the system, which clears every page anew when the next step asks
    for them. Threads beyond the first have heaps of 64 MB, in which a large block finds no place: one heap for all.
    Best called before other threads are started, that is before TensorFlow is imported. Without effect on systems
    whose allocator is another.
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
    told = [mallopt(name, value) == 1 for name, value in settings]
    return all(told)
