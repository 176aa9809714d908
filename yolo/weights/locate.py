"""Finding weights files: what a name stands for, what lies beside it, and what is wrong with it, without Keras."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from yolo.darknet.names import read_names
from yolo.errors import ConfigError, WeightsError
from yolo.files.atomic import exists, is_file, is_folder
from yolo.weights.published import PUBLISHED, published_file

logger = logging.getLogger(__name__)

BEST = "best.keras"
"""The file of a run's folder that the folder stands for."""
IMAGENET = "imagenet"
"""In place of a file: the weights that Keras publishes for its backbones."""
PARTIAL_NAME = re.compile(r"\.conv\.\d+$")
"""Suffix of Darknet's files of the first layers, as in ``darknet53.conv.74``."""
SNAPSHOT = re.compile(r"_(final|last|best|\d+)$")
"""What Darknet adds to the name of the network file when it saves weights."""
DATA_NAMES = re.compile(r"^\s*names\s*=\s*(\S.*?)\s*$", re.MULTILINE)
"""The line of a Darknet ``.data`` file that names the list of classes."""
LARGEST_DATA_FILE = 2**16


def is_darknet(path: str | Path) -> bool:
    """Whether a file's name is one that Darknet gives to weights."""
    name = Path(path).name
    return Path(name).suffix in (".weights", ".backup") or PARTIAL_NAME.search(name) is not None


def is_run(path: str | Path) -> bool:
    """Whether a path is the folder of a training run that has saved weights."""
    return is_folder(path) and is_file(Path(path) / BEST)


def resolve(path: str | Path, *, offline: bool = False) -> str | Path:
    """The weights file that a path or name stands for.

    Args:
        path: a file; a run's folder, which stands for its best.keras; or the name of published weights, which are
            downloaded the first time.
        offline: take published weights from the cache alone.

    Raises:
        WeightsError: the folder is no run's, or the download fails.
    """
    if is_folder(path):
        if not is_run(path):
            raise WeightsError(f"{path}: no {BEST} in this folder; give a .keras or .weights file, or a run's folder")
        return Path(path) / BEST
    if str(path) in PUBLISHED and not is_file(path):
        return published_file(str(path), offline=offline)
    return path


def check_loadable(path: str | Path) -> None:
    """Refuse what holds no whole detector, as far as names and the file system tell, before anything is downloaded.

    Raises:
        WeightsError: the file is missing, or holds the first layers or the description of a network alone.
    """
    if str(path) in PUBLISHED and not exists(path):
        if PUBLISHED[str(path)].partial:
            raise WeightsError(
                f"{path}: a backbone alone; begin a training from it (yolov3 train DATA --weights {path})"
            )
        return
    if Path(path).suffix == ".cfg":
        raise WeightsError(f"{path}: describes a network and holds no weights; give its .weights, and this as --cfg")
    if not exists(path):
        raise WeightsError(f"{path}: no such file")
    if PARTIAL_NAME.search(Path(path).name):
        raise WeightsError(
            f"{path}: holds the first layers of a network alone; begin a training from it (yolov3 train DATA --weights)"
        )


def find_start(path: str | Path) -> str | Path:
    """The file that a training begins from, as `resolve` finds it; published weights are not downloaded yet.

    Raises:
        WeightsError: it is missing.
    """
    if str(path) in PUBLISHED and not exists(path):
        return path
    if not exists(path):
        raise WeightsError(f"{path}: no such file")
    return resolve(path)


def cfg_beside(weights: str | Path) -> Path | None:
    """The network file beside Darknet weights: ``x.cfg`` for ``x.weights`` and its snapshots such as ``x_final``."""
    return next((path for path in _siblings(weights, ".cfg") if is_file(path)), None)


def names_beside(weights: str | Path, count: int) -> Path | None:
    """The list of class names beside Darknet weights, or None.

    Looked for in this order: ``x.names``; ``obj.names``; the list that the only ``.data`` file names. The latter two
    may belong to other weights in the folder and are taken only if their number of names is right.

    Args:
        weights: the weights file.
        count: the number of classes of its network.
    """
    own = next((path for path in _siblings(weights, ".names") if is_file(path)), None)
    if own is not None:
        return own
    folder = Path(weights).parent
    return next((path for path in (folder / "obj.names", _named_by_data(folder)) if path and _fits(path, count)), None)


def _siblings(weights: str | Path, suffix: str) -> list[Path]:
    path = Path(weights)
    stems = dict.fromkeys((path.stem, SNAPSHOT.sub("", path.stem)))
    return [path.with_name(stem + suffix) for stem in stems]


def _named_by_data(folder: Path) -> Path | None:
    """The list of names that the only ``.data`` file of a folder gives."""
    files = [path for path in sorted(folder.glob("*.data")) if is_file(path)]
    if len(files) != 1 or files[0].stat().st_size > LARGEST_DATA_FILE:
        return None
    found = DATA_NAMES.search(files[0].read_text(encoding="utf-8", errors="replace"))
    if found is None:
        return None
    # Darknet reads the path from where it is started, often the folder above: the bare name is tried too.
    places = (folder / found[1], folder / Path(found[1]).name)
    return next((path for path in places if is_file(path)), None)


def _fits(path: Path, count: int) -> bool:
    if not is_file(path):
        return False
    try:
        read_names(path, count)
    except ConfigError as error:
        logger.info("%s: not used for the class names: %s", path.name, error)
        return False
    return True
