"""Several hosts in one run, on the JAX backend: how they come together and agree."""

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
"""Seconds within which all hosts have to be there."""
LOST = ("Gloo", "gloo", "NCCL", "Connection closed by peer", "Connection reset by peer", "coordination service")
"""What errors of a collective operation say when another host is gone."""


class Hosts:
    """The hosts of a run, seen from one of them; collective calls have to be made by all in the same order.

    Args:
        rank: which one this is.
        world: how many there are.
    """

    def __init__(self, rank: int = 0, world: int = 1):
        self.rank, self.world = rank, world

    @property
    def first(self) -> bool:
        """Whether this is the host that writes files."""
        return self.rank == 0

    def gather(self, array: NDArray[Any]) -> list[NDArray[Any]]:
        """The arrays of all hosts, in the order of their ranks; they may differ in their first axis."""
        if self.world == 1:
            return [array]
        # Bytes, as JAX would make 32 bits of 64.
        data = np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)
        sizes = all_gather(np.array([len(data)], np.int32))[:, 0]
        padded = np.zeros(int(sizes.max()), np.uint8)
        padded[: len(data)] = data
        rows = all_gather(padded) if len(padded) else np.zeros((self.world, 0), np.uint8)
        return [
            np.frombuffer(row[:size].tobytes(), array.dtype).reshape(-1, *array.shape[1:])
            for row, size in zip(rows, sizes, strict=True)
        ]

    def any(self, flag: bool) -> bool:
        """Whether it is so on one of the hosts."""
        return flag if self.world == 1 else bool(all_gather(np.array([flag], np.int32)).any())

    def barrier(self) -> None:
        """Go on when all hosts have come here."""
        self.any(False)

    def texts(self, text: str) -> list[str]:
        """The texts of all hosts, in the order of their ranks."""
        rows = self.gather(np.frombuffer(text.encode(), np.uint8))
        return [row.tobytes().decode() for row in rows]

    def share(self, text: str) -> str:
        """The first host's text, on all of them."""
        return self.texts(text)[0]

    def agree(self, what: str, text: str) -> None:
        """Raise a ConfigError that says which host has what unless all have the same."""
        found = self.texts(text)
        if len(set(found)) > 1:
            shown = ", ".join(f"rank {rank}: {each[:60]}" for rank, each in enumerate(found))
            raise ConfigError(
                f"the hosts do not have the same {what} ({shown}); "
                "do they see the same folders and have the same options?"
            )

    def explain(self, error: Exception) -> None:
        """Raise a ConfigError if an error means that another host is gone.

        It is raised with some delay, as the one who watches over this process knows better which host that is.
        """
        if self.world > 1 and any(sign in str(error) for sign in LOST):
            threading.Event().wait(VERDICT)
            raise ConfigError("another host is lost; go on with: yolov3 train --resume") from error


VERDICT = 20.0
"""Seconds in which a watcher (`yolo/distributed/supervisor.py`) would have found out who is lost."""
ALONE = Hosts()
_present = ALONE


def present_hosts() -> Hosts:
    """The hosts that this process has joined."""
    return _present


def all_gather(array: NDArray[Any]) -> NDArray[Any]:
    """(world, ...): the equally long arrays of all hosts."""
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(array))


@contextmanager
def joined(cluster: Cluster | None, *, timeout: float = TIMEOUT) -> Iterator[Hosts]:
    """While it lasts, this process works with its fellows; it has to begin before JAX has computed anything.

    Args:
        cluster: of which hosts; None: of this one alone.
        timeout: seconds to wait for the others.

    Raises:
        ConfigError: the backend knows no hosts, or some of them are not there.
    """
    global _present  # noqa: PLW0603 - as of JAX' own, there is one for a process
    if cluster is None:
        yield ALONE
        return
    check_backend({"KERAS_BACKEND": keras.backend.backend()})
    import jax

    logging.getLogger("jax._src.distributed").setLevel(logging.ERROR)
    connect(cluster, timeout)
    _present = Hosts(cluster.rank, cluster.world)
    if not _present.first:
        logging.getLogger("yolo").setLevel(logging.WARNING)
    try:
        preflight(_present, timeout)
        yield _present
        jax.distributed.shutdown()  # waits for the others; after an error they would not come
    finally:
        _present = ALONE


def connect(cluster: Cluster, timeout: float) -> None:
    """Let JAX know of all hosts.

    Raises:
        ConfigError: it cannot reach them.
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
    """A first collective operation, so that hosts which cannot reach each other are found before anything is begun."""

    def give_up() -> None:
        # The operation cannot be stopped from Python.
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
    """Say how many hosts and devices there are."""
    import jax

    counts = [len(jax.local_devices(process_index=rank)) for rank in range(hosts.world)]
    each = f"{counts[0]} each" if len(set(counts)) == 1 else ", ".join(map(str, counts))
    logger.info("%d hosts are there; devices: %s, %d in all", hosts.world, each, sum(counts))
