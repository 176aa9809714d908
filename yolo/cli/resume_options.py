"""Options given together with --resume: those that may change, and a refusal that names those that may not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from yolo.cli.common import parse_size
from yolo.cli.data_options import READING
from yolo.config import HARMLESS, TrainConfig, train_config
from yolo.datasets.load import available_splits
from yolo.errors import ConfigError
from yolo.files.atomic import exists, to_json, write_text

NETWORK = ("model", "backbone", "weights", "cfg", "names", "new", "anchors", "precision", "size", "letterbox")
"""Options of `yolov3 train` that define the detector."""
DATA_FILE = "data.json"
"""File in a run's folder with the location of its data."""


def describe_command(arguments: Namespace, precision: str) -> dict[str, Any]:
    """Part of the command line that checkpoints store; ``precision`` is the value that --precision resolved to."""
    typed = {name: arguments[name] for name in (*NETWORK, "batch")}
    return {"typed": typed, "precision": precision, **changeable(arguments)}


def changeable(arguments: Namespace) -> dict[str, Any]:
    """Part of the command line that may change when the run is resumed."""
    watchers = {name: arguments[name] for name in ("tensorboard", "callbacks", "keep_checkpoints")}
    return {"data": describe_data(arguments), "watchers": watchers}


def write_data_file(folder: Path, arguments: Namespace) -> None:
    """Write the location of a run's data into its folder, for `yolov3 eval RUN`.

    Raises:
        ConfigError: the file cannot be written.
    """
    write_text(folder / DATA_FILE, to_json(describe_data(arguments), indent=2) + "\n")


def read_data_file(folder: Path) -> dict[str, Any] | None:
    """Read the file of `write_data_file`: data, images, split, val, and how to read; None if missing or damaged."""
    try:
        stored = json.loads((folder / DATA_FILE).read_text(encoding="utf-8"))
        values = {name: stored[name] for name in ("data", "images", "split", "val")}
        reading = {name: stored.get(name) for name in READING if name != "images"}
        strict = bool(reading.pop("strict"))
        values |= reading
    except (OSError, ValueError, KeyError, TypeError):
        return None
    good = isinstance(values["data"], str) and all(value is None or isinstance(value, str) for value in values.values())
    return {**values, "strict": strict} if good else None


def take_reading_options(arguments: Namespace, stored: Mapping[str, Any]) -> None:
    """Set those options on how data are read that are not given to the values that a run was begun with."""
    for name in READING:
        if name != "images" and not arguments[name]:
            arguments[name] = stored[name]


def describe_data(arguments: Namespace) -> dict[str, Any]:
    """Options that say where and how data are read, with absolute paths: another folder may resume the run."""
    paths = {"data": arguments.data, "images": arguments.images, "names": arguments.names}
    whole = {name: str(Path(path).resolve()) if path and exists(path) else path for name, path in paths.items()}
    reading = {name: arguments[name] for name in READING if name != "images"}
    other = arguments.val and exists(arguments.val) and arguments.val not in available_splits(arguments.data)
    return {
        **reading,
        **whole,
        "split": arguments.split,
        "val": str(Path(arguments.val).resolve()) if other else arguments.val,
    }


def completed(arguments: Namespace, command: Mapping[str, Any]) -> Namespace:
    """Fill in the run's own dataset, TensorBoard and callbacks where the arguments name none."""
    found = arguments.clone()
    for name, value in {**command["data"], **command["watchers"]}.items():
        if arguments.given.get(name) is None:
            found[name] = value
    return found


def check_given(given: Namespace, meta: Mapping[str, Any], folder: Path) -> TrainConfig:
    """Update the run's options by those of the command line that do not affect the learned weights.

    Args:
        given: the options of the command line, without defaults.
        meta: metadata of the run's checkpoint.
        folder: the run's folder.

    Raises:
        ConfigError: options are given that the run did not begin with; all of them are named.
    """
    config, before, refused = deepcopy(meta["config"]), beginnings(meta, folder), []
    for name, value in given.items():
        if name in HARMLESS:
            group, _, field = name.rpartition(".")
            (config[group] if group else config)[field] = value
        elif name in before and comparable(name, value) not in before[name]:
            refused.append(f"--{name.replace('_', '-')} {value}: the run began {listed(before[name])}")
    if refused:
        from yolo.training.run.consistency import more_epochs

        longer = f" ({more_epochs(folder)})" if any(each.startswith("--epochs ") for each in refused) else ""
        raise ConfigError(f"{'; '.join(refused)}; a run goes on as it began{longer}")
    return train_config(config)


def beginnings(meta: Mapping[str, Any], folder: Path) -> dict[str, list[Any]]:
    """Accepted values of each option that cannot change: as it was typed, or the value it resolved to."""
    command, detector = meta["command"], meta["detector"]
    came = {
        "model": detector["model"],
        "size": "x".join(map(str, detector["size"])),
        "letterbox": detector["letterbox"],
        "precision": command["precision"],
        "out": str(folder.resolve()),
        **leaves(meta["config"]),
    }
    typed = {name: comparable(name, value) for name, value in command["typed"].items()}
    return {name: [each[name] for each in (typed, came) if name in each] for name in {**typed, **came}}


def leaves(config: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten a configuration made a dictionary by ``asdict``: fields of groups get names such as ``loss.box``."""
    groups = {name: values for name, values in config.items() if name in ("loss", "augment")}
    inner = {f"{group}.{name}": value for group, values in groups.items() for name, value in values.items()}
    return {**{name: value for name, value in config.items() if name not in groups}, **inner}


def comparable(name: str, value: Any) -> Any:
    """Value of an option in canonical form, as some can be typed in several ways."""
    if name == "size" and value is not None:
        return "x".join(map(str, parse_size(value)))
    if name == "out" and value is not None:
        return str(Path(value).resolve())
    return value


def listed(values: list[Any]) -> str:
    """Words such as ``with auto (24)``: the value as it was typed, and what it resolved to."""
    typed, *came = dict.fromkeys(str(value) for value in values if value is not None) or [""]
    return f"with {typed}{''.join(f' ({value})' for value in came)}" if typed else "without"
