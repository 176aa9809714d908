"""What the annotation of an option allows, and how to say that to its user."""

from __future__ import annotations

from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

NUMBERS: dict[Any, Any] = {int: Integral, float: Real}
"""Those of numpy are numbers too."""
WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    NoneType: "null",
    list: "a list",
    dict: "names with values",
}


def is_a(value: object, kind: Any) -> bool:
    """Whether an annotation allows a value; whole numbers are numbers, true and false are none."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return any(is_a(value, part) for part in parts)
    if origin is Literal:
        return isinstance(value, str) and value in parts
    if origin is list:
        return isinstance(value, list | tuple) and all(is_a(each, parts[0]) for each in value)
    if origin is dict:
        return isinstance(value, dict) and all(is_a(key, parts[0]) and is_a(value[key], parts[1]) for key in value)
    if kind in NUMBERS:
        return isinstance(value, NUMBERS[kind]) and not isinstance(value, bool)
    return isinstance(value, kind)


def describe(kind: Any) -> str:
    """What an annotation allows, in words."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return " or ".join(map(describe, parts))
    if origin is Literal:
        return f"one of {', '.join(parts)}" if len(parts) > 1 else str(parts[0])
    if origin is list:
        return f"a list, each {describe(parts[0])}"
    return WORDS.get(origin or kind) or f"a {kind.__name__}"
