"""Machine on which a benchmark runs: processor, cores, versions of the packages, load."""

from __future__ import annotations

import os
import platform
import subprocess
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

import yolo

PACKAGES = ("tensorflow", "keras", "openvino", "onnxruntime", "ai-edge-litert", "numpy")
CPUINFO = Path("/proc/cpuinfo")
INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_bf16", "amx_int8", "bf16", "asimddp")
"""Instructions that decide how fast networks run, as Linux names them."""
THREAD_VARIABLES = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
"""Environment variables that change the number of threads."""


def describe_machine() -> dict[str, Any]:
    """Describe the machine as plain data."""
    return {
        "processor": processor_name(),
        "instructions": instructions(),
        "cores": usable_cores(),
        "thread_variables": {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
        "load": psutil.getloadavg()[0],
        "memory_bytes": psutil.virtual_memory().total,
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {"yolov3-keras": yolo.__version__, **versions()},
    }


def usable_cores() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def versions() -> dict[str, str]:
    """Versions of the packages that run networks, of those that are installed."""
    found = {}
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def processor_name() -> str:
    """Name of the processor, by its maker."""
    if name := cpuinfo("model name"):
        return name
    with suppress(OSError, subprocess.SubprocessError):  # macOS
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    return platform.processor() or platform.machine()


def instructions() -> list[str]:
    """Instructions of `INSTRUCTIONS` that the processor has; empty where the system does not say."""
    flags = (cpuinfo("flags") or cpuinfo("Features")).split()
    return [name for name in INSTRUCTIONS if name in flags]


def cpuinfo(key: str) -> str:
    """Value of a key in Linux' description of the first processor; empty if there is none."""
    with suppress(OSError):
        for line in CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == key:
                return value.strip()
    return ""
