"""The memory that limits the batch, a device's or the host's: what is in use, what is free, and when it ran out."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras

from yolo.errors import ConfigError
from yolo.system.available_memory import available_memory
from yolo.system.used_memory import peak_memory, resident_memory

CLEAR = Path("/proc/self/clear_refs")
SIGNS = (
    "RESOURCE_EXHAUSTED",
    "ResourceExhausted",
    "OOM when allocating",
    "Out of memory",
    "out of memory",
    "bad_alloc",
)
"""What the backends' errors say when memory runs out."""


def memory_is_the_hosts() -> bool:
    """Whether the backend computes on processors, in the host's memory."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return not tf.config.list_logical_devices("GPU")
    import jax

    return jax.default_backend() == "cpu"


def memory_now() -> tuple[int, int]:
    """Bytes in use and bytes free of the memory that limits the batch.

    Raises:
        ConfigError: the system does not tell.
    """
    if memory_is_the_hosts():
        used = resident_memory()
        if math.isnan(used):
            raise ConfigError("--batch auto: this system does not tell how much memory is in use; give a number")
        return int(used), available_memory()
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        used = int(tf.config.experimental.get_memory_info("GPU:0")["current"])
        return used, gpu_memory() - used
    used, limit = (int(jax_statistics()[name]) for name in ("bytes_in_use", "bytes_limit"))
    return used, limit - used


def peak_of(work: Callable[[], None]) -> int:
    """The most bytes in use while some work is done (if the system cannot tell, since the process began)."""
    if memory_is_the_hosts():
        with suppress(OSError):
            CLEAR.write_text("5")  # the peak begins anew
        work()
        return int(peak_memory())
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.reset_memory_stats("GPU:0")
        work()
        return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])
    work()
    return int(jax_statistics()["peak_bytes_in_use"])


def jax_statistics() -> dict[str, Any]:
    """What JAX says of the first device's memory."""
    import jax

    return dict(jax.local_devices()[0].memory_stats() or {})


def gpu_memory() -> int:
    """Bytes of the first GPU, which TensorFlow does not tell.

    Raises:
        ConfigError: the driver's program is not there.
    """
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
        return int(found.stdout.split()[0]) * 2**20
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        raise ConfigError(
            "--batch auto: nvidia-smi does not tell how much memory the GPU has; give a number"
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out."""
    return isinstance(error, MemoryError) or any(sign in f"{type(error).__name__}: {error}" for sign in SIGNS)
