"""Memory in use: by this process, and on its accelerators where the backend reports it."""

from __future__ import annotations

import math
import sys
from contextlib import suppress
from pathlib import Path

import psutil

STATUS = Path("/proc/self/status")


def resident_memory() -> int:
    """Resident set size of this process, in bytes."""
    return int(psutil.Process().memory_info().rss)


def peak_memory() -> int:
    """Largest resident set size of this process so far, in bytes.

    psutil reports a peak on Windows alone. On Linux the kernel's is read, because it can be reset (see
    `yolo.system.device_memory.peak_of`).
    """
    with suppress(OSError, StopIteration, ValueError, IndexError):
        lines = STATUS.read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024
    on_windows = getattr(psutil.Process().memory_info(), "peak_wset", None)
    if on_windows is not None:
        return int(on_windows)
    import resource  # absent on Windows, which has returned above

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def accelerator_memory() -> float:
    """Bytes in use on all accelerators of this process together; NaN if there are none or none reports it."""
    import keras

    read = {"tensorflow": _tensorflow_memory, "jax": _jax_memory}.get(keras.backend.backend(), list)
    used = read()
    return sum(used) if used else math.nan


def _tensorflow_memory() -> list[int]:
    import tensorflow as tf

    names = [device.name.removeprefix("/physical_device:") for device in tf.config.list_physical_devices("GPU")]
    return [tf.config.experimental.get_memory_info(name)["current"] for name in names]


def _jax_memory() -> list[int]:
    import jax

    every = [device.memory_stats() for device in jax.local_devices()]  # None for a CPU
    return [stats["bytes_in_use"] for stats in every if stats]
