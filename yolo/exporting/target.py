"""Place of an export: free or to be written over, and filled all at once."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from yolo.config import Format
from yolo.errors import ConfigError
from yolo.exporting.sample_script import script_name
from yolo.files.atomic import exists, is_folder

SUFFIXES: dict[Format, tuple[str, ...]] = {
    "onnx": (".onnx",),
    "litert": (".tflite", ".litert"),
    "openvino": (".xml", ".openvino", ""),
    "saved_model": (".saved_model", ""),
}
"""Suffixes that a target of each format may have."""
EXPORTED = {
    *("saved_model.pb", "fingerprint.pb", "variables", "assets", "metadata.yaml"),
    *("model.xml", "model.bin", "detect.py"),
}
"""Everything that an export to a folder consists of."""


def check_target(file_format: Format, path: Path, *, force: bool) -> None:
    """Check that an export can be written to a path.

    Raises:
        ConfigError: the name does not fit the format, the path or what is written beside it exists, or there is no
            folder to write it into.
    """
    check_named(path)
    suffixes = SUFFIXES[file_format]
    if path.suffix not in suffixes and "" not in suffixes:
        raise ConfigError(f"{path}: give a name that ends in {' or '.join(suffixes)} for format {file_format}")
    others = {suffix for each, known in SUFFIXES.items() if each != file_format for suffix in known} - {""}
    if path.suffix in {*others, ".keras", ".weights", ".bin"} - {*suffixes}:
        raise ConfigError(f"{path}: {path.suffix} is not a name of format {file_format}; it may end in {suffixes[0]}")
    if exists(path) and not force:
        raise ConfigError(f"{path}: exists; give another --out, or --force to write over it")
    if exists(path) and is_folder(path) and not is_export(path):
        raise ConfigError(f"{path}: a folder with other contents than an export; give another --out")
    if not is_folder(path.parent):
        raise ConfigError(f"{path}: there is no folder {path.parent}")
    for other in companions(file_format, path):
        if exists(other) and not force:
            raise ConfigError(
                f"{other}: exists, and is written along with {path.name}; "
                "give another --out, or --force to write over it"
            )


def check_named(path: Path) -> None:
    """Check that a path ends in a name, which ``.`` and ``..`` do not.

    Raises:
        ConfigError: it does not.
    """
    if path.name in ("", ".."):
        raise ConfigError(f"{path}: give the name of what is written")


def companions(file_format: Format, path: Path) -> list[Path]:
    """Files that are written beside a target: a script, and OpenVINO's weights."""
    script = script_name(file_format, path)
    if script == "detect.py":  # inside the target
        return []
    return [path.parent / script, *([path.with_suffix(".bin")] if path.suffix == ".xml" else [])]


def is_export(folder: Path) -> bool:
    """Whether a folder is empty, or holds nothing but an export, so that it may be replaced."""
    inside = {each.name for each in folder.iterdir()}
    return inside <= EXPORTED


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """Make a temporary folder beside a path, which is gone when the context ends.

    Raises:
        ConfigError: it cannot be made.
    """
    try:
        folder = tempfile.mkdtemp(prefix=".export-", dir=path.parent)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from error
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say that a path cannot be written where a program that writes it fails.

    Raises:
        ConfigError: instead of an `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror or error})") from error


def install(folder: Path, target: Path, *, force: bool) -> None:
    """Move everything from a temporary folder into the target's.

    Raises:
        ConfigError: something is in the way, or it cannot be written.
    """
    try:
        for made in sorted(folder.iterdir()):
            place = target / made.name
            if is_folder(place) and force:
                place.rename(folder / f".old-{made.name}")  # it goes with the temporary folder
            made.replace(place)
    except OSError as error:
        raise ConfigError(f"{target / made.name}: cannot be written ({error.strerror})") from error


def size_of(path: Path) -> int:
    """Size of a file, or of all files in a folder, in bytes."""
    files = [each for each in path.rglob("*") if each.is_file()] if is_folder(path) else [path]
    return sum(each.stat().st_size for each in files)
