"""Images and annotation files that are left out of a dataset because they cannot be used, listed with the reasons."""

from __future__ import annotations

import logging

from yolo.errors import AnnotationError

logger = logging.getLogger(__name__)

LIMIT = 0.05
"""Fraction of the images that may be left out; one always may."""
NAMED = 20
"""Largest number of reasons in a message."""


class LeftOut:
    """List of what is left out: each file or entry once, with a reason that names it."""

    def __init__(self) -> None:
        self.entries: dict[str, str] = {}
        self.remedy = ""
        """Advice about the entries, at the end of a message about several."""

    def __len__(self) -> int:
        return len(self.entries)

    def __contains__(self, file: object) -> bool:
        return str(file) in self.entries

    def add(self, file: object, reason: object) -> None:
        """Leave a file, or an entry such as ``data.csv:17``, out; the reason is a message that names it."""
        self.entries.setdefault(str(file), str(reason))

    def settle(self, total: int, *, name: str, strict: bool) -> None:
        """Report all that is left out in one message.

        Args:
            total: number of images or annotation files that there would be.
            name: the dataset, for the message.
            strict: refuse the dataset if anything is left out.

        Raises:
            AnnotationError: nothing may be left out, or too much would be; the message names each with its reason.
        """
        if not self.entries:
            return
        count = len(self.entries)
        if count == 1 and (strict or total <= 1):
            raise AnnotationError(next(iter(self.entries.values())))
        reasons = "; ".join(list(self.entries.values())[:NAMED])
        more = f"; and {count - NAMED} more" if count > NAMED else ""
        more += f"; {self.remedy}" if self.remedy else ""
        if strict or count >= total or count > max(1.0, LIMIT * total):
            allowed = "" if strict else f", and {LIMIT:.0%} may be left out"
            raise AnnotationError(f"{name}: {count} of {total} cannot be used{allowed}: {reasons}{more}")
        logger.warning("%s: %d of %d cannot be used and are left out: %s%s", name, count, total, reasons, more)
