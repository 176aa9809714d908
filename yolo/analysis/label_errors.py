"""Probable label errors, ranked: where a detector that has not learned the labels disagrees with them.

The kinds are those of ObjectLab (Tkachenko et al., "ObjectLab: Automated Diagnosis of Mislabeled Images in Object
Detection Data", 2023) and one more:

- ``missing``: a detection where no box is (ObjectLab: overlooked),
- ``shifted``: a box that a detection of its class overlaps badly (badly located),
- ``relabelled``: a box where another class is found and its own is not (swapped),
- ``spurious``: a box that nothing finds.

ObjectLab looks at detections above fixed scores, 0.95 or 0.5, that many detectors hardly reach. Here everything is
compared with what is usual in these very data, as most labels are right: each score is the probability of an error by
Bayes' rule, if one label in eighty has an error of its kind (`PRIOR`), from how often one would see as much with a
wrong label and with a right one:

- ``missing``: how often detections with such a score have a box, and how often nothing is near them;
- ``shifted``: how many detections with such scores overlap their boxes so badly;
- ``relabelled``: how often, where two classes are found in a box by such a margin, the higher one is that of the label;
- ``spurious``: how well boxes of such a size and class are found.

So one list holds all kinds. Detections that a better one covers, of any class, say nothing new, nor do those that
have a box of their class about other boxes. Each box and each detection is listed once, with its most probable error.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.evaluation.matching import running_count
from yolo.evaluation.pairs import Pairs, overlapping_pairs
from yolo.evaluation.results import DetectionColumns
from yolo.structs import Dataset

KINDS = ("missing", "shifted", "relabelled", "spurious")
"""Kinds of label errors."""
SAME_PLACE = 0.5
"""IoU from which two boxes are of one object."""
TOUCHING = 0.1
"""IoU from which a badly placed box may belong to a detection."""
LEAST_SCORE = 0.01
"""Lowest score of the detections that are looked at: below, they say nothing."""
PRIOR = 0.0125
"""Share of labels assumed to have an error of each kind: 5 % over four kinds. It scales the scores, not their order."""
LEAST_RATE = 0.005
"""Lowest rate that is believed: rarer things have not been seen often enough."""
WORST = 0.75
"""IoU up to which a shifted box may lie by the right place."""
SMOOTHING = 0.04
"""Width of the kernels with which overlaps are counted."""
BLOCK = 100
"""Number of images whose detections are paired at once, which limits the memory."""
NEIGHBOURS = 50
"""Number of boxes of similar size that tell how well such boxes are found."""


class LabelError(NamedTuple):
    """One probable label error."""

    kind: str
    """One of `KINDS`."""
    picture: int
    """Index of the image."""
    true: int | None
    """Index of the box in question; None for a missing one."""
    row: int | None
    """Index of the detection that disagrees; None for a spurious box."""
    score: float
    """Probability of the error if `PRIOR` is right; it orders errors in any case."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """K boxes and D detections with all that they say of each other."""

    dataset: Dataset
    detections: DetectionColumns
    """Detections at `LEAST_SCORE` or more, by image and falling score."""
    rows: NDArray[np.int64]
    """(D,) index of each detection in its columns."""
    pairs: Pairs
    """Pairs of a detection and a box of any class that touch."""
    same: NDArray[np.bool_]
    """(P,) whether the classes of a pair are the same."""
    leading: NDArray[np.bool_]
    """(D,) detections at whose place there is no better one, of any class."""
    explained: NDArray[np.bool_]
    """(D,) detections that have a box of their class: they say nothing about other boxes."""
    worth: NDArray[np.float64]
    """(D,) how often detections with such a score have a box of their class."""


def find_label_errors(dataset: Dataset, detections: DetectionColumns) -> list[LabelError]:
    """Rank the probable label errors of a dataset, most probable first.

    Args:
        dataset: the labels in question; ignored boxes are never in question, and hide what is missing inside.
        detections: the detections of a model that was not trained on these labels, with all scores from about 0.01.
    """
    evidence = gather(dataset, detections)
    found = [*missing(evidence), *shifted(evidence), *relabelled(evidence), *spurious(evidence)]
    return once_a_place(sorted(found, key=lambda error: -error.score))


def gather(dataset: Dataset, detections: DetectionColumns) -> Evidence:
    """Pair detections with boxes, and find out what their scores are worth."""
    order = np.lexsort((np.arange(len(detections)), -detections.scores, detections.pictures))
    order = order[detections.scores[order] >= LEAST_SCORE]
    chosen = DetectionColumns(
        detections.pictures[order], detections.labels[order], detections.scores[order], detections.boxes[order]
    )
    pairs = overlapping_pairs(dataset, chosen, least=TOUCHING, same_class=False)
    same = chosen.labels[pairs.found] == dataset.labels[pairs.true]
    leading = uncovered(chosen)
    right = np.zeros(len(chosen), bool)
    right[pairs.found[same & (pairs.overlap >= SAME_PLACE)]] = True
    return Evidence(
        dataset, chosen, order, pairs, same, leading, right, rates(chosen.scores, right, leading, rising=True)
    )


def uncovered(detections: DetectionColumns) -> NDArray[np.bool_]:
    """(D,) detections that no kept detection with a higher score covers, whatever their classes; sorted as `Evidence`.

    Greedy suppression across classes: in turns, so that images are worked on side by side, block by block.
    """
    blocks = detections.pictures // BLOCK
    borders = np.flatnonzero(np.diff(blocks, prepend=-1, append=-1)) if len(detections) else np.zeros(0, np.int64)
    kept = np.ones(len(detections), bool)
    for begin, end in pairwise(borders.tolist()):
        block, found = slice(begin, end), detections
        part = DetectionColumns(found.pictures[block], found.labels[block], found.scores[block], found.boxes[block])
        kept[block] = uncovered_in_block(part)
    return kept


def uncovered_in_block(detections: DetectionColumns) -> NDArray[np.bool_]:
    """Same as `uncovered`, for a few images."""
    pairs = overlapping_pairs(as_dataset(detections), detections, least=SAME_PLACE, same_class=False)
    pairs = pairs.of(pairs.true < pairs.found)  # the better one is the box
    turns = running_count(detections.pictures)
    kept = np.ones(len(detections), bool)
    pairs = pairs.of(np.argsort(turns[pairs.found], kind="stable"))
    borders = (
        np.flatnonzero(np.diff(turns[pairs.found], prepend=-1, append=-1)) if len(pairs) else np.zeros(0, np.int64)
    )
    for begin, end in pairwise(borders.tolist()):
        covered = pairs.found[begin:end][kept[pairs.true[begin:end]]]
        kept[covered] = False
    return kept


def as_dataset(detections: DetectionColumns) -> Dataset:
    """Dataset whose boxes are detections, sorted by image, of one class."""
    count = int(detections.pictures.max(initial=-1)) + 1
    size = len(detections)
    return Dataset(
        classes=("any",),
        files=[""] * count,
        sizes=np.ones((count, 2), np.int32),
        offsets=np.searchsorted(detections.pictures, np.arange(count + 1)).astype(np.int64),
        boxes=detections.boxes,
        labels=np.zeros(size, np.int32),
        ignore=np.zeros(size, bool),
        areas=np.zeros(size, np.float32),
        image_ids=range(count),
        category_ids=(1,),
    )


def rates(
    scores: NDArray[np.float64], happened: NDArray[np.bool_], counted: NDArray[np.bool_], *, rising: bool
) -> NDArray[np.float64]:
    """How often (D,) something happens at such a score: logistic regression over those that count (Platt's scaling).

    A curve without steps, which also tells apart the highest scores, where there are few examples. Where it goes the
    wrong way, as with a handful of examples, the mean stands for all scores.
    """
    outcomes = happened[counted]
    if not len(outcomes) or outcomes.all() or not outcomes.any():
        return np.full(len(scores), outcomes.mean() if len(outcomes) else 0.0)
    from sklearn.linear_model import LogisticRegression

    bounded = np.clip(scores, 1e-4, 1 - 1e-4)
    logits = np.log(bounded / (1 - bounded))[:, None]
    model = LogisticRegression(C=100.0).fit(logits[counted], outcomes)
    if (model.coef_[0, 0] > 0) != rising:
        return np.full(len(scores), outcomes.mean())
    return np.asarray(model.predict_proba(logits)[:, 1], np.float64)


def missing(evidence: Evidence) -> list[LabelError]:
    """Detections without a box: how much more often such scores have a box than nothing near them."""
    alone = np.ones(len(evidence.rows), bool)
    alone[evidence.pairs.found] = False
    nothing = rates(evidence.detections.scores, alone, evidence.leading, rising=False)
    scores = np.where(alone & evidence.leading, posterior(evidence.worth, nothing), 0)
    return [LabelError("missing", picture, None, row, score) for picture, row, score in rows_of(evidence, scores)]


def posterior(if_wrong: NDArray[np.float64], if_right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability of an error: how probable the observation is with a wrong and with a right label, and `PRIOR`."""
    odds = PRIOR * if_wrong / np.maximum(if_right, LEAST_RATE)
    return np.asarray(odds / (1 + odds))


def rows_of(evidence: Evidence, scores: NDArray[np.float64]) -> list[tuple[int, int, float]]:
    """Picture, row and score of detections that have a score."""
    chosen = np.flatnonzero(scores > 0)
    return list(
        zip(
            evidence.detections.pictures[chosen].tolist(),
            evidence.rows[chosen].tolist(),
            scores[chosen].tolist(),
            strict=True,
        )
    )


def shifted(evidence: Evidence) -> list[LabelError]:
    """Boxes that the best detection of their class overlaps worse than is usual for its score."""
    real = evidence.same & evidence.leading[evidence.pairs.found] & ~evidence.dataset.ignore[evidence.pairs.true]
    pairs = mutual(evidence.pairs.of(real))
    if not len(pairs):
        return []
    usual = overlap_density(pairs.overlap, evidence.detections.scores[pairs.found])
    if_shifted = evidence.worth[pairs.found] * (pairs.overlap <= WORST) / (WORST - TOUCHING)
    return of_pairs(evidence, "shifted", pairs, posterior(if_shifted, usual))


def overlap_density(overlaps: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Density (P,) of each overlap among the pairs with similar scores; towards lower overlaps it does not rise.

    Kernel density in groups of equal size by score; normal kernels, as wide as `SMOOTHING`.
    """
    density = np.empty(len(overlaps))
    grid = np.linspace(0, 1, 101)
    for rows in np.array_split(np.argsort(scores, kind="stable"), max(1, min(5, len(overlaps) // 100))):
        steps = (grid[:, None] - overlaps[rows]) / SMOOTHING
        curve = np.exp(-(steps**2) / 2).mean(axis=1) / (SMOOTHING * np.sqrt(2 * np.pi))
        top = int(curve.argmax())
        curve[:top] = np.maximum.accumulate(curve[:top])
        density[rows] = np.interp(overlaps[rows], grid, curve)
    return density


def mutual(pairs: Pairs) -> Pairs:
    """Pairs whose detection overlaps no other box more, and whose box no other detection more."""
    order = np.argsort(pairs.overlap, kind="stable")
    best_box = np.full(int(pairs.found.max(initial=-1)) + 1, -1)
    best_found = np.full(int(pairs.true.max(initial=-1)) + 1, -1)
    best_box[pairs.found[order]], best_found[pairs.true[order]] = order, order
    every = np.arange(len(pairs))
    return pairs.of((best_box[pairs.found] == every) & (best_found[pairs.true] == every))


def of_pairs(evidence: Evidence, kind: str, pairs: Pairs, scores: NDArray[np.float64]) -> list[LabelError]:
    """Errors of boxes, each with the detection that disagrees."""
    pictures = evidence.detections.pictures[pairs.found]
    columns = (pictures, pairs.true, evidence.rows[pairs.found], scores)
    return [
        LabelError(kind, picture, true, row, score)
        for picture, true, row, score in zip(*(column.tolist() for column in columns), strict=True)
        if score > 0
    ]


def relabelled(evidence: Evidence) -> list[LabelError]:
    """Boxes where another class scores higher than their own: how often the higher one is right by such a margin."""
    pairs, found, boxes = evidence.pairs, evidence.detections.scores, len(evidence.dataset.boxes)
    at_place = pairs.overlap >= SAME_PLACE
    own, other = np.zeros(boxes), np.zeros(boxes)
    mine = at_place & evidence.same
    np.maximum.at(own, pairs.true[mine], found[pairs.found[mine]])
    others = pairs.of(at_place & ~evidence.same & ~evidence.explained[pairs.found])
    np.maximum.at(other, others.true, found[others.found])
    counted = ~evidence.dataset.ignore & (np.maximum(own, other) > 0)
    trust = rates(np.abs(own - other), own > other, counted, rising=True)
    best = others.of((found[others.found] == other[others.true]) & (other > own)[others.true])
    best = best.of(~evidence.dataset.ignore[best.true])
    best = best.of(np.unique(best.true, return_index=True)[1])
    real = evidence.worth[best.found] * fitting(evidence, best.overlap)
    return of_pairs(evidence, "relabelled", best, posterior(trust[best.true] * real, 1 - trust[best.true]))


def fitting(evidence: Evidence, overlaps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share (P,) of the pairs of one class that overlap no more: an object beside another covers its box badly."""
    pairs = mutual(evidence.pairs.of(evidence.same & (evidence.pairs.overlap >= SAME_PLACE)))
    if not len(pairs):
        return np.ones(len(overlaps))
    return np.asarray(np.searchsorted(np.sort(pairs.overlap), overlaps, "right") / len(pairs))


def spurious(evidence: Evidence) -> list[LabelError]:
    """Boxes that are found worse than others of their size and class."""
    dataset, pairs = evidence.dataset, evidence.pairs
    boxes = np.flatnonzero(~dataset.ignore)
    support = np.zeros(len(dataset.boxes))
    near = pairs.overlap >= 0.3
    np.maximum.at(support, pairs.true[near], evidence.worth[pairs.found[near]])
    usual = usual_support(relative_areas(dataset)[boxes], dataset.labels[boxes], support[boxes])
    scores = posterior(np.square(1 - support[boxes]), 1 - usual)
    pictures = dataset.box_pictures[boxes]
    return [
        LabelError("spurious", picture, box, None, score)
        for picture, box, score in zip(pictures.tolist(), boxes.tolist(), scores.tolist(), strict=True)
        if score > 0
    ]


def relative_areas(dataset: Dataset) -> NDArray[np.float64]:
    """Area (K,) of each box as a share of its image."""
    sides = (dataset.boxes[:, 2:] - dataset.boxes[:, :2]).astype(np.float64)
    return np.asarray(sides.prod(axis=1) / dataset.sizes[dataset.box_pictures].prod(axis=1))


def usual_support(
    areas: NDArray[np.float64], labels: NDArray[np.int32], support: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Support (K,) that boxes of such a size and class have on average.

    The mean over boxes of similar size, times how much more its class has than boxes of those sizes; a class counts as
    if it had `NEIGHBOURS` / 5 further boxes that have just as much.
    """
    by_size = smoothed(areas, support)
    extra = NEIGHBOURS / 5 * (by_size.mean() if len(by_size) else 0)
    real, expected = np.bincount(labels, support) + extra, np.bincount(labels, by_size) + extra
    ratio = np.divide(real, expected, out=np.ones(len(real)), where=expected > 0)
    return np.asarray(np.minimum(0.99, by_size * ratio[labels]))


def smoothed(keys: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean value (K,) of the `NEIGHBOURS` rows with the nearest ranks of their keys."""
    order = np.argsort(keys, kind="stable")
    width = min(NEIGHBOURS, len(keys))
    totals = np.concatenate([[0], np.cumsum(values[order])])
    begin = np.clip(np.arange(len(keys)) - width // 2, 0, len(keys) - width)
    means = np.empty(len(keys))
    means[order] = (totals[begin + width] - totals[begin]) / max(width, 1)
    return means


def once_a_place(ranked: list[LabelError]) -> list[LabelError]:
    """Keep the first error about each box and each detection."""
    boxes, rows, kept = set[int](), set[int](), []
    for error in ranked:
        if error.true in boxes or error.row in rows:
            continue
        kept.append(error)
        if error.true is not None:
            boxes.add(error.true)
        if error.row is not None:
            rows.add(error.row)
    return kept
