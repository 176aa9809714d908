"""Weights for other classes: from one detector into another, as far as they fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import keras
import numpy as np
from numpy.typing import NDArray

from yolo.config import NewClasses, check
from yolo.errors import WeightsError
from yolo.model.detector import Detector

UNLEARNED = 0.01
"""Probability at which a new class beside old ones begins, lest it be found before it is learned."""
SYNONYMS = {
    "aeroplane": "airplane",
    "motorbike": "motorcycle",
    "sofa": "couch",
    "diningtable": "dining table",
    "pottedplant": "potted plant",
    "tvmonitor": "tv",
}
"""VOC's names and COCO's."""
FIRST_CLASS = 5
"""A slot's numbers before its classes: t_x, t_y, t_w, t_h and objectness."""

Array = NDArray[np.float32]


@dataclass
class Transfer:
    """What went over from one detector to another, and what did not."""

    loaded: list[str] = field(default_factory=list)
    """Names of the layers whose weights went over, heads with other classes included."""
    skipped: list[tuple[str, str]] = field(default_factory=list)
    """Layers that keep their first weights, and why."""
    share: float = 0.0
    """Of the new detector's weights, how many are in the layers loaded."""
    kept: list[str] = field(default_factory=list)
    """Classes of one name in both."""
    renamed: list[tuple[str, str]] = field(default_factory=list)
    """Old and new name of the classes known by a synonym."""
    new: list[str] = field(default_factory=list)
    """Classes the old detector does not know."""
    dropped: list[str] = field(default_factory=list)
    """Classes the new detector does not know."""
    other_anchors: bool = False
    """The heads' anchors differ: sizes are learned anew."""

    def lines(self) -> list[str]:
        """The table as text."""
        renamed = [f"{old} as {new}" for old, new in self.renamed]
        rows = [
            ("layers loaded", f"{len(self.loaded)} of {len(self.loaded) + len(self.skipped)}"),
            *((f"  not {name}", reason) for name, reason in self.skipped[:LAYERS_NAMED]),
            *((name, _listed(values)) for name, values in (("classes kept", self.kept), ("classes renamed", renamed))),
            *((name, _listed(values)) for name, values in (("classes new", self.new), ("classes left", self.dropped))),
        ]
        return [f"{name:<16} {text}" for name, text in rows]


LAYERS_NAMED = 5
CLASSES_NAMED = 12


def _listed(names: Sequence[str]) -> str:
    """How many, and the first of them."""
    rest = ", ..." if len(names) > CLASSES_NAMED else ""
    return f"{len(names)}" + (f" ({', '.join(names[:CLASSES_NAMED])}{rest})" if names else "")


def with_classes(
    detector: Detector, classes: Sequence[str], *, new: NewClasses = "fresh", seed: int = 0
) -> tuple[Detector, Transfer]:
    """The same detector for other classes: a subset of its own, a superset, or others altogether.

    A class it keeps comes out with the same boxes and scores as before (except in YOLOv2's
    softmax, where classes compete).

    Args:
        detector: the old one; it is not changed.
        classes: names of the new one's.
        new: what classes that the old one does not know begin with.
        seed: of the first weights of these.

    Raises:
        ConfigError: the classes are none, or not different.
    """
    # Checked here too: a network file with no class at all would be a riddle.
    check(len(classes) > 0, "classes", "at least one name", list(classes))
    other = Detector.from_config({**detector.get_config(), "classes": list(classes), "seed": seed})
    return other, transfer(detector, other, new=new, seed=seed)


def transfer(source: Detector, target: Detector, *, new: NewClasses = "fresh", seed: int = 0) -> Transfer:
    """Copy every weight of one detector that fits into another: layers by name, heads class by class.

    Args:
        source: is not changed.
        target: is filled; its classes, anchors and canvas may be others, its network should be alike.
        new: what classes that the source does not know begin with.
        seed: of the choice of classes with ``sampled``.

    Raises:
        WeightsError: nothing fits.
    """
    result = Transfer(other_anchors=not _same_anchors(source, target))
    origins = match_classes(source.classes, target.classes, result)
    filled = np.array(origins)
    if new == "sampled":
        missing = filled < 0
        filled[missing] = np.random.default_rng(seed).integers(0, len(source.classes), missing.sum())
    copied = 0
    by_name = {layer.name: layer for layer in source.network.layers if layer.weights}
    heads = dict(zip((each.name for each in target.heads), _heads(source), strict=False))
    for layer in target.network.layers:
        if not layer.weights:
            continue
        if layer.name in heads:
            known = bool(result.kept or result.renamed)
            head, anchors = heads[layer.name]
            fault = _copy_head(head, anchors, layer, filled, known=known)
        else:
            fault = _copy_layer(by_name.get(layer.name), layer)
        if fault:
            result.skipped.append((layer.name, fault))
        else:
            result.loaded.append(layer.name)
            copied += layer.count_params()
    result.share = copied / target.network.count_params()
    if not result.loaded:
        raise WeightsError(f"none of the weights of {source.variant} fit into {target.variant}")
    return result


def match_classes(old: Sequence[str], new: Sequence[str], result: Transfer) -> list[int]:
    """The index of each new class among the old ones, -1 where there is none; noted in the result."""
    by_meaning = {meaning(name): index for index, name in reversed(list(enumerate(old)))}
    origins = []
    for name in new:
        index = old.index(name) if name in old else by_meaning.get(meaning(name), -1)
        origins.append(index)
        if index < 0:
            result.new.append(name)
        elif old[index] == name:
            result.kept.append(name)
        else:
            result.renamed.append((old[index], name))
    result.dropped += [name for index, name in enumerate(old) if index not in origins]
    return origins


def meaning(name: str) -> str:
    """One spelling for all ways to write a class's name."""
    plain = " ".join(name.lower().replace("_", " ").split())
    return SYNONYMS.get(plain.replace(" ", ""), plain)


def _same_anchors(source: Detector, target: Detector) -> bool:
    ours, theirs = source.architecture.anchors, target.architecture.anchors
    return len(ours) == len(theirs) and all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def _copy_layer(old: keras.layers.Layer | None, new: keras.layers.Layer) -> str | None:
    """Copy the weights if the shapes agree; else say why not."""
    if old is None:
        return "there is none of this name"
    weights = old.get_weights()
    shapes = [each.shape for each in weights], [tuple(each.shape) for each in new.weights]
    if shapes[0] != shapes[1]:
        differing = next((pair for pair in zip(*shapes, strict=False) if pair[0] != pair[1]), None)
        if differing is None or len(shapes[0]) != len(shapes[1]):
            return f"it has {len(shapes[1])} arrays, in the weights {len(shapes[0])}"
        return f"its shape is {_shape(differing[1:])}, in the weights {_shape(differing[:1])}"
    new.set_weights(weights)
    return None


def _shape(shapes: Sequence[tuple[int, ...]]) -> str:
    """The kernel's, which has the most axes."""
    axes = max((len(shape) for shape in shapes), default=0)
    return "x".join(str(side) for side in next((shape for shape in shapes if len(shape) == axes), ()))


def _heads(detector: Detector) -> list[tuple[keras.layers.Layer, int]]:
    """The heads and their numbers of anchors."""
    return [(head, len(shapes)) for head, shapes in zip(detector.heads, detector.architecture.anchors, strict=True)]


def _copy_head(
    old: keras.layers.Layer, anchors: int, new: keras.layers.Layer, origins: NDArray[np.int64], *, known: bool
) -> str | None:
    """Copy a head of so many anchors class by class; ``known``: some classes are, beside which new ones begin low."""
    weights, fresh = old.get_weights(), new.get_weights()
    fits = fresh[0].shape[-1] == anchors * (FIRST_CLASS + len(origins)) and len(weights) == len(fresh)
    if not fits or weights[0].shape[:-1] != fresh[0].shape[:-1]:
        shapes = ([each.shape for each in part] for part in (fresh, weights))
        return "its shape is {}, in the weights {}".format(*map(_shape, shapes))
    if known:
        bias = 1 if len(fresh) == 2 else 2  # with batch norm: kernel, scale, bias, ...
        fresh[bias] = _unlearned(fresh[bias], anchors)
    new.set_weights([_copy_rows(a, b, origins, anchors) for a, b in zip(weights, fresh, strict=True)])
    return None


def _unlearned(bias: Array, anchors: int) -> Array:
    """First biases (A x (5 + C),) whose classes begin at a low probability."""
    rows = bias.reshape(anchors, -1).copy()
    rows[:, FIRST_CLASS:] = np.log(UNLEARNED / (1 - UNLEARNED))
    return rows.reshape(bias.shape)


def _copy_rows(old: Array, new: Array, origins: NDArray[np.int64], anchors: int) -> Array:
    """The new array (..., A x (5 + C)) with what it shares with the old one."""
    source, rows = (each.reshape(*each.shape[:-1], anchors, -1).copy() for each in (old, new))
    rows[..., :FIRST_CLASS] = source[..., :FIRST_CLASS]
    known = origins >= 0
    rows[..., FIRST_CLASS:][..., known] = source[..., FIRST_CLASS:][..., origins[known]]
    return rows.reshape(new.shape)
