"""Confusion matrix of a detector: which class it says where another is, what it misses and what it makes up.

The rule has two passes over the detections that reach the threshold, best scores first. In the first, each takes a
true box of its own class, as in COCO's average precision; a box that is ignored absorbs the detections of its class,
which are then not counted. In the second, detections that have no box take the free box of any class that they
overlap most. So the diagonal holds the true positives of the metrics at the same threshold and IoU, each row the true
boxes of a class and each column its detections: precision and recall can be read off. In one pass over all classes, a
rider found rightly could take the box of the horse for overlapping it more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from yolo.evaluation.matching import assign, match, running_count
from yolo.evaluation.pairs import overlapping_pairs
from yolo.evaluation.results import DetectionColumns
from yolo.structs import Dataset

RULE = (
    "Detections that score at least {conf}, best first. Each takes the true box of its own class that it overlaps "
    "most, at IoU {iou:g} or more; those left over then take a free box of any class. "
    "Boxes that are ignored absorb the detections of their class."
)
"""Text of the matching rule, to be shown beside the matrix."""


@dataclass(frozen=True, eq=False)
class Confusion:
    """Confusion matrix of C classes and the background."""

    classes: tuple[str, ...]
    counts: NDArray[np.int64]
    """(C + 1, C + 1): rows the true class, the last one background; columns the class found, the last one missed."""
    conf: NDArray[np.float64]
    """(C,) lowest score of each class's detections."""
    iou: float
    """Lowest IoU of a detection with its true box."""

    @property
    def rule(self) -> str:
        """Text of the matching rule."""
        same = len(set(self.conf.tolist())) == 1
        return RULE.format(conf=f"{self.conf[0]:g}" if same else "the threshold of their class", iou=self.iou)

    @property
    def shares(self) -> NDArray[np.float64]:
        """(C + 1, C + 1) counts as shares of their row, so that the diagonal is the recall; 0 in rows without boxes."""
        return self.counts / np.maximum(self.counts.sum(axis=1, keepdims=True), 1)

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain data: classes, counts, thresholds and rule."""
        return {
            "classes": list(self.classes),
            "counts": self.counts.tolist(),
            "conf": self.conf.tolist(),
            "iou": self.iou,
            "rule": self.rule,
        }

    def most_confused(self, count: int = 10) -> list[tuple[str, str, int]]:
        """Pairs of a true class and the other class found in its place, with their number, most frequent first."""
        size = len(self.classes)
        wrong = self.counts[:size, :size] * ~np.eye(size, dtype=bool)
        order = np.argsort(-wrong, axis=None, kind="stable")[:count]
        places = [(int(at) // size, int(at) % size) for at in order]
        return [(self.classes[i], self.classes[j], int(wrong[i, j])) for i, j in places if wrong[i, j]]


def confusion_matrix(
    dataset: Dataset, detections: DetectionColumns, *, conf: float | ArrayLike, iou: float = 0.5
) -> Confusion:
    """Count which classes are found in which true boxes, by the rule in the module's description.

    Args:
        dataset: the ground truth; ignored boxes are no row of the matrix.
        detections: the detections in its images.
        conf: lowest score, of all classes or (C,) of each.
        iou: lowest IoU of a detection with its true box.
    """
    size = len(dataset.classes)
    thresholds = np.broadcast_to(np.asarray(conf, np.float64), (size,))
    kept = detections.scores >= thresholds[detections.labels]
    chosen = DetectionColumns(
        detections.pictures[kept], detections.labels[kept], detections.scores[kept], detections.boxes[kept]
    )
    own = match(dataset, chosen, ious=(iou,), max_detections=max(1, len(chosen)))
    true = np.empty(len(chosen), np.int64)
    ignored = np.empty(len(chosen), bool)
    true[own.rows], ignored[own.rows] = own.matched[0], own.ignored[0]
    left = true < 0
    true = np.where(left, second_pass(dataset, chosen, taken=true[~left], left=left, iou=iou), true)
    counts = np.zeros((size + 1, size + 1), np.int64)
    rows = np.where(true < 0, size, np.append(dataset.labels, size)[true])
    np.add.at(counts, (rows[~ignored], chosen.labels[~ignored]), 1)
    counts[:size, size] = np.bincount(dataset.labels[~dataset.ignore], minlength=size) - counts[:size, :size].sum(
        axis=1
    )
    return Confusion(dataset.classes, counts, thresholds.copy(), float(iou))


def second_pass(
    dataset: Dataset, detections: DetectionColumns, *, taken: NDArray[np.int64], left: NDArray[np.bool_], iou: float
) -> NDArray[np.int64]:
    """True box (D,) of any class that each detection left over gets, -1 for none; best scores choose first."""
    free = ~dataset.ignore
    free[taken] = False
    order = np.lexsort((np.arange(len(left)), -detections.scores, detections.pictures))
    ranked = DetectionColumns(
        detections.pictures[order], detections.labels[order], detections.scores[order], detections.boxes[order]
    )
    pairs = overlapping_pairs(dataset, ranked, least=min(iou, 1 - 1e-10), same_class=False)
    pairs = pairs.of(free[pairs.true] & left[order][pairs.found])
    which, inverse = np.unique(pairs.found, return_inverse=True)
    turns = running_count(ranked.pictures[which])[inverse]
    none = np.zeros(len(free), bool)
    found = np.full(len(left), -1, np.int64)
    found[order] = assign(
        pairs, np.array([min(iou, 1 - 1e-10)]), found=len(left), later=turns, ignored=none, crowd=none
    )[0]
    return found
