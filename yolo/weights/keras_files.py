"""Loading weights from Keras files into a detector, by the names and shapes of the layers.

No code or model in a file is run or rebuilt: only arrays of its HDF5 part are read, and only those that match a
layer of the network in name and shape.

Every layer with weights has a path of names. Two layouts are known:

- Keras 3 (``.weights.h5``, and the ``model.weights.h5`` inside a ``.keras`` file): the arrays ``0``, ``1``, ...
  of a layer lie in ``layers/conv2d_7/vars``, a place counted by class, and the group ``vars`` has the layer's
  own name as an attribute (files of early Keras 3 lack it, and match nothing). Its path is made of these names:
  ``classifier/stem/stem_conv``.
- Legacy (``.h5`` of Keras 1 and 2, and of Keras 3 on request): the attributes ``layer_names`` and ``weight_names``
  list ``block1_conv1/kernel:0``, in the file itself or under ``model_weights``. The path is what comes before the
  last slash, or the layer's name where there is none.

A layer matches the one whose path ends like its own, the shorter of the two as a whole: the models around
a layer do not count, so that ``stem_conv`` of a classifier's file goes into the detector's backbone. Names that
Keras counts up itself (``conv2d_4``) only match where both networks were the first of their process.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
from numpy.typing import NDArray

from yolo.errors import WeightsError
from yolo.files.arrays import DAMAGE
from yolo.files.atomic import exists
from yolo.files.bounded import open_or_fault
from yolo.model.detector import Detector
from yolo.weights.keras_archive import checked_weights, checked_zip

SUFFIXES = (".h5", ".hdf5", ".keras")
VARIABLES = "vars"
"""Name of the group with a layer's arrays, in the layout of Keras 3."""
REMEDY = "take a file of an earlier epoch, or train again with a lower learning rate"
NOT_LAYERS = ("optimizer", "seed_generator", "metrics", "loss_trackers")
"""Parts of a Keras file that belong to no layer."""

Names = tuple[str, ...]


@dataclass
class MatchReport:
    """Report of loading a weights file: which layers were filled, and which skipped."""

    loaded: list[str] = field(default_factory=list)
    """Paths of the detector's layers that were filled."""
    skipped: list[tuple[str, str]] = field(default_factory=list)
    """Paths of the file's layers that were skipped, and the reasons."""


@dataclass(frozen=True)
class StoredLayer:
    """Arrays of one layer in a file, not read yet."""

    names: Names
    arrays: Sequence[h5py.Dataset]

    @property
    def path(self) -> str:
        return "/".join(self.names)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        return [tuple(each.shape) for each in self.arrays]

    def read(self) -> list[NDArray[Any]]:
        """Read the arrays.

        Raises:
            ValueError: one of them is not numeric, or is stored in another file.
        """
        for each in self.arrays:
            if each.external or each.is_virtual or each.dtype.kind not in "fiu":
                raise ValueError(f"{self.path}: holds no numbers of its own")
        return [np.asarray(each) for each in self.arrays]


def load_matching(detector: Detector, path: str | Path) -> MatchReport:
    """Load the weights of a Keras file into the layers of a detector with the same names and shapes.

    Args:
        detector: detector to fill; all other layers keep their weights, and the backbone its input normalization.
        path: ``.weights.h5``, legacy ``.h5``, or ``.keras``.

    Returns:
        Which layers were filled, which of the file's were skipped, and why.

    Raises:
        WeightsError: the file is missing, damaged, not a Keras file, or has no matching layer; or a weight to be
            loaded is not finite.
    """
    with stored_layers(path) as stored:
        targets = _targets(detector)
        report = MatchReport()
        for layer in stored:
            try:
                fault = _fill(layer, targets, report)
            except WeightsError as error:
                raise WeightsError(f"{path}: {error}") from error
            if fault:
                report.skipped.append((layer.path, fault))
    if not report.loaded:
        reason = f"; {report.skipped[0][0]}: {report.skipped[0][1]}" if report.skipped else ""
        raise WeightsError(f"{path}: none of its {len(report.skipped)} layers fits into {detector.variant}{reason}")
    return report


@contextmanager
def stored_layers(path: str | Path) -> Iterator[list[StoredLayer]]:
    """Yield the layers with weights in a Keras file, which is open inside the block.

    Raises:
        WeightsError: the file is missing, damaged, or not a Keras file.
    """
    if not exists(path):
        raise WeightsError(f"{path}: no such file")
    if Path(path).suffix not in SUFFIXES:
        raise WeightsError(f"{path}: not a Keras file by its name; there are {', '.join(SUFFIXES)}")
    with open_or_fault(path, WeightsError) as content, ExitStack() as stack:
        try:
            archive = stack.enter_context(checked_zip(content)) if Path(path).suffix == ".keras" else None
            file = stack.enter_context(checked_weights(content, archive))
            layers = _legacy_layers(file) or _keras3_layers(file)
            if not layers:
                raise WeightsError(f"{path}: holds no layers with weights")
            yield layers
        except DAMAGE as error:
            reason = str(error).partition("\n")[0]
            raise WeightsError(f"{path}: not a Keras file with weights, or a damaged one ({reason:.200})") from error


def _keras3_layers(file: h5py.File) -> list[StoredLayer]:
    """Layers of a file in the layout of Keras 3."""
    names: dict[str, str] = {}
    arrays: dict[str, dict[int, h5py.Dataset]] = defaultdict(dict)

    def visit(path: str, item: h5py.Group | h5py.Dataset) -> None:
        place, _, last = path.rpartition("/")
        if last == VARIABLES and "name" in item.attrs:
            names[place] = _text(item.attrs["name"])
        elif isinstance(item, h5py.Dataset) and last.isdecimal() and place.rpartition("/")[2] == VARIABLES:
            arrays[place.rpartition("/")[0]][int(last)] = item

    file.visititems(visit)  # follows no links out of the file, and no object twice
    return [
        StoredLayer(_names_of(place, names), [found[index] for index in sorted(found)])
        for place, found in arrays.items()
        if not set(place.split("/")) & set(NOT_LAYERS)
    ]


def _names_of(place: str, names: dict[str, str]) -> Names:
    """Names of the layers around a place, outermost first, then its own, or its last part if it has no name."""
    parts = place.split("/")
    above = ["/".join(parts[:end]) for end in range(1, len(parts))]
    found = [names[each] for each in above if each in names]
    return (*found, names.get(place, parts[-1]))


def _legacy_layers(file: h5py.File) -> list[StoredLayer]:
    """Layers of a file in the layout of Keras 1 and 2; empty for another layout."""
    root = _member(file, "model_weights") if "model_weights" in file else file
    found: dict[Names, list[h5py.Dataset]] = defaultdict(list)
    for name in _listed(root, "layer_names"):
        group = _member(root, name)
        for weight in _listed(group, "weight_names"):
            place = weight.rpartition("/")[0] or name
            found[tuple(place.split("/"))].append(_member(group, weight))
    return [StoredLayer(names, arrays) for names, arrays in found.items()]


def _member(group: h5py.Group, path: str) -> Any:
    """Object at a path within the file.

    Raises:
        ValueError: a part of the path is a link, perhaps into another file.
    """
    for part in path.split("/"):
        if not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise ValueError(f"{path}: is a link")
        group = group[part]
    return group


def _listed(group: h5py.Group, attribute: str) -> list[str]:
    """Read a list of names, which Keras splits (``layer_names0``, ...) if it is long."""
    pieces = [attribute] if attribute in group.attrs else []
    while f"{attribute}{len(pieces)}" in group.attrs:
        pieces.append(f"{attribute}{len(pieces)}")
    return [_text(name) for piece in pieces for name in group.attrs[piece]]


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


Targets = dict[str, list[tuple[Names, list[keras.Variable]]]]
"""Paths and variables of a network's layers, by the layer's own name."""


def _targets(detector: Detector) -> Targets:
    """Layers of a detector that weights can be loaded into."""
    fixed = {id(weight) for layer in _layers_within(detector.network) for weight in _own_figures(layer)}
    by_path: dict[Names, list[keras.Variable]] = defaultdict(list)
    for weight in detector.network.weights:
        if id(weight) not in fixed:
            by_path[tuple(weight.path.split("/")[:-1])].append(weight)
    targets: Targets = defaultdict(list)
    for names, weights in by_path.items():
        targets[names[-1]].append((names, weights))
    return targets


def _layers_within(network: keras.Model) -> Iterator[keras.layers.Layer]:
    for layer in network.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _layers_within(layer)


def _own_figures(layer: keras.layers.Layer) -> list[keras.Variable]:
    """Statistics of an input normalization layer; constants of the network, never loaded."""
    return layer.weights if isinstance(layer, keras.layers.Normalization) else []


def _fill(stored: StoredLayer, targets: Targets, report: MatchReport) -> str | None:
    """Copy a layer's arrays into the matching layer, or return the reason why there is none.

    Raises:
        WeightsError: a weight is not finite.
    """
    candidates = [each for each in targets.get(stored.names[-1], []) if _same_end(each[0], stored.names)]
    if len(candidates) != 1:
        return f"{len(candidates)} layers here have this name" if candidates else "no layer here has this name"
    names, weights = candidates[0]
    path = "/".join(names)
    shapes = [tuple(weight.shape) for weight in weights]
    if shapes != stored.shapes:
        return f"its shape is {_widest(stored.shapes)}, here {_widest(shapes)}"
    if path in report.loaded:
        return f"{path} was filled by another layer of the file"
    arrays = stored.read()
    if not all(np.isfinite(each).all() for each in arrays):
        raise WeightsError(f"{stored.path} holds numbers that are not finite (NaN or infinity); {REMEDY}")
    for weight, array in zip(weights, arrays, strict=True):
        weight.assign(array)
    report.loaded.append(path)
    return None


def _same_end(one: Names, other: Names) -> bool:
    length = min(len(one), len(other))
    return one[-length:] == other[-length:]


def _widest(shapes: Sequence[tuple[int, ...]]) -> str:
    """Shape with the most axes, the kernel's, which stands for the layer."""
    return "x".join(map(str, sorted(shapes, key=len)[-1]))
