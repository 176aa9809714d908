"""JSON annotation files: read whole, or only the keys at their top to tell formats apart."""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from yolo.errors import AnnotationError
from yolo.files.bounded import MIB, open_file, read_bytes

LARGEST_JSON = 8192 * MIB
"""Largest size of a JSON file in bytes; those of the largest public datasets have a few thousand MiB."""
GLANCE = MIB
"""Number of bytes at the beginning of a file in which keys are looked for."""
TOKENS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"\s*:?|[{}\[\]]', re.DOTALL)
"""Brackets, and texts: a key with its colon."""


class Outline(NamedTuple):
    """Shape of the beginning of a JSON file."""

    is_list: bool
    """Whether it is a list, and not an object."""
    keys: frozenset[str]
    """Keys of the object, or of the objects in the list."""
    inner: frozenset[str]
    """Keys of the objects one level further down."""

    def has(self, *keys: str) -> bool:
        return self.keys.issuperset(keys)


NO_OUTLINE = Outline(False, frozenset(), frozenset())


def outline(path: Path) -> Outline:
    """Outline of a JSON file, from its first `GLANCE` bytes; empty if it cannot be read or is not JSON."""
    try:
        status = path.stat()
        return _outline(str(path), status.st_size, status.st_mtime_ns)
    except OSError:
        return NO_OUTLINE


@lru_cache(maxsize=4096)
def _outline(path: str, size: int, changed: int) -> Outline:  # noqa: ARG001 - a changed file is read again
    with open_file(path) as file:
        head = in_utf8(file.read(GLANCE)).lstrip()
    is_list, keys, depth = head.startswith(b"["), (set[bytes](), set[bytes]()), 0
    for token in TOKENS.findall(head) if head[:1] in (b"{", b"[") else ():
        if token in b"{[":
            depth += 1
        elif token in b"}]":
            depth -= 1
        elif token.endswith(b":") and 0 <= (level := depth - 1 - is_list) <= 3:
            keys[min(level, 1)].add(token)
    outer, inner = (frozenset(key[1 : key.rindex(b'"')].decode("utf-8", "replace") for key in each) for each in keys)
    return Outline(is_list, outer, inner)


def in_utf8(head: bytes) -> bytes:
    """Beginning of a JSON file in UTF-8 without a byte order mark; Windows' programs also write UTF-16."""
    encoding = json.detect_encoding(head)
    if encoding != "utf-8":
        head = head.decode(encoding, "replace").encode("utf-8", "replace")
    return head.removeprefix(b"\xef\xbb\xbf")


@contextmanager
def paused_garbage_collection() -> Iterator[None]:
    """Pause the garbage collector, which would scan millions of new dictionaries again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def read_json(path: Path) -> Any:
    """Read the content of a JSON file.

    Raises:
        AnnotationError: the file is missing or malformed.
    """
    content = read_bytes(path, limit=LARGEST_JSON, error=AnnotationError, what="an annotation file")
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        raise AnnotationError(
            f"{path}:{error.lineno}:{error.colno}: not valid JSON ({error.msg}); mend or export it again"
        ) from error
    except UnicodeDecodeError as error:
        raise AnnotationError(
            f"{path}: not valid JSON (byte {error.start} is no {error.encoding}); save it again as UTF-8"
        ) from error
    except (ValueError, RecursionError) as error:  # a number of 5000 digits, 10,000 nested brackets
        raise AnnotationError(f"{path}: not valid JSON ({error!s:.80})") from error
