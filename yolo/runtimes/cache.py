"""Cache of networks converted for a runtime: each weights file is converted once, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import metadata
from io import BufferedReader
from pathlib import Path
from typing import Any, NamedTuple, cast

import yolo
from yolo.errors import ConfigError, WeightsError, YoloError
from yolo.files.bounded import MIB, open_or_fault
from yolo.files.cache_folder import cache_folder
from yolo.files.locks import BusyError, locked_file
from yolo.weights.locate import cfg_beside, is_darknet, name_lists_beside

logger = logging.getLogger(__name__)

VERSION = 1
"""Number of the way of converting; another one makes all kept conversions void."""
LIMIT = 4096 * MIB
"""Limit of all that is kept in one folder, in bytes; what was not used for the longest time goes first."""
SECONDS_BETWEEN_TRIES = 0.2
"""Seconds to wait for another process that converts the same file, before looking again."""
CONVERTERS = {"openvino": ("openvino",), "onnx": ("onnx", "tf2onnx"), "litert": ()}
"""Packages besides TensorFlow that make the file of each runtime."""

_temporary: list[tempfile.TemporaryDirectory[str]] = []
"""Folders of conversions that could not be kept; they are deleted when the process ends."""
_warned: set[str] = set()


class Conversion(NamedTuple):
    """Folder of a converted network."""

    folder: Path
    new: bool
    """Whether it was made now, and not found in the cache."""


def cached_conversion(path: str | Path, runtime: str, options: dict[str, Any]) -> Path:
    """Folder in the cache for a weights file converted for a runtime, which need not exist.

    Its name is a digest of everything that the conversion depends on: contents of the files, options, versions.

    Args:
        path: a weights file as `yolo.load` takes it.
        runtime: name of the runtime.
        options: further arguments of `yolo.load`.

    Raises:
        YoloError: a file cannot be read, or there is no cache folder.
    """
    return cache_folder() / "converted" / conversion_name(path, runtime, options)


def conversion_name(path: str | Path, runtime: str, options: dict[str, Any]) -> str:
    """Name of a conversion's folder; arguments as in `cached_conversion`."""
    values = {name: options[name] for name in ("size", "letterbox") if options.get(name) is not None}
    packages = ("keras", "tensorflow", *CONVERTERS[runtime])
    about = {
        "options": values,
        "weights": _digest(path, WeightsError),
        "described_by": [_digest(each, ConfigError) for each in _files_beside(path, options)],
        "names": None if isinstance(options.get("names"), str | Path) else options.get("names"),
        "model": Path(path).stem if is_darknet(path) else None,  # the origin names it
        "versions": [VERSION, yolo.__version__, *map(metadata.version, packages)],
    }
    text = json.dumps(about, default=str, sort_keys=True)
    return f"{runtime}-{hashlib.sha256(text.encode()).hexdigest()[:24]}"


def _files_beside(path: str | Path, options: dict[str, Any]) -> Iterator[str | Path]:
    """Files that describe the network of Darknet weights: those that are named, else those that lie beside them."""
    if not is_darknet(path):
        return
    cfg, names = options.get("cfg") or cfg_beside(path), options.get("names")
    yield from (each for each in (cfg,) if each is not None)
    yield from [names] if isinstance(names, str | Path) else [] if names else name_lists_beside(path)


def _digest(path: str | Path, error: type[YoloError]) -> str:
    with open_or_fault(path, error) as file:
        return hashlib.file_digest(cast(BufferedReader, file), "sha256").hexdigest()


def kept_conversion(name: str, convert: Callable[[Path], None]) -> Conversion:
    """Find a conversion in the cache, or make it by ``convert`` and keep it there.

    Two processes do not convert the same file at once. Where nothing can be kept, it is converted into a temporary
    folder, and one warning says so.

    Args:
        name: name of the folder, by `conversion_name`.
        convert: writes the files of the conversion into the folder it is given.
    """
    try:
        parent = cache_folder() / "converted"
        if (parent / name).is_dir():
            with suppress(OSError):
                os.utime(parent / name)  # it was used now
            return Conversion(parent / name, new=False)
        parent.mkdir(parents=True, exist_ok=True)
        if not os.access(parent, os.W_OK | os.X_OK):
            raise PermissionError(0, "not writable", str(parent))
    except (OSError, WeightsError) as error:
        return _not_kept(convert, str(getattr(error, "strerror", None) or error))
    with _alone(parent / f"{name}.lock"):
        if (parent / name).is_dir():  # made by the process that this one has waited for
            return Conversion(parent / name, new=False)
        _convert_whole(parent / name, convert)
        make_room(parent, keep=parent / name)
    return Conversion(parent / name, new=True)


def _convert_whole(folder: Path, convert: Callable[[Path], None]) -> None:
    """Convert into a hidden folder, which takes its name when it is whole; a failure leaves nothing."""
    unfinished = folder.with_name(f".{folder.name}")
    _delete(unfinished)  # of a process that was killed
    try:
        unfinished.mkdir()
        convert(unfinished)
        _delete(folder)  # a file of that name
        unfinished.rename(folder)
    finally:
        _delete(unfinished)


def _not_kept(convert: Callable[[Path], None], reason: str) -> Conversion:
    if reason not in _warned:
        _warned.add(reason)
        logger.warning("converted networks cannot be kept (%s); set YOLO_CACHE to a folder for a quicker start", reason)
    folder = tempfile.TemporaryDirectory(prefix="yolov3-")
    _temporary.append(folder)
    convert(Path(folder.name))
    return Conversion(Path(folder.name), new=True)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold a lock inside the block; wait for another process that has it."""
    said = False
    while True:
        try:
            with locked_file(lock):
                yield
            return
        except BusyError as error:
            if not said:
                logger.info("waiting for %s, which converts the same network", error)
            said = True
            time.sleep(SECONDS_BETWEEN_TRIES)


def renewed_conversion(folder: Path, convert: Callable[[Path], None]) -> Conversion:
    """Convert anew what turned out to be damaged; one that cannot be deleted, for want of rights, is passed by.

    Args:
        folder: folder of the damaged conversion.
        convert: as in `kept_conversion`.
    """
    _delete(folder)
    if folder.is_dir():
        return _not_kept(convert, f"{folder} is damaged, but cannot be deleted")
    return kept_conversion(folder.name, convert)


def make_room(folder: Path, *, keep: Path | None = None, limit: int = LIMIT) -> None:
    """Delete what was not used for the longest time until the rest is within a limit, and what was left unfinished.

    Args:
        folder: folder whose files and folders are the things that are kept.
        keep: one that stays in any case.
        limit: bytes that may be kept.
    """
    found: list[tuple[float, int, Path]] = []
    with suppress(OSError):
        for path in folder.iterdir():
            if path.name.startswith("."):
                _delete_unfinished(path)
            elif path.suffix != ".lock":
                found.append((path.stat().st_mtime, _size(path), path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found, key=lambda each: each[0]):
        if total > limit and path != keep:
            _delete(path)
            total -= size


def _delete_unfinished(path: Path) -> None:
    """Delete the hidden folder of a killed process, unless another one is at work in it."""
    with suppress(BusyError), locked_file(path.with_name(f"{path.name[1:]}.lock")):
        _delete(path)


def _size(path: Path) -> int:
    paths: Sequence[Path] = list(path.rglob("*")) if path.is_dir() else [path]
    return sum(each.stat().st_size for each in paths if each.is_file())


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
