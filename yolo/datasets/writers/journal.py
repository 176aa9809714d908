"""Output folder of a conversion: empty, or emptied of what an earlier conversion has written."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath

from yolo.datasets.writers.writer import JOURNAL, Layout
from yolo.errors import ConfigError
from yolo.files.locks import NAME as LOCK


def empty_target(folder: Path, layout: Layout | None, *, force: bool) -> None:
    """Make an output folder, and remove the files that an earlier conversion has noted there.

    Args:
        folder: the folder.
        layout: place of the images that will be written.
        force: whether the folder need not be empty.

    Raises:
        ConfigError: the folder is not empty, holds images of somebody else where new ones are to be, or cannot be
            made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not force and any(path.name != LOCK for path in folder.iterdir()):
            raise ConfigError(f"{folder}: exists; give another OUT, or --force to write into it")
        remove_noted(folder)
        base = folder if layout is None else folder / layout.folder.partition("/")[0].partition("{")[0]
        if layout is not None and base != folder and base.exists() and has_files(base):
            raise ConfigError(
                f"{base}: holds files of another origin, which would become part of the dataset; give another OUT"
            )
    except OSError as error:
        raise ConfigError(f"{error.filename or folder}: cannot be written ({error.strerror})") from error


def remove_noted(folder: Path) -> None:
    """Remove the files that an earlier conversion has written, the folders that are empty then, and its journal."""
    journal = folder / JOURNAL
    if not journal.is_file():
        return
    names = [PurePosixPath(line) for line in journal.read_text(encoding="utf-8").splitlines() if line]
    own = [name for name in names if not name.is_absolute() and ".." not in name.parts]
    inside = folder.resolve()
    for name in own:
        if (folder / name).parent.resolve().is_relative_to(inside):  # not through a link to a folder elsewhere
            (folder / name).unlink(missing_ok=True)
    for parent in sorted(parents(own), key=lambda each: -len(each.parts)):
        with suppress(OSError):  # not empty
            (folder / parent).rmdir()
    journal.unlink()


def parents(names: Iterable[PurePosixPath]) -> set[PurePosixPath]:
    """All folders above some files, less the one that they are relative to."""
    return {parent for name in names for parent in name.parents if parent.parts}


def has_files(folder: Path) -> bool:
    return any(not path.is_dir() for path in folder.rglob("*"))
