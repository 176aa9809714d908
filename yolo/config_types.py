"""Checks of an option's value against its annotation, and the annotation in words for messages."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

NUMBERS: dict[Any, Any] = {int: Integral, float: Real}
"""Abstract types of numbers, to which NumPy's scalars belong too."""
WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    NoneType: "null",
    list: "a list",
    dict: "names with values",
}


@dataclass(frozen=True)
class Range:
    """Interval of the numbers that an option allows.

    Attributes:
        low: smallest number.
        high: largest number.
        above: exclude ``low`` itself.
        below: exclude ``high`` itself.
    """

    low: float
    high: float = math.inf
    above: bool = False
    below: bool = False

    def holds(self, value: object) -> bool:
        """Whether all numbers in a value lie in the interval; text and None are ignored."""
        numbers = value if isinstance(value, list | tuple) else [value]
        return all(self._contains(each) for each in numbers if isinstance(each, Real))

    def _contains(self, number: Any) -> bool:
        over = number > self.low if self.above else number >= self.low
        return bool(over and (number < self.high if self.below else number <= self.high))

    def __str__(self) -> str:
        """Format the interval for messages: ``> 0``, ``in 0..1`` or ``in [0, 1)``."""
        if math.isinf(self.high):
            return f"> {self.low}" if self.above else f">= {self.low}"
        if not (self.above or self.below):
            return f"in {self.low}..{self.high}"
        return f"in {'(' if self.above else '['}{self.low}, {self.high}{')' if self.below else ']'}"

    def in_words(self) -> str:
        """Format the interval for help texts: ``> 0``, ``0 to 1`` or ``0 to <1``."""
        if math.isinf(self.high):
            return str(self)
        return f"{'>' if self.above else ''}{self.low} to {'<' if self.below else ''}{self.high}"


def split_range(annotation: Any) -> tuple[Any, Range | None]:
    """Split ``Annotated[type, Range(...)]`` into type and range; the range of other annotations is None."""
    if get_origin(annotation) is Annotated:
        kind, *extras = get_args(annotation)
        return kind, next((each for each in extras if isinstance(each, Range)), None)
    return annotation, None


def is_a(value: object, kind: Any) -> bool:
    """Whether an annotation allows a value; integers are numbers, booleans are not."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return any(is_a(value, part) for part in parts)
    if origin is Literal:
        return isinstance(value, str) and value in parts
    if origin in (list, tuple):
        return isinstance(value, list | tuple) and all(is_a(each, parts[0]) for each in value)
    if origin is dict:
        return isinstance(value, dict) and all(is_a(key, parts[0]) and is_a(value[key], parts[1]) for key in value)
    if kind in NUMBERS:
        return isinstance(value, NUMBERS[kind]) and not isinstance(value, bool)
    return isinstance(value, kind)


def describe(kind: Any) -> str:
    """Describe in words the values that an annotation allows."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return " or ".join(map(describe, parts))
    if origin is Literal:
        return f"one of {', '.join(parts)}" if len(parts) > 1 else str(parts[0])
    if origin in (list, tuple):
        return f"a list, each {describe(parts[0])}"
    return WORDS.get(origin or kind) or f"a {kind.__name__}"
