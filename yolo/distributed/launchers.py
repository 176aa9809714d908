"""Rank, world size and address of rank 0: from options, or from the environment of Slurm, torchrun or Kubernetes."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from yolo.errors import ConfigError

logger = logging.getLogger(__name__)

DEFAULT_PORT = 29400
"""Port of rank 0 if the environment names its host only."""
FREE_PORTS, FREE_PORTS_FROM = 4000, 61000
"""Range of ports for Slurm, which names none: the job id picks one, so that two jobs on a host differ."""

LOCAL = (
    ("SLURM_LOCALID", "SLURM_STEP_TASKS_PER_NODE"),
    ("LOCAL_RANK", "LOCAL_WORLD_SIZE"),  # torchrun
    ("OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"),  # mpirun, with --hosts, --rank and --world
)
"""Environment variables with the local rank of a process and the number of processes on its machine."""


@dataclass(frozen=True)
class Cluster:
    """Address, rank and world size of a distributed run; each host is one process.

    Raises:
        ConfigError: the rank is not below the world size, or the address is malformed.
    """

    address: str
    """host:port of rank 0; the port above it is used too."""
    rank: int
    """0 to world - 1."""
    world: int
    """World size: the number of hosts."""

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world:
            raise ConfigError(f"--rank {self.rank}: must be in 0..{self.world - 1}, as --world is {self.world}")
        if not re.fullmatch(r"\S+:\d{1,5}", self.address) or not 0 < self.port < 2**16 - 1:
            raise ConfigError(f"--hosts {self.address}: must be host:port of rank 0, such as 10.0.0.1:9000")

    @property
    def host(self) -> str:
        return self.address.rpartition(":")[0]

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])


class Found(NamedTuple):
    """Cluster as found in environment variables; the texts are not checked yet."""

    source: str
    address: str | None
    rank: str
    world: str


def find_cluster(
    hosts: str | None = None,
    rank: int | None = None,
    world: int | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Cluster | None:
    """Determine the hosts of this run; None: this host trains alone.

    Args:
        hosts: host:port of rank 0; ``auto``: from the environment; ``none``: this host alone. None: ``auto`` on the
            JAX backend, if the environment has more than one process.
        rank: rank of this process; None: from the environment.
        world: world size; None: from the environment.
        environment: environment variables: those of a job step of Slurm, which srun begins (``SLURM_PROCID``,
            ``SLURM_STEP_NUM_TASKS``, ``SLURM_STEP_NODELIST``; a batch script, which is one process whatever its
            ``--ntasks``, has none), of torchrun and Kubeflow (``RANK``, ``WORLD_SIZE``, ``MASTER_ADDR``,
            ``MASTER_PORT``), or of an indexed job of Kubernetes (``JOB_COMPLETION_INDEX``, with ``WORLD_SIZE`` and
            ``MASTER_ADDR``).

    Raises:
        ConfigError: a value is missing or invalid.
    """
    if hosts == "none":
        return None
    found = read_environment(environment)
    if hosts is None and (rank is not None or world is not None):
        raise ConfigError("--rank and --world: give --hosts host:port of rank 0 too")
    if hosts is None and (found is None or not should_join(found, environment)):
        return None
    check_backend(environment)
    if hosts in (None, "auto"):
        if found is None:
            raise ConfigError(
                "--hosts auto: the environment names no hosts (Slurm's SLURM_PROCID, SLURM_STEP_NUM_TASKS and "
                "SLURM_STEP_NODELIST, as srun sets them, or RANK or JOB_COMPLETION_INDEX with WORLD_SIZE and "
                "MASTER_ADDR); give --hosts host:port --rank r --world n"
            )
        address = with_port(found.address, environment, found)
        return Cluster(address, number(found.rank, found), number(found.world, found))
    if found is not None:
        rank = number(found.rank, found) if rank is None else rank
        world = number(found.world, found) if world is None else world
    if rank is None or world is None:
        raise ConfigError(f"--hosts {hosts}: give --rank and --world too")
    return Cluster(str(hosts), rank, world)


def should_join(found: Found, environment: Mapping[str, str]) -> bool:
    """Whether to join a detected multi-process job when ``--hosts`` is not given."""
    if number(found.world, found) < 2:
        return False
    if configured_backend(environment) == "jax":
        return True
    logger.warning(
        "%s has started %s processes, and each trains by itself: together they do on JAX (KERAS_BACKEND=jax)",
        found.source,
        found.world,
    )
    return False


def check_backend(environment: Mapping[str, str]) -> None:
    """Raise a ConfigError unless Keras is configured for JAX."""
    backend = configured_backend(environment)
    if backend != "jax":
        raise ConfigError(
            f"several hosts train together on the JAX backend, this is {backend}: set the environment variable "
            "KERAS_BACKEND=jax"
        )


def configured_backend(environment: Mapping[str, str]) -> str:
    """Find out which backend Keras will use, without importing it."""
    if "KERAS_BACKEND" in environment:
        return environment["KERAS_BACKEND"]
    folder = Path(environment.get("KERAS_HOME", Path.home() / ".keras"))
    with suppress(OSError, ValueError, AttributeError):
        return str(json.loads((folder / "keras.json").read_text()).get("backend", "tensorflow"))
    return "tensorflow"


def read_environment(environment: Mapping[str, str]) -> Found | None:
    """Read rank and world size from the launcher's environment variables; None if they are incomplete."""
    address, world = environment.get("MASTER_ADDR"), environment.get("WORLD_SIZE")
    for source, name in (("torchrun", "RANK"), ("Kubernetes", "JOB_COMPLETION_INDEX")):
        if name in environment and world is not None:
            return Found(source, address, environment[name], world)
    if {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_NODELIST"} <= set(environment):
        node = first_node(environment["SLURM_STEP_NODELIST"])
        return Found("Slurm", node, environment["SLURM_PROCID"], environment["SLURM_STEP_NUM_TASKS"])
    return None


def own_gpus(environment: Mapping[str, str] = os.environ) -> list[int] | None:
    """Indices of the visible GPUs that this process uses; None: all of them.

    All are used by the only process of a run on a machine, or by one that the launcher has given GPUs of its own. JAX
    by itself would use a single GPU on Slurm even then.
    """
    for rank, count in LOCAL:
        processes = largest_count(environment.get(count, ""))
        if not environment.get(rank, "").isdecimal() or processes < 2:
            continue
        visible = environment.get("CUDA_VISIBLE_DEVICES")
        given = "SLURM_GPUS_PER_TASK" in environment or (visible is not None and visible.count(",") + 1 < processes)
        return None if given or "JAX_LOCAL_DEVICE_IDS" in environment else [int(environment[rank])]
    return None


def largest_count(text: str) -> int:
    """Largest count in a list such as Slurm's tasks per node: ``2(x3),1`` means 2, 2, 2, 1; 0 for an empty one."""
    counts = re.findall(r"(\d+)(?:\(x\d+\))?(?:,|$)", text)
    return max(map(int, counts), default=0)


def with_port(address: str | None, environment: Mapping[str, str], found: Found) -> str:
    """Complete the address of rank 0 to host:port.

    Raises:
        ConfigError: the environment names no host.
    """
    if not address:
        raise ConfigError(f"{found.source} names no host for rank 0: set MASTER_ADDR (and MASTER_PORT)")
    if re.search(r":\d+$", address):
        return address
    port = number(environment.get("MASTER_PORT", str(DEFAULT_PORT)), found)
    if found.source == "torchrun":
        port += 1  # torchrun's own store listens at MASTER_PORT
    if found.source == "Slurm" and "MASTER_PORT" not in environment:
        job = re.sub(r"\D", "", environment.get("SLURM_JOB_ID", "")) or "0"
        port = FREE_PORTS_FROM + 2 * (int(job) % (FREE_PORTS // 2))
    return f"{address}:{port}"


def first_node(nodes: str) -> str:
    """Return the first host of a Slurm node list: ``gpu007`` for ``gpu[007-015,020],login1``."""
    match = re.match(r"([^,\[]+)(?:\[([^,\-\]]+)[^\]]*\])?", nodes)
    return "".join(part or "" for part in match.groups()) if match else nodes


def number(text: str, found: Found) -> int:
    """Parse a number of the environment.

    Raises:
        ConfigError: it is not a number.
    """
    if not text.strip().isdecimal():
        raise ConfigError(
            f"{found.source}: {text!r} is not a rank, number of processes or port; give --hosts, --rank and --world"
        )
    return int(text)
