"""Values of the user's files in messages: as Python writes them, and never longer than a line."""

from __future__ import annotations

from itertools import islice
from reprlib import Repr

LONGEST = 60
"""Characters of a value that a message repeats, unless its writer wants another number."""
MOST_DIGITS = 4000
"""Python refuses to write longer numbers."""


class _Bounded(Repr):
    """`reprlib` looks at a few entries of each list alone, so that what is not shown is never written out."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxstring = self.maxother = 2 * length  # cut once more at the end, with the dots there
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = 20

    def repr_int(self, x: int, level: int) -> str:  # noqa: ARG002 - the signature is reprlib's
        return repr(x) if abs(x).bit_length() < 3 * MOST_DIGITS else "a number of thousands of digits"

    def repr_dict(self, x: dict[object, object], level: int) -> str:
        """In the order of the file; `reprlib` would sort all keys."""
        if level <= 0:
            return "{...}"
        shown = [f"{self.repr1(key, level - 1)}: {self.repr1(x[key], level - 1)}" for key in islice(x, 20)]
        return "{" + ", ".join([*shown, *(["..."] if len(x) > len(shown) else [])]) + "}"


def quoted(value: object, length: int = LONGEST) -> str:
    """Write a value for a message, cut after ``length`` characters."""
    text = _Bounded(length).repr(value)
    return text if len(text) <= length else f"{text[: length - 3]}..."
