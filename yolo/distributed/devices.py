"""Devices of a run: choosing them, and replicating variables on all of them.

N replicas at a global batch of B equal one device at B, batch norm's statistics included. On JAX this follows from
computing with the whole batch; on TensorFlow `yolo/model/backend/replicas.py` provides it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from yolo.distributed.hosts import ALONE, Hosts, present_hosts
from yolo.errors import ConfigError

logger = logging.getLogger(__name__)

KINDS = ("gpu", "tpu", "cpu")
"""Kinds of devices in order of preference."""


@dataclass(frozen=True)
class Devices:
    """Devices and hosts of a run."""

    names: tuple[str, ...]
    """Devices of this host, such as gpu:0; empty: one device, which the backend chooses."""
    hosts: Hosts = ALONE
    everywhere: tuple[tuple[str, ...], ...] = ()
    """Device names of every host, by rank; each host counts its own from 0."""

    @property
    def replicas(self) -> int:
        """Number of devices over all hosts, among which each global batch is divided."""
        return max(1, len(self.names)) * self.hosts.world

    def check_batch(self, batch: int) -> None:
        """Raise a ConfigError unless a global batch is divisible by the number of replicas."""
        if batch % self.replicas:
            near = max(1, round(batch / self.replicas)) * self.replicas
            raise ConfigError(f"batch must be a multiple of the {self.replicas} devices (try {near}), got {batch}")

    def scope(self) -> AbstractContextManager[Any]:
        """Open a scope in which new variables are replicated on all devices."""
        if not self.names:
            return nullcontext()
        return mirrored(self.names) if keras.backend.backend() == "tensorflow" else parallel(self)


ONE = Devices(())


def choose_devices(wanted: str | None = None, batch: int | None = None) -> Devices:
    """Choose the devices of a run; a collective call if there are several hosts.

    Args:
        wanted: names such as ``gpu:0,gpu:1`` or ``cpu``; ``gpus``, ``tpus`` or ``cpus``: all of a kind; a number N:
            the first N of the preferred kind. None: all GPUs or TPUs if there are any, else the CPU.
        batch: global batch size; with ``wanted`` None, fewer devices are used if it is not divisible by all.

    Raises:
        ConfigError: the devices do not exist, or the hosts have different ones.
    """
    hosts = present_hosts()
    if keras.backend.backend() not in ("tensorflow", "jax"):
        if wanted is not None:
            raise ConfigError(
                f"--devices {wanted}: the {keras.backend.backend()} backend chooses its own; leave it out"
            )
        return ONE
    there = {kind: available(kind) for kind in KINDS}
    names = parse_devices(wanted, there)
    if wanted is None and batch is not None:
        names = names[: most_that_divide(batch, len(names), hosts.world)]
    best = next(found for found in there.values() if found)
    own_choice = names == best[:1] and hosts.world == 1
    hosts.agree("kind and number of devices", f"{len(names)} {names[0].partition(':')[0]}")
    everywhere = tuple(tuple(text.split(",")) for text in hosts.all_gather_text(",".join(names)))
    return Devices(() if own_choice else tuple(names), hosts, everywhere)


def parse_devices(wanted: str | None, there: dict[str, list[str]]) -> list[str]:
    """Resolve ``--devices`` to device names.

    Args:
        wanted: as in `choose_devices`.
        there: names of the available devices of each kind, preferred kind first.

    Raises:
        ConfigError: the devices do not exist, or are not different ones of one kind.
    """
    kind = next(kind for kind, found in there.items() if found)
    text = (wanted or (f"{kind}s" if kind != "cpu" else "cpu:0")).strip().lower()
    if text.isdecimal():
        names = [f"{kind}:{index}" for index in range(int(text))]
    elif text.endswith("s"):
        names = there.get(text[:-1]) or [text]
    else:
        names = [name if ":" in name else f"{name}:0" for name in re.split(r"\s*,\s*", text)]
    known = [name for found in there.values() for name in found]
    missing = [name for name in names if name not in known]
    if missing or not names or len(set(names)) < len(names) or len({name.partition(":")[0] for name in names}) > 1:
        raise ConfigError(
            f"--devices {wanted}: expected different devices of one kind, or a number; there are {', '.join(known)}"
        )
    return names


def most_that_divide(batch: int, count: int, world: int = 1) -> int:
    """Largest number of devices per host, of ``count``, that divides a batch; warns if not all are used."""
    fitting = next((each for each in range(count, 0, -1) if batch % (each * world) == 0), count)
    if fitting < count:
        logger.warning(
            "training on %d of the %d devices%s, as a batch of %d cannot be shared out evenly among all: "
            "give a --batch that is a multiple of %d",
            fitting,
            count,
            " of each host" if world > 1 else "",
            batch,
            count * world,
        )
    return fitting


def available(kind: str) -> list[str]:
    """List the names of this host's devices of a kind."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        count = len(tf.config.list_logical_devices(kind.upper()))
    else:
        import jax

        try:
            count = len(jax.local_devices(backend=kind))
        except RuntimeError:  # JAX has no backend of this kind
            count = 0
    return [f"{kind}:{index}" for index in range(count)]


@contextmanager
def mirrored(names: tuple[str, ...]) -> Iterator[None]:
    """TensorFlow scope in which each variable has a copy on each device."""
    import tensorflow as tf

    # By default gradients are summed by NCCL between GPUs, and within the process between CPUs.
    with tf.distribute.MirroredStrategy(list(names)).scope():
        yield


@contextmanager
def parallel(devices: Devices) -> Iterator[None]:
    """JAX scope in which arrays are distributed over the devices of all hosts."""
    import jax

    chosen = []
    for rank, names in enumerate(devices.everywhere):
        for name in names:
            kind, _, index = name.partition(":")
            chosen.append(jax.local_devices(process_index=rank, backend=kind)[int(index)])
    mesh = keras.distribution.DeviceMesh((len(chosen),), ["batch"], np.array(chosen))
    # The input pipeline yields only this host's rows of each batch.
    with keras.distribution.DataParallel(device_mesh=mesh, auto_shard_dataset=False).scope():
        yield
