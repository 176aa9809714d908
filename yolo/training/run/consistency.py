"""What must stay equal: between the hosts of a run, and between a run and its resumption."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from yolo.config import HARMLESS
from yolo.distributed.hosts import Hosts
from yolo.errors import ConfigError
from yolo.structs import Dataset

NAMES = ("dataset.name", "dataset.split", "validation.name", "validation.split")
"""Conditions that are only labels of the data and may change: the fingerprint identifies the images."""


def describe_dataset(dataset: Dataset) -> dict[str, Any]:
    """What a checkpoint remembers of a dataset."""
    return {
        "name": dataset.name,
        "split": dataset.split,
        "images": len(dataset),
        "boxes": len(dataset.boxes),
        "classes": list(dataset.classes),
        "fingerprint": dataset.fingerprint,
    }


def describe_file(option: str, path: str | None) -> str | None:
    """What a checkpoint remembers of the text of a file that an option names; None without a file.

    Raises:
        ConfigError: it cannot be read.
    """
    if not path:
        return None
    try:
        return sha256(Path(path).read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise ConfigError(f"--{option} {path}: cannot be read ({error.strerror}); say where it is now") from error


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


def check_unchanged(before: Mapping[str, Any], now: Mapping[str, Any], *, harmless: Iterable[str] = ()) -> None:
    """Raise a ConfigError that names every difference between what a run began with and what it would go on with.

    Names of datasets and splits are ignored: the fingerprint identifies the data.
    """
    old, new, passed = flat(before), flat(now), {*harmless, *NAMES}
    changed = [name for name in {**old, **new} if old.get(name) != new.get(name) and name not in passed]
    if changed:
        shown = "; ".join(f"{name}: {brief(old.get(name))} -> {brief(new.get(name))}" for name in sorted(changed))
        raise ConfigError(
            f"the run cannot go on as it began, this has changed: {shown}. Undo that, or begin a new run from "
            "this one's last.keras (--weights)"
        )


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted names."""
    result: dict[str, Any] = {}
    for name, value in values.items():
        result |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) and value else {prefix + name: value}
    return result


def brief(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
