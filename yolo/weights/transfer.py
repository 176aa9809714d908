"""Weight transfer from one detector to another with other classes, as far as layers and classes match."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import keras
import numpy as np
from numpy.typing import NDArray

from yolo.class_names import meaning
from yolo.config import NewClasses, check
from yolo.errors import WeightsError
from yolo.model.detector import Detector
from yolo.scores import NO_RULES, ScoreRules

logger = logging.getLogger(__name__)

UNLEARNED = 0.01
"""Initial probability of a new class next to trained ones: low, so that it gives no false detections at first."""
FIRST_CLASS = 5
"""Index of a slot's first class, after t_x, t_y, t_w, t_h and objectness."""

LAYERS_NAMED = 5
"""Largest number of skipped layers that a report names."""
CLASSES_NAMED = 12
"""Largest number of classes per line that a report names."""

Array = NDArray[np.float32]


@dataclass
class Transfer:
    """Report of a weight transfer: layers and classes copied, and those that were not."""

    loaded: list[str] = field(default_factory=list)
    """Names of the layers whose weights were copied, heads with other classes included."""
    skipped: list[tuple[str, str]] = field(default_factory=list)
    """Layers that keep their initial weights, and the reason."""
    fraction: float = 0.0
    """Fraction of the new detector's weights that are in the loaded layers."""
    kept: list[str] = field(default_factory=list)
    """Classes with the same name in both."""
    renamed: list[tuple[str, str]] = field(default_factory=list)
    """Old and new names of classes matched by a synonym."""
    new: list[str] = field(default_factory=list)
    """Classes that the old detector does not have."""
    dropped: list[str] = field(default_factory=list)
    """Classes that the new detector does not have."""
    other_anchors: bool = False
    """Whether the heads' anchors differ, so that box sizes are learned again."""

    def lines(self) -> list[str]:
        """Format the report as lines of text."""
        renamed = [f"{old} as {new}" for old, new in self.renamed]
        rows = [
            ("layers loaded", f"{len(self.loaded)} of {len(self.loaded) + len(self.skipped)}"),
            *((f"  not {name}", reason) for name, reason in self.skipped[:LAYERS_NAMED]),
            ("classes kept", _listed(self.kept)),
            ("classes renamed", _listed(renamed)),
            ("classes new", _listed(self.new)),
            ("classes dropped", _listed(self.dropped)),
        ]
        return [f"{name:<16} {text}" for name, text in rows]


def _listed(names: Sequence[str]) -> str:
    """Number of names, and the first of them."""
    rest = ", ..." if len(names) > CLASSES_NAMED else ""
    return f"{len(names)}" + (f" ({', '.join(names[:CLASSES_NAMED])}{rest})" if names else "")


def with_classes(
    detector: Detector, classes: Sequence[str], *, new: NewClasses = "fresh", seed: int = 0
) -> tuple[Detector, Transfer]:
    """Copy a detector for other classes: a subset of its own, a superset, or different ones.

    Kept classes give the same boxes and scores as before (except with YOLOv2's softmax, where classes compete).

    Args:
        detector: source detector, not changed.
        classes: class names of the new detector.
        new: initial weights of classes that the source does not have.
        seed: seed of these initial weights.

    Raises:
        ConfigError: there are no classes, or a name occurs twice.
    """
    # Checked before the .cfg is rewritten: its own message about 0 classes would not help.
    check(len(classes) > 0, "classes", "at least one name", list(classes))
    config = {**detector.get_config(), "classes": list(classes), "seed": seed, "score_rules": None}
    other = Detector.from_config(config)
    result = transfer(detector, other, new=new, seed=seed)
    other.score_rules = rules_for(detector, other)
    return other, result


def rules_for(source: Detector, target: Detector) -> ScoreRules:
    """Score rules of a detector for another with some of its classes; none if a class is new or classes compete."""
    rules = source.score_rules
    if not rules:
        return NO_RULES
    origins = match_classes(source.classes, target.classes, Transfer())
    if source.architecture.coding.softmax or min(origins) < 0:
        logger.warning("thresholds and calibration of the scores are left out: they do not hold for the new classes")
        return NO_RULES
    return rules.of_classes(origins)


def transfer(source: Detector, target: Detector, *, new: NewClasses = "fresh", seed: int = 0) -> Transfer:
    """Copy all weights of one detector that fit into another: layers by name, heads class by class.

    Args:
        source: detector to copy from, not changed.
        target: detector to copy to; classes, anchors and canvas may differ, the network should be similar.
        new: initial weights of classes that the source does not have.
        seed: seed of the choice of classes with ``sampled``.

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
    result.fraction = copied / target.network.count_params()
    if not result.loaded:
        raise WeightsError(f"none of the weights of {source.variant} fit into {target.variant}")
    return result


def match_classes(old: Sequence[str], new: Sequence[str], result: Transfer) -> list[int]:
    """Index of each new class among the old ones, -1 if there is none; also recorded in the result."""
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


def _same_anchors(source: Detector, target: Detector) -> bool:
    ours, theirs = source.architecture.anchors, target.architecture.anchors
    return len(ours) == len(theirs) and all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def _copy_layer(old: keras.layers.Layer | None, new: keras.layers.Layer) -> str | None:
    """Copy the weights if the shapes agree; otherwise return the reason why not."""
    if old is None:
        return "the weights have no layer of this name"
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
    """Shape of the kernel, which is the array with the most axes, as text."""
    axes = max((len(shape) for shape in shapes), default=0)
    return "x".join(str(side) for side in next((shape for shape in shapes if len(shape) == axes), ()))


def _heads(detector: Detector) -> list[tuple[keras.layers.Layer, int]]:
    """Heads and their numbers of anchors."""
    return [(head, len(shapes)) for head, shapes in zip(detector.heads, detector.architecture.anchors, strict=True)]


def _copy_head(
    old: keras.layers.Layer, anchors: int, new: keras.layers.Layer, origins: NDArray[np.int64], *, known: bool
) -> str | None:
    """Copy a head class by class; if some classes are ``known``, new ones start at a low probability."""
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
    """Copy of biases (A x (5 + C),) whose classes have a low probability."""
    rows = bias.reshape(anchors, -1).copy()
    rows[:, FIRST_CLASS:] = np.log(UNLEARNED / (1 - UNLEARNED))
    return rows.reshape(bias.shape)


def _copy_rows(old: Array, new: Array, origins: NDArray[np.int64], anchors: int) -> Array:
    """Copy of the new array (..., A x (5 + C)) with the numbers of matching classes from the old one."""
    source, rows = (each.reshape(*each.shape[:-1], anchors, -1).copy() for each in (old, new))
    rows[..., :FIRST_CLASS] = source[..., :FIRST_CLASS]
    known = origins >= 0
    rows[..., FIRST_CLASS:][..., known] = source[..., FIRST_CLASS:][..., origins[known]]
    return rows.reshape(new.shape)
