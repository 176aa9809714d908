"""Metrics of the true boxes of one size, or of one degree of crowding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.evaluation.average_precision import average_precisions
from yolo.evaluation.chosen import mean
from yolo.evaluation.matching import Matches, match
from yolo.evaluation.pairs import overlapping_pairs
from yolo.evaluation.results import DetectionColumns
from yolo.structs import Dataset

SIZES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, np.inf)}
"""COCO's ranges of areas in square pixels."""
CROWDED = 0.2
"""IoU with another true box from which a true box is crowded."""
CROWDING = ("alone", "touched", "crowded")
"""Degrees of crowding: no IoU with another true box, one up to `CROWDED`, a larger one."""


@dataclass(frozen=True)
class Slice:
    """Metrics of some of the true boxes; NaN where there are none."""

    kind: str
    """``size`` or ``crowding``."""
    name: str
    """Key in `SIZES` or `CROWDING`."""
    images: int
    """Number of images that have such a true box."""
    instances: int
    """Number of such true boxes."""
    ap: float
    """COCO's average precision, mean over the classes."""
    ap50: float
    """Average precision at IoU 0.5, mean over the classes."""
    recall: float
    """Share of these true boxes found at IoU 0.5 by detections at or above the score."""
    false_positives_per_image: float
    """Number of wrong detections at or above the score in an image with such a true box."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the metrics object."""
        return {
            "kind": self.kind,
            "name": self.name,
            "images": self.images,
            "instances": self.instances,
            "AP": self.ap,
            "AP50": self.ap50,
            "recall": self.recall,
            "false_positives_per_image": self.false_positives_per_image,
        }


def slices(dataset: Dataset, detections: DetectionColumns, *, conf: float = 0.25) -> list[Slice]:
    """Measure by size and by crowding.

    True boxes outside of a slice are ignored: finding them counts neither as right nor as wrong. By size, as in COCO's
    APs, APm and APl, so are wrong detections of other sizes. A wrong detection has no crowding, so that by crowding all
    of those in images with such a true box count, and other images are left out.

    Args:
        dataset: the ground truth.
        detections: the detections in its images.
        conf: lowest score of the detections for recall and false positives.
    """
    found = []
    for name, area in SIZES.items():
        found.append(slice_of(match(dataset, detections, area=area), conf, kind="size", name=name))
    degrees = crowding_degrees(dataset)
    for degree, name in enumerate(CROWDING):
        others = degrees != degree
        pictures = np.unique(dataset.box_pictures[~others & ~dataset.ignore])
        rows = np.isin(dataset.box_pictures, pictures)
        matches = match(dataset.subset(pictures), detections.of(pictures), left_out=others[rows])
        found.append(slice_of(matches, conf, kind="crowding", name=name))
    return found


def slice_of(matches: Matches, conf: float, *, kind: str, name: str) -> Slice:
    """Measure the true boxes that are not ignored."""
    precisions, present = average_precisions(matches), matches.true_counts > 0
    true = ~matches.true_ignored
    pictures = np.unique(matches.true_pictures[true])
    kept = matches.scores >= conf
    wrong = kept & matches.wrong[0] & np.isin(matches.pictures, pictures)
    instances = int(true.sum())
    return Slice(
        kind=kind,
        name=name,
        images=len(pictures),
        instances=instances,
        ap=mean(precisions.mean(axis=0)[present]),
        ap50=mean(precisions[0][present]),
        recall=float((kept & matches.right[0]).sum() / instances) if instances else np.nan,
        false_positives_per_image=float(wrong.sum() / len(pictures)) if len(pictures) else np.nan,
    )


def crowding_degrees(dataset: Dataset) -> NDArray[np.int64]:
    """Degree (K,) of crowding of each true box, an index in `CROWDING`."""
    overlap = neighbour_overlaps(dataset)
    return (overlap > 0).astype(np.int64) + (overlap > CROWDED)


def neighbour_overlaps(dataset: Dataset) -> NDArray[np.float64]:
    """Largest IoU (K,) of each true box with another one of its image, of any class, that is not ignored."""
    own = DetectionColumns(dataset.box_pictures, dataset.labels, np.ones(len(dataset.boxes)), dataset.boxes)
    pairs = overlapping_pairs(dataset, own, least=0.0, same_class=False, crowds=False)
    pairs = pairs.of((pairs.found != pairs.true) & ~dataset.ignore[pairs.true])
    largest = np.zeros(len(dataset.boxes))
    np.maximum.at(largest, pairs.found, pairs.overlap)
    return largest
