"""From what the user names to picture files."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from yolo.errors import MediaError
from yolo.images.codec import SUFFIXES, list_images


def find_pictures(sources: Sequence[str | Path]) -> list[Path]:
    """The pictures of files, folders (with their subfolders) and globs, in that order, each once.

    A file that is named, or matched by a glob, counts as a picture whatever its suffix.

    Raises:
        MediaError: a source names no file, or a folder holds no pictures.
    """
    if not sources:
        raise ValueError("expected at least one source, got none")
    found = (path for source in sources for path in expand_source(source))
    return unique_paths(found)


def expand_source(source: str | Path) -> list[Path]:
    """The pictures of one source, at least one.

    Raises:
        MediaError: there are none.
    """
    path = Path(source)
    try:
        if path.is_dir():
            return folder_pictures(path)
        if path.exists():
            return [path]
        # Only now, so that a file may have brackets in its name.
        matches = sorted(Path(match) for match in glob.glob(str(source), recursive=True))  # noqa: PTH207
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        reason = error.strerror if isinstance(error, OSError) else error
        raise MediaError(f"{source}: cannot be read ({reason})") from error
    files = [match for match in matches if match.is_file()]
    if not files:
        what = "no file matches" if glob.has_magic(str(source)) else "no such file or folder"
        raise MediaError(f"{source}: {what}; give pictures, folders or globs")
    return files


def folder_pictures(folder: Path) -> list[Path]:
    pictures = list_images(folder)
    if not pictures:
        raise MediaError(f"{folder}: no pictures in this folder (looked for {', '.join(sorted(SUFFIXES))})")
    return pictures


def unique_paths(paths: Iterable[Path]) -> list[Path]:
    """The first of every file's paths."""
    # Not `resolve`: links of different names to one file may be meant.
    first: dict[str, Path] = {}
    for path in paths:
        first.setdefault(os.path.abspath(path), path)  # noqa: PTH100
    return list(first.values())
