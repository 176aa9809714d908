"""Hosts of a distributed run on the JAX backend: joining them, collective operations, consistency checks."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from yolo.distributed.launchers import Cluster, check_backend, own_gpus
from yolo.errors import ConfigError

logger = logging.getLogger(__name__)

TIMEOUT = 60.0
"""Seconds to wait until all hosts have joined."""
LOST_HOST_SIGNS = (
    "Gloo",
    "gloo",
    "NCCL",
    "Connection closed by peer",
    "Connection reset by peer",
    "coordination service",
)
"""Texts by which errors of collective operations show that another host is lost."""
SUPERVISOR_SECONDS = 20.0
"""How long to wait so that the supervisor (`yolo/distributed/supervisor.py`) can report the lost host first."""


class Hosts:
    """Hosts of a run as seen from one of them, with collective operations that all must call in the same order.

    Args:
        rank: rank of this host.
        world: world size, the number of hosts.
    """

    def __init__(self, rank: int = 0, world: int = 1):
        self.rank, self.world = rank, world

    @property
    def first(self) -> bool:
        """Whether this host has rank 0; only that one writes files."""
        return self.rank == 0

    def gather(self, array: NDArray[Any]) -> list[NDArray[Any]]:
        """All-gather arrays whose lengths along the first axis may differ; returned by rank."""
        if self.world == 1:
            return [array]
        # As bytes, because JAX converts 64-bit numbers to 32 bits.
        data = np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)
        sizes = all_gather(np.array([len(data)], np.int32))[:, 0]
        padded = np.zeros(int(sizes.max()), np.uint8)
        padded[: len(data)] = data
        rows = all_gather(padded) if len(padded) else np.zeros((self.world, 0), np.uint8)
        return [
            np.frombuffer(row[:size].tobytes(), array.dtype).reshape(-1, *array.shape[1:])
            for row, size in zip(rows, sizes, strict=True)
        ]

    def any_true(self, flag: bool) -> bool:
        """All-reduce a flag by logical or."""
        return flag if self.world == 1 else bool(all_gather(np.array([flag], np.int32)).any())

    def barrier(self) -> None:
        """Wait until all hosts have called this."""
        self.any_true(False)

    def all_gather_text(self, text: str) -> list[str]:
        """All-gather a text; returned by rank."""
        rows = self.gather(np.frombuffer(text.encode(), np.uint8))
        return [row.tobytes().decode() for row in rows]

    def broadcast_text(self, text: str) -> str:
        """Broadcast rank 0's text to all hosts."""
        return self.all_gather_text(text)[0]

    def agree(self, what: str, text: str) -> None:
        """Check that all hosts have the same text.

        Raises:
            ConfigError: they differ; the message shows the text of each rank.
        """
        found = self.all_gather_text(text)
        if len(set(found)) > 1:
            shown = ", ".join(f"rank {rank}: {each[:60]}" for rank, each in enumerate(found))
            raise ConfigError(
                f"the hosts do not have the same {what} ({shown}); "
                "do they see the same folders and have the same options?"
            )

    def raise_if_host_lost(self, error: Exception) -> None:
        """Raise a ConfigError if an error of a collective operation means that another host is lost.

        It is raised after `SUPERVISOR_SECONDS`: the supervisor of this process knows which host it is, reports it and
        ends this process before that.
        """
        if self.world > 1 and any(sign in str(error) for sign in LOST_HOST_SIGNS):
            threading.Event().wait(SUPERVISOR_SECONDS)
            raise ConfigError("another host is lost; go on with: yolov3 train --resume") from error


ALONE = Hosts()
_present = ALONE


def present_hosts() -> Hosts:
    """Return the hosts of the run that this process has joined; `ALONE` if none."""
    return _present


def all_gather(array: NDArray[Any]) -> NDArray[Any]:
    """All-gather arrays of equal shape, as (world, ...)."""
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(array))


@contextmanager
def joined(cluster: Cluster | None, *, timeout: float = TIMEOUT) -> Iterator[Hosts]:
    """Join the distributed run inside the block, which must begin before JAX has computed anything.

    Args:
        cluster: hosts of the run; None: this host alone.
        timeout: seconds to wait for the other hosts.

    Raises:
        ConfigError: the backend is not JAX, or a host cannot be reached.
    """
    global _present  # noqa: PLW0603 - JAX keeps one such state per process as well
    if cluster is None:
        yield ALONE
        return
    check_backend({"KERAS_BACKEND": keras.backend.backend()})
    import jax

    logging.getLogger("jax._src.distributed").setLevel(logging.ERROR)
    initialize_jax(cluster, timeout)
    _present = Hosts(cluster.rank, cluster.world)
    if not _present.first:
        logging.getLogger("yolo").setLevel(logging.WARNING)
    try:
        preflight(_present, timeout)
        yield _present
        jax.distributed.shutdown()  # a barrier: after an error the others would not reach it
    finally:
        _present = ALONE


def initialize_jax(cluster: Cluster, timeout: float) -> None:
    """Connect JAX's distributed runtime.

    Raises:
        ConfigError: the other hosts cannot be reached.
    """
    import jax

    os.environ.setdefault("JAX_CHECK_PROXY_ENVS", "0")
    try:
        jax.distributed.initialize(
            cluster.address,
            cluster.world,
            cluster.rank,
            local_device_ids=own_gpus(),
            cluster_detection_method="deactivate",
            initialization_timeout=max(1, round(timeout)),
            shutdown_timeout_seconds=max(1, round(timeout)),
        )
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"rank {cluster.rank} cannot join the others at {cluster.address}: {reason}") from error


def preflight(hosts: Hosts, timeout: float) -> None:
    """Run one collective operation, so that hosts which cannot reach each other fail before training begins.

    Raises:
        ConfigError: the operation failed.
    """

    def give_up() -> None:
        # The operation cannot be cancelled from Python.
        logger.error(
            "rank %d: the hosts reach rank 0, but an all-reduce over all did not end within %g s: do firewalls let "
            "them reach each other, and are the network interfaces the right ones?",
            hosts.rank,
            timeout,
        )
        os._exit(1)

    timer = threading.Timer(timeout, give_up)
    timer.daemon = True
    timer.start()
    try:
        ranks = all_gather(np.array([hosts.rank], np.int32))[:, 0].tolist()
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(
            f"rank {hosts.rank}: the first all-reduce over {hosts.world} hosts failed ({reason}); if several of them "
            "are processes of one machine, give each its own GPUs by CUDA_VISIBLE_DEVICES"
        ) from error
    finally:
        timer.cancel()
    if ranks != list(range(hosts.world)):
        raise ConfigError(f"the all-reduce over {hosts.world} hosts met the ranks {ranks}")
    log_devices(hosts)


def log_devices(hosts: Hosts) -> None:
    """Log the number of hosts and devices."""
    import jax

    counts = [len(jax.local_devices(process_index=rank)) for rank in range(hosts.world)]
    each = f"{counts[0]} each" if len(set(counts)) == 1 else ", ".join(map(str, counts))
    logger.info("%d hosts have joined; devices: %s, %d in all", hosts.world, each, sum(counts))
