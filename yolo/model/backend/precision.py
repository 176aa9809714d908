"""Which arithmetic a network is trained in: the fastest one that the hardware has and that needs no care."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import NamedTuple

import keras

from yolo.config import Precision

logger = logging.getLogger(__name__)

CPU_FLAGS = {"avx512_bf16", "amx_bf16"}
"""Processors with one of these multiply bfloat16 in hardware."""
BFLOAT16_CAPABILITY = (8, 0)
"""NVIDIA's compute capability from which bfloat16 is as fast as float16 (Ampere)."""
FLOAT16_CAPABILITY = (7, 0)
"""From which there are units for float16 at all (Volta)."""


class Choice(NamedTuple):
    """A Keras dtype policy, and why."""

    policy: str
    reason: str


def choose_precision(wanted: Precision) -> str:
    """The Keras dtype policy for an option; says which and why if the choice is ours.

    Weights, batch statistics, heads and loss are float32 in each of them.
    """
    best = best_precision()
    if wanted == "auto":
        logger.info("precision %s: %s", best.policy, best.reason)
        return best.policy
    if wanted != "float32" and best.policy == "float32":
        logger.warning("precision %s may be slower than float32: %s", wanted, best.reason)
    return wanted


def best_precision() -> Choice:
    """The fastest policy on the hardware that the backend computes on."""
    capability = gpu_capability()
    if capability is None:
        return ELSEWHERE.get(accelerator()) or _on_cpu()
    name = f"the GPU has compute capability {capability[0]}.{capability[1]}"
    if capability >= BFLOAT16_CAPABILITY:
        return Choice("mixed_bfloat16", name)
    return Choice("mixed_float16" if capability >= FLOAT16_CAPABILITY else "float32", name)


ELSEWHERE = {
    "tpu": Choice("mixed_bfloat16", "TPUs multiply bfloat16"),
    "gpu": Choice("float32", "what the GPU is fast in is not known, as it has no compute capability of NVIDIA's"),
}
"""By what the backend computes on, if that is neither a GPU of NVIDIA's nor a processor."""


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
    """What the processor can do, in Linux' words; empty on other systems."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return set()
    return next((set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), set())


def gpu_capability() -> tuple[int, int] | None:
    """Compute capability of the first GPU that the backend sees; None: it sees none, or not one of NVIDIA's."""
    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf

            gpus = tf.config.list_physical_devices("GPU")
            found = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability") if gpus else None
            return None if found is None else (found[0], found[1])
        case "jax":
            import jax

            # AMD's have names such as gfx90a in its place.
            found = re.fullmatch(r"(\d+)\.(\d+)", str(getattr(jax.local_devices()[0], "compute_capability", "")))
            return None if found is None else (int(found[1]), int(found[2]))
    return None


def accelerator() -> str:
    """What the backend computes on: ``cpu``, ``gpu`` or ``tpu``."""
    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf

            return "gpu" if tf.config.list_physical_devices("GPU") else "cpu"
        case "jax":
            import jax

            return str(jax.local_devices()[0].platform)
    return "cpu"
