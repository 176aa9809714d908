"""Quoting of values in messages: their Python form, cut to a limited length."""

from __future__ import annotations

from itertools import islice
from reprlib import Repr

LONGEST = 60
"""Default limit of characters quoted from a value."""
MOST_DIGITS = 4000
"""Limit of digits of an integer; Python refuses to format longer ones."""


class _Bounded(Repr):
    """Bounded `repr`: `reprlib` formats only the first few entries of each container."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxstring = self.maxother = 2 * length  # `quoted` cuts once more, with dots at the end
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = 20

    def repr_int(self, x: int, level: int) -> str:  # noqa: ARG002 - the signature is reprlib's
        return repr(x) if abs(x).bit_length() < 3 * MOST_DIGITS else "a number of thousands of digits"

    def repr_dict(self, x: dict[object, object], level: int) -> str:
        """Format a mapping in its own order; `reprlib` would sort all keys."""
        if level <= 0:
            return "{...}"
        shown = [f"{self.repr1(key, level - 1)}: {self.repr1(x[key], level - 1)}" for key in islice(x, 20)]
        return "{" + ", ".join([*shown, *(["..."] if len(x) > len(shown) else [])]) + "}"


def quoted(value: object, length: int = LONGEST) -> str:
    """Format a value for a message, cut after ``length`` characters."""
    text = _Bounded(length).repr(value)
    return text if len(text) <= length else f"{text[: length - 3]}..."
