"""Search space: training options by dotted name, each with a range or a list of values."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from yolo.config import TrainConfig, check, train_config
from yolo.config_types import describe, is_a
from yolo.errors import ConfigError
from yolo.files.yaml_file import read_yaml
from yolo.training.optimizer.learning_rate import peak_rate
from yolo.training.run.consistency import flatten

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Value = float | int | bool | str | None
Kind = Literal["float", "log", "int", "choice"]
FIXED = ("epochs", "seed")
"""Options that all trials share, so that their results are comparable."""
EXPONENTIAL = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")


class Range(NamedTuple):
    """Range or choice of values of one option."""

    kind: Kind
    low: float = 0.0
    high: float = 0.0
    values: tuple[Value, ...] = ()
    """Values of a choice."""

    @property
    def extremes(self) -> tuple[Value, ...]:
        """Boundary values: if the option accepts these, it accepts the whole range."""
        return self.values if self.kind == "choice" else (self.low, self.high)

    def __contains__(self, value: object) -> bool:
        if self.kind == "choice":
            return value in self.values
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and self.low <= value <= self.high and (self.kind != "int" or isinstance(value, int))  # type: ignore[operator]

    def distribution(self) -> BaseDistribution:
        """Convert to a distribution of Optuna."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.kind == "choice":
            return CategoricalDistribution(self.values)
        if self.kind == "int":
            return IntDistribution(int(self.low), int(self.high))
        return FloatDistribution(float(self.low), float(self.high), log=self.kind == "log")


Space = dict[str, Range]
"""Ranges by dotted name of the option."""


def read_space(path: str | Path, config: TrainConfig) -> Space:
    """Read a search space from a YAML file such as `yolo/spaces/default.yaml`.

    Args:
        path: file to read.
        config: options shared by all trials, with which every value must be compatible.

    Raises:
        ConfigError: the file cannot be read, or a range is malformed or not allowed for its option.
    """
    rows = read_yaml(path)
    if not isinstance(rows, Mapping) or not rows:
        raise ConfigError(
            f"{path}: expected options with their ranges, such as learning_rate: {{kind: log, low: 0.001, high: 0.01}}"
        )
    space = {}
    for name, row in rows.items():
        try:
            space[str(name)] = read_range(str(name), row, config)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error
    return space


def read_range(name: str, row: Any, config: TrainConfig) -> Range:
    """Read one row of a search space.

    Raises:
        ConfigError: the row is not a range, the option does not exist, or it does not accept these values.
    """
    check(isinstance(row, Mapping), name, "a range such as {kind: float, low: 0, high: 1}", row)
    kind, keys = row.get("kind"), {"kind", "values"} if row.get("kind") == "choice" else {"kind", "low", "high"}
    check(kind in get_args(Kind), f"{name}: kind", f"one of {', '.join(get_args(Kind))}", kind)
    check(set(row) == keys, name, f"given by {', '.join(sorted(keys))}", ", ".join(map(str, row)))
    check(name not in FIXED, name, "the same in all trials", "a range")
    found = read_choice(name, row["values"]) if kind == "choice" else read_ends(name, row)
    for value in found.extremes:
        changed(config, {name: value})
    return found


def read_choice(name: str, values: Any) -> Range:
    """Read a choice of values; raises as `read_range`."""
    check(isinstance(values, list) and len(values) > 0, f"{name}: values", "a list", values)
    return Range("choice", values=tuple(map(as_number, values)))


def read_ends(name: str, row: Mapping[str, Any]) -> Range:
    """Read a range of numbers; raises as `read_range`."""
    low, high = as_number(row["low"]), as_number(row["high"])
    number = int if row["kind"] == "int" else float
    check(is_a(low, number) and is_a(high, number), name, f"between two, each {describe(number)}", dict(row))
    check(low < high < math.inf and (row["kind"] != "log" or low > 0), name, "a range that rises", dict(row))
    return Range(row["kind"], number(low), number(high))


def as_number(value: Any) -> Any:
    """Convert text such as 1e-4, which PyYAML reads as text for lack of a point, to a number."""
    return float(value) if isinstance(value, str) and EXPONENTIAL.fullmatch(value) else value


def changed(config: TrainConfig, values: Mapping[str, Value]) -> TrainConfig:
    """Return the configuration with some options changed, by dotted name.

    Raises:
        ConfigError: an option does not exist, or a value is not allowed.
    """
    plain = asdict(config)
    for name, value in values.items():
        *groups, last = name.split(".")
        part = plain
        for group in groups:
            part = part.get(group) if isinstance(part, dict) else None  # type: ignore[assignment]
        if not isinstance(part, dict) or last not in part or isinstance(part[last], dict):
            raise ConfigError(f"{name}: train has no such option")
        part[last] = value
    return train_config(plain)


def present_values(config: TrainConfig, space: Space) -> dict[str, Value]:
    """Values that a configuration has for the options of a space, where they lie within it: the first trial."""
    present = flatten(asdict(config))
    if config.learning_rate is None and config.batch != "auto":
        present["learning_rate"] = peak_rate(config, config.batch)
    return {name: present[name] for name, allowed in space.items() if present[name] in allowed}
