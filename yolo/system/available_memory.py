"""How much memory is free: the machine's, or less where a container or batch system grants less."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")
OWN_CGROUP = Path("/proc/self/cgroup")
UNKNOWN = 2 * 2**30
"""Bytes that are taken for free where the system does not say."""
UNLIMITED = 2**60
"""From here on a limit is none: the first version of cgroups writes almost 2**63."""


def available_memory() -> int:
    """Bytes that this process may still take without anything being swapped out or killed."""
    return min([_machine(), *_cgroups()])


def _machine() -> int:
    """What is free on the machine: Linux' own estimate, which counts what the page cache would give back."""
    with suppress(OSError, ValueError, IndexError):
        for line in MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    with suppress(AttributeError, OSError, ValueError):  # AttributeError: Windows has no sysconf
        page = os.sysconf("SC_PAGE_SIZE")
        if "SC_AVPHYS_PAGES" in os.sysconf_names:
            return page * os.sysconf("SC_AVPHYS_PAGES")
        return page * os.sysconf("SC_PHYS_PAGES") // 2  # macOS tells only what is built in
    return UNKNOWN


def _cgroups() -> list[int]:
    """What is left below the limit of each control group that this process is in, both versions."""
    left = []
    with suppress(OSError):
        for line in OWN_CGROUP.read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            if not controllers:
                left += _left(CGROUPS, group, limit="memory.max", usage="memory.current", cache="inactive_file")
            elif "memory" in controllers.split(","):
                names = {"limit": "memory.limit_in_bytes", "usage": "memory.usage_in_bytes"}
                left += _left(CGROUPS / "memory", group, **names, cache="total_inactive_file")
    return left


def _left(root: Path, group: str, *, limit: str, usage: str, cache: str) -> list[int]:
    """The limit less the usage, of the group and those it lies in; page cache that can be dropped is no usage."""
    # In a container the group may be named as the host knows it and yet lie at the root.
    own = root / group.lstrip("/")
    folders = [own, *(each for each in own.parents if each.is_relative_to(root))] if own.is_dir() else [root]
    left = []
    for folder in folders:
        with suppress(OSError, ValueError):  # ValueError: "max"
            bound, used = int((folder / limit).read_text()), int((folder / usage).read_text())
            lines = (line.split() for line in (folder / "memory.stat").read_text().splitlines())
            droppable = next((int(value) for name, value in lines if name == cache), 0)
            if bound < UNLIMITED:
                left.append(max(0, bound - used + droppable))
    return left
