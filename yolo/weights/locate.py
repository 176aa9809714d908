"""Finding weights files by path or name, and the files beside them; without importing Keras."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from yolo.darknet.names import read_names
from yolo.errors import ConfigError, WeightsError
from yolo.files.atomic import exists, is_file, is_folder
from yolo.weights.published import PUBLISHED, published_file

logger = logging.getLogger(__name__)

EXPORTED = {".onnx": "onnx", ".xml": "openvino", ".tflite": "litert", ".litert": "litert"}
"""Runtime of each kind of file that `yolov3 export` writes, by its extension."""
SAVED_MODEL = "saved_model.pb"
"""File by which the folder of a TensorFlow SavedModel is known."""
BEST = "best.keras"
"""File that is loaded when a run's folder is given as weights."""
IMAGENET = "imagenet"
"""Name, in place of a file, of the weights that Keras publishes for its backbones."""
PARTIAL_NAME = re.compile(r"\.conv\.\d+$")
"""Suffix of Darknet's files of the first layers, as in ``darknet53.conv.74``."""
SNAPSHOT = re.compile(r"_(final|last|best|\d+)$")
"""Suffix that Darknet adds to the network file's name when it saves weights."""
DATA_NAMES = re.compile(r"^\s*names\s*=\s*(\S.*?)\s*$", re.MULTILINE)
"""Line of a Darknet ``.data`` file that names the list of classes."""
LARGEST_DATA_FILE = 2**16


def is_darknet(path: str | Path) -> bool:
    """Whether a file's name has an extension of Darknet's weights."""
    name = Path(path).name
    return Path(name).suffix in (".weights", ".backup") or PARTIAL_NAME.search(name) is not None


def is_run(path: str | Path) -> bool:
    """Whether a path is the folder of a training run that has saved weights."""
    return is_folder(path) and is_file(Path(path) / BEST)


def exported_runtime(path: str | Path) -> str | None:
    """Name the runtime of an exported file or folder, as far as name and file system tell; None for all others.

    The folder of a SavedModel runs in ``keras``; a folder with one ``.xml`` file is taken for that.
    """
    if not is_folder(path):
        return EXPORTED.get(Path(path).suffix.lower())
    if is_run(path):
        return None
    return "keras" if is_file(Path(path) / SAVED_MODEL) else "openvino" if _xml_in(path) else None


def _xml_in(folder: str | Path) -> Path | None:
    """Return the only ``.xml`` file of a folder that has its ``.bin`` beside it, or None."""
    try:
        found = [path for path in Path(folder).glob("*.xml") if is_file(path.with_suffix(".bin"))]
    except OSError:
        return None
    return found[0] if len(found) == 1 else None


def resolve(path: str | Path, *, offline: bool = False) -> str | Path:
    """Find the weights file that a path or name stands for.

    Args:
        path: a file; a run's folder, which stands for its best.keras; or the name of published weights, which are
            downloaded on first use.
        offline: download nothing; published weights must be in the cache.

    Raises:
        WeightsError: the folder is not that of a run, or the download fails.
    """
    if is_folder(path):
        if exported_runtime(path) is not None:
            return _xml_in(path) or path
        if not is_run(path):
            raise WeightsError(f"{path}: no {BEST} in this folder; give a .keras or .weights file, or a run's folder")
        return Path(path) / BEST
    if str(path) in PUBLISHED and not is_file(path):
        return published_file(str(path), offline=offline)
    return path


def check_loadable(path: str | Path, *, exported: bool = False) -> None:
    """Check, as far as name and file system tell, that weights hold a whole detector; nothing is downloaded.

    Args:
        path: weights file.
        exported: whether the file of a runtime, which cannot be trained or converted, will do.

    Raises:
        WeightsError: the file is missing, is a runtime's, or holds only a network's first layers or its description.
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
    if not exported:
        refuse_exported(path)
    if PARTIAL_NAME.search(Path(path).name):
        raise WeightsError(
            f"{path}: holds the first layers of a network alone; begin a training from it (yolov3 train DATA --weights)"
        )


def refuse_exported(path: str | Path) -> None:
    """Raise a WeightsError if weights are a runtime's file, in which nothing can be trained."""
    if exported_runtime(path) is not None:
        raise WeightsError(
            f"{path}: an exported file, for detection alone; give the .keras or .weights file that it was made from"
        )


def find_start(path: str | Path) -> str | Path:
    """Find the initial weights of a training run as `resolve` does, but without downloading published ones.

    Raises:
        WeightsError: the file is missing.
    """
    if str(path) in PUBLISHED and not exists(path):
        return path
    if not exists(path):
        raise WeightsError(f"{path}: no such file")
    refuse_exported(path)
    return resolve(path)


def cfg_beside(weights: str | Path) -> Path | None:
    """Network file beside Darknet weights: ``x.cfg`` for ``x.weights`` and its snapshots such as ``x_final``."""
    return next((path for path in _siblings(weights, ".cfg") if is_file(path)), None)


def names_beside(weights: str | Path, count: int) -> Path | None:
    """Find the list of class names beside Darknet weights, or None.

    The order is ``x.names``; ``obj.names``; the list that the only ``.data`` file names. The latter two
    may belong to other weights in the folder and are taken only if their number of names is right.

    Args:
        weights: weights file.
        count: number of classes of its network.
    """
    found = name_lists_beside(weights)
    own = next((path for path in found if path in _siblings(weights, ".names")), None)
    return own or next((path for path in found if _fits(path, count)), None)


def name_lists_beside(weights: str | Path) -> list[Path]:
    """List all files beside Darknet weights that `names_beside` may choose, best first."""
    folder = Path(weights).parent
    paths = (*_siblings(weights, ".names"), folder / "obj.names", _named_by_data(folder))
    return [path for path in paths if path and is_file(path)]


def _siblings(weights: str | Path, suffix: str) -> list[Path]:
    path = Path(weights)
    stems = dict.fromkeys((path.stem, SNAPSHOT.sub("", path.stem)))
    return [path.with_name(stem + suffix) for stem in stems]


def _named_by_data(folder: Path) -> Path | None:
    """List of names that the only ``.data`` file of a folder names."""
    files = [path for path in sorted(folder.glob("*.data")) if is_file(path)]
    if len(files) != 1 or files[0].stat().st_size > LARGEST_DATA_FILE:
        return None
    found = DATA_NAMES.search(files[0].read_text(encoding="utf-8", errors="replace"))
    if found is None:
        return None
    # The path is relative to Darknet's working directory, often the folder above: try the bare name too.
    places = (folder / found[1], folder / Path(found[1]).name)
    return next((path for path in places if is_file(path)), None)


def _fits(path: Path, count: int) -> bool:
    try:
        read_names(path, count)
    except ConfigError as error:
        logger.info("%s: not used for the class names: %s", path.name, error)
        return False
    return True
