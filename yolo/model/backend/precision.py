"""Choice of the training precision: the fastest one on this hardware that needs no special care."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import keras

from yolo.config import Precision

logger = logging.getLogger(__name__)

CPU_FLAGS = {"avx512_bf16", "amx_bf16"}
"""CPU flags that mean bfloat16 multiplication in hardware."""
BFLOAT16_CAPABILITY = (8, 0)
"""NVIDIA compute capability from which bfloat16 is as fast as float16 (Ampere)."""
FLOAT16_CAPABILITY = (7, 0)
"""NVIDIA compute capability from which there are float16 units at all (Volta)."""


class Choice(NamedTuple):
    """Keras dtype policy and the reason for it."""

    policy: str
    reason: str


ELSEWHERE = {
    "tpu": Choice("mixed_bfloat16", "TPUs multiply bfloat16"),
    "gpu": Choice("float32", "the GPU reports no NVIDIA compute capability: its fastest precision is unknown"),
}
"""Choices for accelerators other than NVIDIA GPUs."""


@contextmanager
def computing_in(policy: str) -> Iterator[None]:
    """Set Keras' dtype policy for networks built inside the context, and restore the previous one on exit."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def choose_precision(wanted: Precision) -> str:
    """Choose the Keras dtype policy for an option; an automatic choice is logged with its reason.

    Weights, batch statistics, heads and loss are float32 in every policy.
    """
    best = best_precision()
    if wanted == "auto":
        logger.info("precision %s: %s", best.policy, best.reason)
        return best.policy
    if wanted != "float32" and best.policy == "float32":
        logger.warning("precision %s may be slower than float32: %s", wanted, best.reason)
    return wanted


def best_precision() -> Choice:
    """Fastest policy on the hardware of the backend."""
    capability = gpu_capability()
    if capability is None:
        return ELSEWHERE.get(accelerator()) or _on_cpu()
    name = f"the GPU has compute capability {capability[0]}.{capability[1]}"
    if capability >= BFLOAT16_CAPABILITY:
        return Choice("mixed_bfloat16", name)
    return Choice("mixed_float16" if capability >= FLOAT16_CAPABILITY else "float32", name)


def _on_cpu() -> Choice:
    if keras.backend.backend() != "tensorflow":
        return Choice("float32", f"the {keras.backend.backend()} backend has no fast bfloat16 on processors")
    if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0":
        return Choice("float32", "TF_ENABLE_ONEDNN_OPTS=0 switches the bfloat16 kernels off")
    found = sorted(CPU_FLAGS & cpu_flags())
    if found:
        return Choice("mixed_bfloat16", f"the processor has {found[0]}")
    return Choice("float32", f"the processor has none of {', '.join(sorted(CPU_FLAGS))}")


def cpu_flags(path: Path = Path("/proc/cpuinfo")) -> set[str]:
    """CPU features by Linux' names; empty on other systems."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return set()
    return next((set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), set())


def gpu_capability() -> tuple[int, int] | None:
    """Compute capability of the first GPU that the backend sees; None without a GPU from NVIDIA."""
    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf

            gpus = tf.config.list_physical_devices("GPU")
            found = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability") if gpus else None
            return None if found is None else (found[0], found[1])
        case "jax":
            import jax

            # For AMD GPUs JAX reports a name such as gfx90a here.
            found = re.fullmatch(r"(\d+)\.(\d+)", str(getattr(jax.local_devices()[0], "compute_capability", "")))
            return None if found is None else (int(found[1]), int(found[2]))
    return None


def accelerator() -> str:
    """Kind of device that the backend computes on: ``cpu``, ``gpu`` or ``tpu``."""
    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf

            return "gpu" if tf.config.list_physical_devices("GPU") else "cpu"
        case "jax":
            import jax

            return str(jax.local_devices()[0].platform)
    return "cpu"
