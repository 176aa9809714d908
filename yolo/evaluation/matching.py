"""Detections matched to true boxes by COCO's rule, for all images and IoU thresholds at once.

In each image and class, detections are taken by falling score. Each gets the free true box that it overlaps most, if by
the threshold or more; a box that is ignored only if no other will do. A crowd may be taken any number of times.
(COCOeval.evaluateImg of pycocotools; Lin et al. 2014.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yolo.evaluation.coco_columns import image_ranks
from yolo.evaluation.pairs import Pairs, overlapping_pairs
from yolo.evaluation.results import DetectionColumns
from yolo.structs import Dataset

COCO_IOUS = tuple(np.linspace(0.5, 0.95, 10).tolist())
"""IoU thresholds of COCO's average precision."""
MAX_DETECTIONS = 100
"""Most detections of an image and class that COCO looks at."""
EVERY_AREA = (0.0, np.inf)


@dataclass(frozen=True, eq=False)
class Matches:
    """D detections matched to K true boxes at T IoU thresholds; by class, then falling score, ties by image id."""

    ious: tuple[float, ...]
    """T thresholds."""
    rows: NDArray[np.int64]
    """(D,) index of each detection in its columns; those beyond the most of an image and class are missing."""
    pictures: NDArray[np.int64]
    """(D,) index of the image."""
    labels: NDArray[np.int32]
    """(D,) class, rising."""
    scores: NDArray[np.float64]
    """(D,) score, falling within a class."""
    matched: NDArray[np.int64]
    """(T, D) index of the true box that the detection has; -1 for none."""
    ignored: NDArray[np.bool_]
    """(T, D) whether the detection counts neither as right nor as wrong."""
    true_pictures: NDArray[np.int64]
    """(K,) index of each true box's image."""
    true_labels: NDArray[np.int32]
    """(K,) class of each true box."""
    true_ignored: NDArray[np.bool_]
    """(K,) whether finding the true box counts neither as right nor as wrong."""
    classes: tuple[str, ...]
    pictures_count: int
    """Number of images N."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def right(self) -> NDArray[np.bool_]:
        """(T, D) whether each detection has a true box that counts."""
        return (self.matched >= 0) & ~self.ignored

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """(T, D) whether each detection counts, and has no true box."""
        return (self.matched < 0) & ~self.ignored

    @property
    def true_counts(self) -> NDArray[np.int64]:
        """(C,) number of true boxes of each class that count."""
        return np.bincount(self.true_labels[~self.true_ignored], minlength=len(self.classes))

    @property
    def class_rows(self) -> NDArray[np.int64]:
        """(C + 1,) first row of each class's detections; the last value is D."""
        return np.searchsorted(self.labels, np.arange(len(self.classes) + 1))


def match(
    dataset: Dataset,
    detections: DetectionColumns,
    *,
    ious: Sequence[float] = COCO_IOUS,
    max_detections: int = MAX_DETECTIONS,
    area: tuple[float, float] = EVERY_AREA,
    left_out: NDArray[np.bool_] | None = None,
) -> Matches:
    """Match detections to the true boxes of their class and image.

    Args:
        dataset: the ground truth; ignored boxes are COCO's crowds.
        detections: the detections in its images.
        ious: IoU thresholds, each matched for itself.
        max_detections: most detections of an image and class, those with the highest scores.
        area: smallest and largest area, in square pixels, of the boxes that count. True boxes outside are ignored,
            and so are detections outside that have no true box.
        left_out: (K,) further true boxes that are ignored, without being crowds.
    """
    ranks = image_ranks(dataset)[detections.pictures]
    order = np.lexsort((np.arange(len(ranks)), ranks, -detections.scores, detections.labels))
    order = order[_rank_in_group(detections, order, len(dataset.classes)) < max_detections]
    chosen = DetectionColumns(
        detections.pictures[order], detections.labels[order], detections.scores[order], detections.boxes[order]
    )
    true_ignored = dataset.ignore | (dataset.areas < area[0]) | (dataset.areas > area[1])
    if left_out is not None:
        true_ignored = true_ignored | left_out
    thresholds = np.minimum(np.asarray(ious, np.float64), 1 - 1e-10)
    pairs = overlapping_pairs(dataset, chosen, least=float(thresholds.min()), same_class=True)
    matched = assign(
        pairs,
        thresholds,
        found=len(chosen),
        later=_rounds(pairs, chosen, len(dataset.classes)),
        ignored=true_ignored,
        crowd=dataset.ignore,
    )
    has = matched >= 0
    ignored = has & true_ignored[np.where(has, matched, 0)] if len(true_ignored) else has
    sides = (chosen.boxes[:, 2:] - chosen.boxes[:, :2]).astype(np.float64).prod(axis=1)
    ignored |= ~has & ((sides < area[0]) | (sides > area[1]))
    return Matches(
        ious=tuple(float(iou) for iou in ious),
        rows=order,
        pictures=chosen.pictures,
        labels=chosen.labels,
        scores=chosen.scores,
        matched=matched,
        ignored=ignored,
        true_pictures=dataset.box_pictures,
        true_labels=dataset.labels,
        true_ignored=true_ignored,
        classes=dataset.classes,
        pictures_count=len(dataset),
    )


def assign(
    pairs: Pairs,
    thresholds: NDArray[np.float64],
    *,
    found: int,
    later: NDArray[np.int64],
    ignored: NDArray[np.bool_],
    crowd: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Give each detection its true box, -1 for none: (T, D).

    Args:
        pairs: pairs that overlap, those of one detection together.
        thresholds: (T,) lowest overlaps.
        found: number D of detections.
        later: (P,) turn of each pair's detection: those of one turn compete with none of their own turn.
        ignored: (K,) true boxes that are taken only if no other will do.
        crowd: (K,) true boxes that can be taken any number of times.
    """
    matched = np.full((len(thresholds), found), -1, np.int64)
    taken = np.zeros((len(thresholds), len(ignored)), bool)
    # The best pair of a detection is its last; of equal overlaps COCOeval takes the last true box.
    order = np.lexsort((pairs.true, pairs.overlap, ~ignored[pairs.true], pairs.found, later))
    pairs, later = pairs.of(order), later[order]
    for begin, end in _spans(later):
        turn = pairs.of(np.arange(begin, end))
        free = (turn.overlap >= thresholds[:, None]) & (~taken[:, turn.true] | crowd[turn.true])
        starts = np.flatnonzero(np.diff(turn.found, prepend=-1))
        best = np.maximum.reduceat(np.where(free, np.arange(len(turn)), -1), starts, axis=1)
        at, detection = np.nonzero(best >= 0)
        chosen = turn.true[best[at, detection]]
        matched[at, turn.found[starts[detection]]] = chosen
        taken[at, chosen] = True
    return matched


def _spans(turns: NDArray[np.int64]) -> list[tuple[int, int]]:
    """First and last row, exclusive, of each run of equal values."""
    starts = np.flatnonzero(np.diff(turns, prepend=-1))
    return list(zip(starts.tolist(), [*starts[1:].tolist(), len(turns)], strict=True)) if len(turns) else []


def _rank_in_group(detections: DetectionColumns, order: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Rank (D,) of each detection among those of its image and class, 0 for the first; ``order`` ranks all."""
    keys = (detections.pictures * classes + detections.labels)[order]
    return running_count(keys)


def _rounds(pairs: Pairs, detections: DetectionColumns, classes: int) -> NDArray[np.int64]:
    """Turn (P,) of each pair's detection in its image and class, among those that have a pair."""
    which, inverse = np.unique(pairs.found, return_inverse=True)
    return running_count((detections.pictures * classes + detections.labels)[which])[inverse]


def running_count(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often the value of each key came before it, (K,)."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=ordered[0] - 1)) if len(ordered) else np.zeros(0, np.int64)
    lengths = np.diff(starts, append=len(ordered))
    counts = np.empty(len(keys), np.int64)
    counts[order] = np.arange(len(ordered)) - np.repeat(starts, lengths)
    return counts
