"""Conditions that must be equal on all hosts of a run, and when a run is resumed."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from yolo.config import HARMLESS
from yolo.distributed.hosts import Hosts
from yolo.errors import ConfigError
from yolo.files.bounded import read_bytes
from yolo.files.yaml_file import LARGEST_YAML
from yolo.structs import Dataset

NAMES = ("dataset.name", "dataset.split", "validation.name", "validation.split")
"""Conditions that are only labels of the data and may change: the fingerprint identifies the images."""


def describe_dataset(dataset: Dataset) -> dict[str, Any]:
    """Describe a dataset as checkpoints store it."""
    return {
        "name": dataset.name,
        "split": dataset.split,
        "images": len(dataset),
        "boxes": len(dataset.boxes),
        "classes": list(dataset.classes),
        "fingerprint": dataset.fingerprint,
    }


def describe_file(option: str, path: str | None) -> str | None:
    """Digest of a file that an option names, as checkpoints store it; None without a file.

    Raises:
        ConfigError: it cannot be read.
    """
    if not path:
        return None
    try:
        return sha256(read_bytes(path, limit=LARGEST_YAML, what="a YAML file")).hexdigest()[:16]
    except ConfigError as error:
        raise ConfigError(f"--{option} {error}; say where it is now") from error


def agree_on(hosts: Hosts, conditions: dict[str, Any]) -> None:
    """Check that all hosts of a run have the same conditions.

    Raises:
        ConfigError: two hosts differ; every such condition is named, with dots where conditions are nested.
    """
    ignored = {*(f"config.{name}" for name in HARMLESS), *NAMES}
    own = {name: value for name, value in flatten(conditions).items() if name not in ignored}
    first, *others = (json.loads(text) for text in hosts.all_gather_text(json.dumps(own, sort_keys=True, default=str)))
    found: dict[str, str] = {}
    for rank, other in enumerate(others, 1):
        for name, (zero, value) in differences(first, other).items():
            found.setdefault(name, f"{name} (rank 0: {brief(zero)}, rank {rank}: {brief(value)})")
    if found:
        listed = ", ".join(found[name] for name in sorted(found))
        raise ConfigError(f"the hosts do not have the same {listed}; give all of them the same options and pictures")


def check_unchanged(before: Mapping[str, Any], now: Mapping[str, Any], *, harmless: Iterable[str] = ()) -> None:
    """Check that a run would be resumed under the conditions it began with.

    Names of datasets and splits are ignored: the fingerprint identifies the data.

    Raises:
        ConfigError: something has changed; every difference is named.
    """
    changed = differences(before, now, ignoring={*harmless, *NAMES})
    if changed:
        shown = "; ".join(f"{name}: {brief(old)} -> {brief(new)}" for name, (old, new) in changed.items())
        raise ConfigError(
            f"the run cannot go on as it began, this has changed: {shown}. Undo that, or begin a new run from "
            "this one's last.keras (--weights)"
        )


def more_epochs(folder: str | Path) -> str:
    """Say how to train further than the epochs that a run began with: its learning rate was scheduled for these."""
    return f"to train further, begin a new run from its weights: yolov3 train DATA --weights {folder}/last.keras"


def differences(
    old: Mapping[str, Any], new: Mapping[str, Any], *, ignoring: Collection[str] = ()
) -> dict[str, tuple[Any, Any]]:
    """Old and new value of everything in which two nested mappings differ, by dotted name in alphabetical order."""
    before, after = flatten(old), flatten(new)
    pairs = {name: (before.get(name), after.get(name)) for name in sorted({*before, *after}) if name not in ignoring}
    return {name: (one, other) for name, (one, other) in pairs.items() if one != other}


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Turn nested mappings into one, with dotted names."""
    result: dict[str, Any] = {}
    for name, value in values.items():
        result |= flatten(value, f"{prefix}{name}.") if isinstance(value, Mapping) and value else {prefix + name: value}
    return result


def brief(value: Any) -> str:
    """Format a value in at most 60 characters."""
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
