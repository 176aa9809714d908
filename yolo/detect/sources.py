"""Finding image files from the user's paths, folders and globs."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from itertools import dropwhile
from pathlib import Path

from yolo.errors import MediaError
from yolo.images.listing import list_images, without_repeats
from yolo.images.suffixes import SUFFIXES

RECURSIVE = "**"


def find_pictures(sources: Sequence[str | Path]) -> list[Path]:
    """Find the images of files, folders (with their subfolders) and globs, in the given order, each once.

    A file that is named, or matched by a glob, counts as an image whatever its suffix.

    Raises:
        MediaError: a source names no file, or a folder contains no images.
    """
    if not sources:
        raise ValueError("expected at least one source, got none")
    if len(sources) == 1:
        return expand_source(sources[0])
    return without_repeats(path for source in sources for path in expand_source(source))


def expand_source(source: str | Path) -> list[Path]:
    """Find the images of one source, at least one.

    Raises:
        MediaError: there are none.
    """
    path = Path(source)
    try:
        if path.is_dir():
            return folder_pictures(path)
        if path.exists():
            return [path]
        # Globs come last, so that a file may have brackets in its name.
        found = {Path(each) for each in glob_files(str(source))}
        # Of several paths to one file the shortest, which leads through the fewest links.
        matches = sorted(without_repeats(sorted(found, key=lambda each: (len(each.parts), each))))
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        reason = error.strerror if isinstance(error, OSError) else error
        raise MediaError(f"{source}: cannot be read ({reason})") from error
    if not matches:
        what = "no file matches" if glob.has_magic(str(source)) else "no such file or folder"
        raise MediaError(f"{source}: {what}; give pictures, folders or globs")
    return matches


def folder_pictures(folder: Path) -> list[Path]:
    """List the images of a folder and its subfolders, at least one.

    Raises:
        MediaError: there are none.
    """
    pictures = list_images(folder)
    if not pictures:
        raise MediaError(f"{folder}: no pictures in this folder (looked for {', '.join(sorted(SUFFIXES))})")
    return pictures


def glob_files(pattern: str) -> Iterator[str]:
    """Find the regular files that a pattern matches; ``**`` stands for a folder and all folders below it.

    `glob.glob` follows links repeatedly: with one to a parent folder it lists every file forty times, and with two it
    never ends.
    """
    parts = pattern.split(os.sep)  # noqa: PTH206 - a pattern, whose empty parts count
    if RECURSIVE not in parts:
        yield from filter(os.path.isfile, glob.glob(pattern))  # noqa: PTH207
        return
    place = parts.index(RECURSIVE)
    above, below = os.sep.join(parts[:place]), list(dropwhile(RECURSIVE.__eq__, parts[place:]))  # noqa: PTH118
    if place == 1 and not above:
        above = os.sep
    roots = glob.glob(above) if above else [""]  # noqa: PTH207
    for root in roots:
        for folder in folders_below(root):
            yield from glob_files(os.path.join(glob.escape(folder), *(below or ["*"])))  # noqa: PTH118


def folders_below(root: str) -> Iterator[str]:
    """List a folder and all folders below it, each once, following links, without hidden ones.

    Real folders come before links, so that files are found under their real paths.
    """
    seen: set[str] = set()
    folders, links = [root], list[str]()
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)
        real = os.path.realpath(folder)
        if real in seen or not os.path.isdir(real):  # noqa: PTH112
            continue
        seen.add(real)
        yield folder
        for name in sorted(os.listdir(real), reverse=True):  # noqa: PTH208
            path = os.path.join(folder, name)  # noqa: PTH118
            if not name.startswith(".") and os.path.isdir(path):  # noqa: PTH112
                (links if os.path.islink(path) else folders).append(path)  # noqa: PTH114
