"""Paths as plain text, for folders of very many files: a `Path` for each would cost more than reading it."""

from __future__ import annotations

import os


def join(folder: str, *names: str) -> str:
    """Path of something in a folder; the working folder (``.``) adds nothing."""
    return os.path.join("" if folder == os.curdir else folder, *names)  # noqa: PTH118


def split(path: str) -> list[str]:
    """Parts of a path; the first of an absolute one is empty."""
    return path.split(os.sep)  # noqa: PTH206


def unsplit(parts: list[str], *, absolute: bool) -> str:
    """Path of some parts: the root or the working folder if there are none."""
    return os.sep.join(parts) or (os.sep if absolute else os.curdir)  # noqa: PTH118


def suffix_of(name: str) -> str:
    """Suffix of a file's name in lower case, with its dot; empty if there is none."""
    stem, dot, suffix = name.rpartition(".")
    return f".{suffix.lower()}" if dot and stem else ""
