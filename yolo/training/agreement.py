"""Several hosts of a new or resumed run: whether all of them are about to learn the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from yolo.config import HARMLESS
from yolo.errors import ConfigError
from yolo.training.state import NAMES, brief, flat

if TYPE_CHECKING:
    from yolo.training.hosts import Hosts
    from yolo.training.run import Run


def agree(run: Run) -> None:
    """Raise a ConfigError unless all hosts of a run have the same options, network and pictures.

    Otherwise they would wait for each other in vain, or learn from batches that do not belong together.
    """
    network = {name: value for name, value in run.detector.get_config().items() if name not in ("name", "origin")}
    agree_on(run.devices.hosts, {**run.conditions(), "detector": network, "tensorboard": run.tensorboard})


def agree_on(hosts: Hosts, conditions: dict[str, Any]) -> None:
    """Raise a ConfigError that names every condition, with dots where they are nested, in which two hosts differ."""
    passed = {*(f"config.{name}" for name in HARMLESS), *NAMES}
    own = {name: value for name, value in flat(conditions).items() if name not in passed}
    first, *others = (json.loads(text) for text in hosts.texts(json.dumps(own, sort_keys=True, default=str)))
    differing = []
    for name in sorted({name for found in (first, *others) for name in found}):
        rank = next((rank for rank, found in enumerate(others, 1) if found.get(name) != first.get(name)), None)
        if rank is not None:
            values = f"rank 0: {brief(first.get(name))}, rank {rank}: {brief(others[rank - 1].get(name))}"
            differing.append(f"{name} ({values})")
    if differing:
        raise ConfigError(
            f"the hosts do not have the same {', '.join(differing)}; give all of them the same options and pictures"
        )
