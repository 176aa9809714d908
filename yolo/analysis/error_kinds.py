"""Errors of a detector by kind, and the AP50 that mending each kind would give.

The arithmetic is that of TIDE (Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors", ECCV
2020) as the published tool, tidecv 1.0.1, does it. With the IoU t_f = 0.5 for a hit and t_b = 0.1 for background, a
detection that is no hit, best scores first, is

- ``localisation``: it overlaps a true box of its class by t_b to t_f;
- ``class``: else, it overlaps a true box of another class by t_f or more;
- ``duplicate``: else, a true box of its class that it overlaps by t_f or more has a better detection;
- ``background``: else, it overlaps no true box by more than t_b;
- ``both``: else: wrong class and badly placed.

A true box that is not found, and that no error of localisation or class points at, is ``missed``.

Localisation and class are mended by making the best detection of each box right and removing the others, missed boxes
by not counting them, the other kinds by removing the detections. Two further figures mend everything on one side:
``false_positives`` gives them the score 0 and hits the score 1, ``false_negatives`` counts no box that is not found.

At most 100 detections an image are looked at, of all classes together, where COCO's AP50 takes 100 of each class. As in
the tool, detections inside of ignored boxes are sorted among the kinds, though they count as no error in AP50. Only one
thing differs: classes without true boxes enter no mean, as in COCO's; the tool counts their AP as 0, so that removing
their detections would be a gain. (hotcoco's `tide_errors` has COCO's rule of ignored boxes and 100 detections a class.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.config import check
from yolo.evaluation.average_precision import interpolated
from yolo.evaluation.matching import assign, running_count
from yolo.evaluation.pairs import Pairs, overlapping_pairs
from yolo.evaluation.results import DetectionColumns
from yolo.structs import Dataset

KINDS = ("class", "localisation", "both", "duplicate", "background", "missed")
"""Kinds of errors, in the order of the paper."""
CLASS, LOCALISATION, BOTH, DUPLICATE, BACKGROUND = range(5)
HIT = -1
MOST = 100
"""Most detections of an image."""
HUNDREDTHS = np.arange(101) / 100
"""Recalls at which the precision is sampled, as the tool has them; COCO's own differ in the last bit."""


class Case(NamedTuple):
    """One error in an image."""

    picture: int
    """Index of the image."""
    row: int | None
    """Index of the detection; None for a missed box."""
    true: int | None
    """Index of the true box that the error is about, if there is one."""
    score: float
    """Score of the detection; 0 for a missed box."""


@dataclass(frozen=True)
class ErrorKind:
    """All errors of one kind."""

    kind: str
    count: int
    delta_ap50: float
    """AP50 that mending all of them, and nothing else, would add; in 0..1."""
    worst: tuple[Case, ...]
    """The errors with the highest scores, or the largest missed boxes, first."""


@dataclass(frozen=True)
class ErrorKinds:
    """Errors by kind, of a detector on a dataset."""

    ap50: float
    """AP50 by TIDE's rules; NaN without true boxes."""
    rows: tuple[ErrorKind, ...]
    """One a kind, in the order of `KINDS`."""
    false_positives: float
    """AP50 that perfect precision would add."""
    false_negatives: float
    """AP50 that perfect recall would add."""

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain data; the worst cases are left out, as they are places in columns."""
        kinds = {row.kind: {"count": row.count, "delta_AP50": row.delta_ap50} for row in self.rows}
        special = {"false_positives": self.false_positives, "false_negatives": self.false_negatives}
        return {"AP50": self.ap50, "kinds": kinds, **{key: {"delta_AP50": each} for key, each in special.items()}}


@dataclass(frozen=True, eq=False)
class Sorted:
    """D detections, by image and falling score, sorted into hits and kinds of errors."""

    rows: NDArray[np.int64]
    """(D,) index of each in its columns."""
    pictures: NDArray[np.int64]
    labels: NDArray[np.int32]
    scores: NDArray[np.float64]
    ignored: NDArray[np.bool_]
    """(D,) whether each lies in an ignored box of its class."""
    kinds: NDArray[np.int64]
    """(D,) index into `KINDS`; `HIT` for none."""
    true: NDArray[np.int64]
    """(D,) true box that the hit or error is about; -1 for none."""
    found: NDArray[np.bool_]
    """(K,) true boxes that have a hit."""
    missed: NDArray[np.bool_]
    """(K,) true boxes that count, have no hit, and at which no error of class or localisation points."""


def errors_by_kind(
    dataset: Dataset, detections: DetectionColumns, *, iou: float = 0.5, background: float = 0.1, worst: int = 20
) -> ErrorKinds:
    """Sort a detector's errors into kinds.

    Args:
        dataset: the ground truth.
        detections: the detections in its images.
        iou: lowest IoU of a hit.
        background: largest IoU with a true box of a detection of the background.
        worst: most cases listed of each kind.

    Raises:
        ConfigError: not 0 < background < iou <= 1.
    """
    check(0 < background < iou <= 1, "background", "in (0, iou), and iou in (0, 1]", background)
    found = sort_detections(dataset, detections, iou=iou, background=background)
    counted = ~dataset.ignore
    counts = np.bincount(dataset.labels[counted], minlength=len(dataset.classes))
    aps = Repairs(found, dataset.labels, counts)
    ap50 = aps.baseline()
    numbers = [*(int((found.kinds == kind).sum()) for kind in range(5)), int(found.missed.sum())]
    gains = [*(aps.without(kind) for kind in range(5)), aps.less(found.missed)]
    places = [*(worst_of(found, kind, worst) for kind in range(5)), largest_missed(dataset, found, worst)]
    return ErrorKinds(
        ap50=ap50,
        rows=tuple(
            ErrorKind(kind, number, float(np.maximum(gain - ap50, 0)), cases)  # a loss is one of rounding, says TIDE
            for kind, number, gain, cases in zip(KINDS, numbers, gains, places, strict=True)
        ),
        false_positives=aps.with_perfect_precision() - ap50,
        false_negatives=aps.less(counted & ~found.found) - ap50,
    )


def sort_detections(dataset: Dataset, detections: DetectionColumns, *, iou: float, background: float) -> Sorted:
    """Sort the detections into hits and kinds of errors; arguments as in `errors_by_kind`."""
    order = np.lexsort((np.arange(len(detections)), -detections.scores, detections.pictures))
    order = order[running_count(detections.pictures[order]) < MOST]
    chosen = DetectionColumns(
        detections.pictures[order], detections.labels[order], detections.scores[order], detections.boxes[order]
    )
    pairs = overlapping_pairs(dataset, chosen, least=background, same_class=False)
    same, crowd = chosen.labels[pairs.found] == dataset.labels[pairs.true], dataset.ignore[pairs.true]
    real = pairs.of(~crowd)
    own, other = pairs.of(~crowd & same), pairs.of(~crowd & ~same)
    matched = hits(own, chosen, len(dataset.boxes), len(dataset.classes), iou)
    taken = np.zeros(len(dataset.boxes), bool)
    taken[matched[matched >= 0]] = True
    size = len(chosen)
    ignored = np.zeros(size, bool)
    ignored[pairs.found[crowd & same & (pairs.overlap > iou)]] = True
    ignored &= matched < 0
    (near, near_true), (wrong, wrong_true) = best(own, size), best(other, size)
    (twice, twice_true), (any_overlap, any_true) = best(own.of(taken[own.true]), size), best(real, size)
    tests = [
        matched >= 0,
        (near >= background) & (near <= iou),
        wrong >= iou,
        twice >= iou,
        any_overlap <= background,
    ]
    kinds = np.select(tests, [HIT, LOCALISATION, CLASS, DUPLICATE, BACKGROUND], BOTH)
    true = np.select(tests, [matched, near_true, wrong_true, twice_true, -1], any_true)
    pointed = np.zeros(len(dataset.boxes), bool)
    pointed[true[(kinds == LOCALISATION) | (kinds == CLASS)]] = True
    missed = ~dataset.ignore & ~taken & ~pointed
    return Sorted(order, chosen.pictures, chosen.labels, chosen.scores, ignored, kinds, true, taken, missed)


def hits(own: Pairs, detections: DetectionColumns, boxes: int, classes: int, iou: float) -> NDArray[np.int64]:
    """True box (D,) of its class that each detection gets, -1 for none; of equal overlaps the first box."""
    pairs = own.of(own.overlap >= iou)
    pairs = Pairs(pairs.found, boxes - 1 - pairs.true, pairs.overlap)  # `assign` takes the last of equal ones
    which, inverse = np.unique(pairs.found, return_inverse=True)
    turns = running_count((detections.pictures * classes + detections.labels)[which])[inverse]
    none = np.zeros(boxes, bool)
    matched = assign(pairs, np.array([iou]), found=len(detections), later=turns, ignored=none, crowd=none)[0]
    return np.where(matched >= 0, boxes - 1 - matched, -1)


def best(pairs: Pairs, size: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Largest overlap (D,) of each detection, 0 for none, and its true box, -1 for none; of equal ones the first."""
    overlap, true = np.zeros(size), np.full(size, -1, np.int64)
    if len(pairs):
        starts = np.flatnonzero(np.diff(pairs.found, prepend=-1))  # pairs of one detection lie together
        largest = np.maximum.reduceat(pairs.overlap, starts)
        rows = np.flatnonzero(pairs.overlap == np.repeat(largest, np.diff(starts, append=len(pairs))))
        overlap[pairs.found[starts]] = largest
        true[pairs.found[starts]] = pairs.true[rows[np.searchsorted(rows, starts)]]
    return overlap, true


class Repairs:
    """Average precisions of sorted detections after repairs."""

    def __init__(self, found: Sorted, true_labels: NDArray[np.int32], counts: NDArray[np.int64]) -> None:
        self.found, self.true_labels, self.counts = found, true_labels, counts
        self.hit = found.kinds == HIT
        self.wrong = ~self.hit & ~found.ignored
        # Where scores are equal, the tool has errors before hits once it repairs anything.
        self.errors_first = np.argsort(self.hit, kind="stable")

    def baseline(self) -> float:
        """AP50 of the detections as they are."""
        rows = np.flatnonzero(self.hit | self.wrong)
        return self.mean_ap(rows, self.found.labels, self.found.scores, self.hit)

    def without(self, kind: int) -> float:
        """AP50 with the errors of a kind mended: the best one of each true box made right, the others removed."""
        found, mended = self.found, self.found.kinds == kind
        kept = self.hit | (self.wrong & ~mended)
        labels, right = found.labels, self.hit
        if kind in (CLASS, LOCALISATION):
            repaired = mended & self.first_of_box()
            kept, right = kept | repaired, right | repaired
            labels = np.where(repaired, self.true_labels[found.true], labels) if repaired.any() else labels
        rows = self.errors_first[kept[self.errors_first]]
        return self.mean_ap(rows, labels, found.scores, right)

    def first_of_box(self) -> NDArray[np.bool_]:
        """(D,) errors of class or localisation with the highest score of their true box, which has no hit."""
        found = self.found
        pointing = np.flatnonzero((found.kinds == CLASS) | (found.kinds == LOCALISATION))
        pointing = pointing[~found.found[found.true[pointing]]]
        first = np.zeros(len(found.kinds), bool)
        first[pointing[np.unique(found.true[pointing], return_index=True)[1]]] = True
        return first

    def less(self, boxes: NDArray[np.bool_]) -> float:
        """AP50 if some true boxes (K,) did not count."""
        counts = self.counts - np.bincount(self.true_labels[boxes], minlength=len(self.counts))
        rows = self.errors_first[(self.hit | self.wrong)[self.errors_first]]
        return self.mean_ap(rows, self.found.labels, self.found.scores, self.hit, counts)

    def with_perfect_precision(self) -> float:
        """AP50 if all hits scored higher than all errors."""
        rows = np.flatnonzero(self.hit | self.wrong)
        return self.mean_ap(rows, self.found.labels, self.hit.astype(np.float64), self.hit)

    def mean_ap(
        self,
        rows: NDArray[np.int64],
        labels: NDArray[np.int32],
        scores: NDArray[np.float64],
        right: NDArray[np.bool_],
        counts: NDArray[np.int64] | None = None,
    ) -> float:
        """Mean AP of the classes that have true boxes; of equal scores the first row is first.

        A class with neither boxes that count nor detections, after a repair, is left out; NaN if all are.
        """
        counts = self.counts if counts is None else counts
        order = rows[np.lexsort((np.arange(len(rows)), -scores[rows], labels[rows]))]
        starts = np.searchsorted(labels[order], np.arange(len(counts) + 1))
        values = []
        for label in np.flatnonzero(self.counts):
            part = right[order[starts[label] : starts[label + 1]]]
            if counts[label]:
                values.append(interpolated(part, ~part, steps_of(int(counts[label]))))
            elif len(part):
                values.append(0.0)
        return float(np.mean(values)) if values else float("nan")


def steps_of(truths: int) -> NDArray[np.int64]:
    """Number (truths + 1,) of hundredths of recall that each true box found adds; the first is 0 found."""
    reached = np.searchsorted(HUNDREDTHS, np.arange(truths + 1) / truths, side="right")
    reached[0] = 0
    return np.diff(reached, prepend=0)


def worst_of(found: Sorted, kind: int, count: int) -> tuple[Case, ...]:
    """Errors of a kind with the highest scores, first; those in ignored boxes are none."""
    rows = np.flatnonzero((found.kinds == kind) & ~found.ignored)
    rows = rows[np.argsort(-found.scores[rows], kind="stable")][:count]
    columns = zip(
        *(column[rows].tolist() for column in (found.pictures, found.rows, found.true, found.scores)), strict=True
    )
    return tuple(Case(picture, row, None if true < 0 else true, score) for picture, row, true, score in columns)


def largest_missed(dataset: Dataset, found: Sorted, count: int) -> tuple[Case, ...]:
    """Missed boxes, the largest first."""
    boxes = np.flatnonzero(found.missed)
    boxes = boxes[np.argsort(-dataset.areas[boxes], kind="stable")][:count]
    return tuple(
        Case(picture, None, box, 0.0)
        for picture, box in zip(dataset.box_pictures[boxes].tolist(), boxes.tolist(), strict=True)
    )
