"""How much memory the run has taken: the process, and the accelerators where the backend tells."""

from __future__ import annotations

import math
import os
import sys
from contextlib import suppress
from pathlib import Path

import keras

STATM, STATUS = Path("/proc/self/statm"), Path("/proc/self/status")


def resident_memory() -> float:
    """Bytes of the process that are in the machine's memory; the most there were where only that is known, else NaN."""
    with suppress(OSError, ValueError, IndexError):
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return peak_memory()


def peak_memory() -> float:
    """The most bytes of the process that were in the machine's memory; NaN where the system does not tell.

    On Linux the peak can be made to begin anew (see `yolo.system.device_memory.peak_of`).
    """
    with suppress(OSError, StopIteration, ValueError, IndexError):
        lines = STATUS.read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024
    with suppress(ImportError):
        import resource  # not on Windows

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak
    return math.nan


def accelerator_memory() -> float:
    """Bytes in use on all accelerators of this process together; NaN if there are none, or none that tells."""
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
