"""Free memory: the machine's, or less where a container or batch system sets a limit."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psutil

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")
UNLIMITED = 2**60
"""Limit in bytes that counts as no limit: cgroup v1 reports almost 2**63."""


def available_memory() -> int:
    """Bytes that this process can still allocate without swapping or being killed."""
    # psutil reports the machine's memory and ignores a container's limit.
    return min([psutil.virtual_memory().available, *_free_in_cgroups()])


def _free_in_cgroups() -> list[int]:
    """Bytes left below the limit of each control group that this process is in, cgroup v1 and v2."""
    left = []
    with suppress(OSError):
        for line in OWN_CGROUP.read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            if not controllers:
                left += _free_below(CGROUPS, group, limit="memory.max", usage="memory.current", cache="inactive_file")
            elif "memory" in controllers.split(","):
                names = {"limit": "memory.limit_in_bytes", "usage": "memory.usage_in_bytes"}
                left += _free_below(CGROUPS / "memory", group, **names, cache="total_inactive_file")
    return left


def _free_below(root: Path, group: str, *, limit: str, usage: str, cache: str) -> list[int]:
    """Limit minus usage of a group and of each group above it; droppable page cache does not count as used."""
    # In a container the path may be the host's, while the group is mounted at the root.
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
