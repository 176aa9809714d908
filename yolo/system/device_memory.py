"""Memory that limits the batch size, a device's or the host's: in use, free, peak, and out-of-memory errors."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras

from yolo.errors import ConfigError
from yolo.system.available_memory import available_memory
from yolo.system.used_memory import peak_memory, resident_memory

CLEAR_REFS = Path("/proc/self/clear_refs")
SIGNS = (
    "RESOURCE_EXHAUSTED",
    "ResourceExhausted",
    "OOM when allocating",
    "Out of memory",
    "out of memory",
    "bad_alloc",
)
"""Texts by which the backends' out-of-memory errors are recognised."""


def memory_is_the_hosts() -> bool:
    """Whether the backend computes on the CPU, and so in the host's memory."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return not tf.config.list_logical_devices("GPU")
    import jax

    return jax.default_backend() == "cpu"


def memory_now() -> tuple[int, int]:
    """Bytes in use and bytes free of the memory that limits the batch size.

    Raises:
        ConfigError: the size of the GPU's memory is unknown.
    """
    if memory_is_the_hosts():
        return resident_memory(), available_memory()
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        used = int(tf.config.experimental.get_memory_info("GPU:0")["current"])
        return used, gpu_memory() - used
    used, limit = (int(jax_statistics()[name]) for name in ("bytes_in_use", "bytes_limit"))
    return used, limit - used


def peak_of(work: Callable[[], None]) -> int:
    """Peak of the bytes in use while some work is done; where the peak cannot be reset, since the process began."""
    if memory_is_the_hosts():
        with suppress(OSError):
            CLEAR_REFS.write_text("5")  # resets the peak, see proc(5)
        work()
        return peak_memory()
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.reset_memory_stats("GPU:0")
        work()
        return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])
    work()
    return int(jax_statistics()["peak_bytes_in_use"])


def jax_statistics() -> dict[str, Any]:
    """Memory statistics of JAX's first device, such as ``bytes_in_use``; empty if it has none."""
    import jax

    return dict(jax.local_devices()[0].memory_stats() or {})


def gpu_memory() -> int:
    """Total bytes of the first GPU's memory, from nvidia-smi: TensorFlow reports only what is in use.

    Raises:
        ConfigError: nvidia-smi is missing or fails.
    """
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
        return int(found.stdout.split()[0]) * 2**20
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        raise ConfigError("--batch auto: nvidia-smi does not say how much memory the GPU has; give a number") from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error is an out-of-memory error of Python or of a backend."""
    return isinstance(error, MemoryError) or any(sign in f"{type(error).__name__}: {error}" for sign in SIGNS)
