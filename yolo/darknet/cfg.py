"""Reader of Darknet's network files: sections of ``key=value`` lines, with checked access to their options."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from yolo.errors import ConfigError
from yolo.files.atomic import exists
from yolo.files.bounded import MIB, read_bytes

LARGEST_FILE = 4 * MIB
"""Largest size of a network file in bytes; the largest known ones have 40 kB."""
LARGEST_NUMBER = 10**6
"""Largest count, size or index that a network may contain."""
MOST_LAYERS = 2000
LONGEST_SHOWN = 60
"""Largest number of a file's characters that a message repeats."""


@dataclass(frozen=True)
class Option:
    """Value of one ``key=value`` line."""

    value: str
    line: int
    """Line number, from 1."""


@dataclass
class Section:
    """Section ``[kind]`` and its options; options that were read are recorded, so that unknown ones can be reported."""

    kind: str
    line: int
    source: str
    """Name of the file, for messages."""
    options: dict[str, Option] = field(default_factory=dict)
    repeated: dict[str, list[Option]] = field(default_factory=dict)
    """Further lines of options given more than once."""
    asked: set[str] = field(default_factory=set)

    def fault(self, message: str, key: str | None = None) -> NoReturn:
        """Raise a ConfigError that names file, line and section."""
        option = self.options.get(key) if key else None
        named = f" {shortened(f'{key}={option.value}')}" if option else ""
        line = option.line if option else self.line
        raise ConfigError(f"{self.source}:{line}: [{shortened(self.kind)}]{named}: {message}")

    def text(self, key: str, default: str | None = None) -> str:
        """Value as written."""
        self.asked.add(key)
        for again in self.repeated.get(key, ()):
            if again.value != self.options[key].value:
                self.fault(f"given again as {shortened(again.value)} in line {again.line}", key)
        if key in self.options:
            return self.options[key].value
        if default is None:
            self.fault(f"{key} is missing")
        return default

    def number(
        self, key: str, default: float | None = None, *, low: float = -math.inf, high: float = math.inf
    ) -> float:
        """Number in low..high."""
        return self._number(key, self.text(key, None if default is None else str(default)), low, high)

    def integer(self, key: str, default: int | None = None, *, low: int = 0, high: int = LARGEST_NUMBER) -> int:
        """Integer in low..high."""
        return self._integer(key, self.text(key, None if default is None else str(default)), low, high)

    def flag(self, key: str) -> bool:
        """Flag, 0 or 1; 0 if not given."""
        return self.integer(key, 0, high=1) == 1

    def integers(self, key: str, *, low: int = 0) -> list[int]:
        """Integers separated by commas."""
        return [self._integer(key, part, low, LARGEST_NUMBER) for part in self._parts(key)]

    def numbers(self, key: str) -> list[float]:
        """Numbers separated by commas."""
        return [self._number(key, part, -math.inf, math.inf) for part in self._parts(key)]

    def choice(self, key: str, allowed: Collection[str], default: str) -> str:
        """One of the allowed words."""
        value = self.text(key, default)
        if value not in allowed:
            self.fault(f"not supported; there are {', '.join(allowed)}", key)
        return value

    def only(self, **values: str) -> None:
        """Reject any other value of options that Darknet supports and this package does not."""
        for key, value in values.items():
            if self.text(key, value) != value:
                self.fault(f"not supported (only {value})", key)

    def finish(self, ignored: Collection[str]) -> None:
        """Reject an option that was never read, unless it is one of the ignored ones."""
        unknown = [key for key in self.options if key not in self.asked and key not in ignored]
        if unknown:
            self.fault("unknown option; remove the line if it does not change what the network computes", unknown[0])

    def _parts(self, key: str) -> list[str]:
        return [part for part in self.text(key).split(",") if part]

    def _number(self, key: str, text: str, low: float, high: float) -> float:
        try:
            value = float(text) if text.isascii() and "_" not in text else None  # Python accepts more than C
        except ValueError:
            value = None
        if value is None:
            self.fault("a number is expected", key)
        if not (math.isfinite(value) and low <= value <= high):
            self.fault(f"expected a number in {low:g}..{high:g}", key)
        return value

    def _integer(self, key: str, text: str, low: int, high: int) -> int:
        value = self._number(key, text, low, high)
        if value != int(value):
            self.fault("a whole number is expected", key)
        return int(value)


def read_cfg(path: str | Path) -> str:
    """Read the text of a network file.

    Raises:
        ConfigError: the file is missing, cannot be read, or is far too large.
    """
    if not exists(path):
        raise ConfigError(f"{path}: no such file")
    content = read_bytes(path, limit=LARGEST_FILE, what="a Darknet network file")
    if b"\0" in content:
        raise ConfigError(f"{path}: not a Darknet network file")
    return content.decode("utf-8-sig", errors="replace")  # comments may be in any encoding


def split_sections(text: str, source: str) -> list[Section]:
    """Split the text into sections, in the file's order; the first one is ``[net]``.

    As in Darknet, blanks are removed everywhere, and an option may be repeated with the same value; ``#`` and ``;``
    start a comment.

    Args:
        text: text of the file.
        source: name of the file, for messages.

    Raises:
        ConfigError: a line is neither a section nor an option, ``[net]`` is not the first section, or there are
            too many.
    """
    sections: list[Section] = []
    for number, raw in enumerate(text.split("\n"), 1):
        line = "".join(raw.partition("#")[0].partition(";")[0].split())
        if line.startswith("["):
            if not line.endswith("]"):
                raise ConfigError(f"{source}:{number}: {shortened(line)}: a section ends with ]")
            if len(sections) > MOST_LAYERS:
                raise ConfigError(f"{source}:{number}: more layers than the {MOST_LAYERS} a network may have here")
            sections.append(Section(line[1:-1], number, source))
        elif line:
            key, equals, value = line.partition("=")
            if not (key and equals and sections):
                raise ConfigError(f"{source}:{number}: expected [section] or key=value, got {shortened(line)!r}")
            _add(sections[-1], key, Option(value, number))
    if not sections or sections[0].kind not in ("net", "network"):
        place = sections[0].line if sections else 1
        raise ConfigError(f"{source}:{place}: not a Darknet network file: its first section has to be [net]")
    return sections


def _add(section: Section, key: str, option: Option) -> None:
    if key not in section.options:
        section.options[key] = option
    else:
        section.repeated.setdefault(key, []).append(option)


def shortened(text: str) -> str:
    """Cut a text to the length that fits into a message."""
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
