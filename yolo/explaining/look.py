"""One look of a detector at one picture: raw maps, candidates with their slots, and which suppression keeps."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.config import NmsConfig
from yolo.images.letterbox import Letterbox
from yolo.ops.host_nms import decode_slots, find_candidates, overlap_with, soft_scores, survivors
from yolo.ops.slots import Slots
from yolo.ops.suppression import Kept
from yolo.ops.unpad import unpad
from yolo.structs import Boxes, Detections

if TYPE_CHECKING:
    from yolo.model.detector import Detector

NOBODY = -1
"""Index of a suppressor where there is none."""


class Slot(NamedTuple):
    """One prediction of the network: a scale, a cell and an anchor."""

    number: int
    """Position on the axis of all P slots."""
    layer: str
    """Name of the head, the last convolution of the scale."""
    scale: int
    """Number of the scale, coarse to fine."""
    stride: int
    """Canvas pixels per cell."""
    row: int
    column: int
    anchor: int
    """Number of the anchor within its scale."""
    anchor_size: tuple[float, float]
    """Width and height of the anchor in canvas pixels."""

    @property
    def cell(self) -> tuple[float, float, float, float]:
        """x1, y1, x2, y2 of the cell in canvas pixels."""
        x, y = self.column * self.stride, self.row * self.stride
        return x, y, x + self.stride, y + self.stride

    @property
    def anchor_box(self) -> tuple[float, float, float, float]:
        """x1, y1, x2, y2 of the anchor around the middle of the cell, in canvas pixels."""
        x, y = (self.column + 0.5) * self.stride, (self.row + 0.5) * self.stride
        width, height = self.anchor_size
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2


@dataclass(frozen=True, eq=False)
class Verdicts:
    """Fate of the K best (slot, class) pairs of a picture under suppression at any ``conf``, best first.

    A pair is suppressed by better ones alone, whatever the threshold: at ``conf`` the kept ones are those of at least
    that score.
    """

    slots: NDArray[np.intp]
    """(K,) slot of each pair."""
    boxes: Boxes
    """(K, 4) xyxy in canvas pixels."""
    scores: NDArray[np.float32]
    """(K,) objectness times class probability."""
    labels: NDArray[np.int32]
    """(K,)"""
    final: NDArray[np.float32]
    """(K,) scores after suppression: unchanged or 0, and decayed by soft-NMS."""
    suppressor: NDArray[np.intp]
    """(K,) index of the best pair that suppresses each one, `NOBODY` for kept ones."""
    overlap: NDArray[np.float32]
    """(K,) overlap with that pair, as the kind of suppression measures it; 0 for kept ones."""

    def __len__(self) -> int:
        return len(self.scores)

    def find(self, slot: int, label: int) -> int | None:
        """Index of a pair; None: it is not among the K best."""
        found = np.flatnonzero((self.slots == slot) & (self.labels == label))
        return int(found[0]) if len(found) else None


@dataclass(frozen=True, eq=False)
class Look:
    """A picture on a detector's canvas, and all that the network says of it."""

    detector: Detector
    picture: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    box: Letterbox
    """Map between picture and canvas."""
    canvas: NDArray[np.float32]
    """(1, h, w, 3) input of the network."""
    maps: list[NDArray[np.float32]]
    """Raw maps (1, h, w, A, 5 + C), coarse to fine."""
    nms: NmsConfig

    @cached_property
    def slots(self) -> Slots:
        """All slots of the canvas."""
        return self.detector.slots

    @cached_property
    def decoded(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Boxes (P, 4) in canvas pixels, objectness (P,) and class probabilities (P, C) of every slot."""
        return decode_slots(self.maps, self.slots)

    @cached_property
    def verdicts(self) -> Verdicts:
        """Fate of the picture's best pairs, as many as enter suppression."""
        return judge(self.maps, self.slots, self.nms)

    @cached_property
    def scores(self) -> NDArray[np.float32]:
        """Scores (K,) of `verdicts` as `yolo.Detector.detect` gives them: calibrated, 0 for suppressed pairs."""
        final = self.calibrated(self.verdicts.boxes, self.verdicts.labels, self.verdicts.final)
        return np.where(self.verdicts.final > 0, final, np.float32(0.0))

    def calibrated(self, boxes: Boxes, labels: NDArray[Any], scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Calibrate raw scores (N,) of boxes (N, 4) in canvas pixels; unchanged by a detector without calibration."""
        height, width = self.box.image_size
        own = np.clip(self.box.boxes_to_image(boxes), 0, np.array([width, height, width, height], np.float32))
        return np.asarray(self.detector.score_rules.apply(own, labels, scores), np.float32)

    @cached_property
    def rows(self) -> NDArray[np.intp]:
        """Indices (N,) into `verdicts` of the detections, best first."""
        found = np.flatnonzero((self.scores >= self.nms.conf) & (self.verdicts.final > 0))
        order = np.argsort(-self.scores[found], kind="stable")
        return found[order][: self.nms.max_detections]

    @cached_property
    def detections(self) -> Detections:
        """Detections in pixels of the picture, one per row of `rows`: those of `yolo.Detector.detect`."""
        rows, verdicts = self.rows, self.verdicts
        valid = np.ones((1, len(rows)), bool)
        kept = Kept(verdicts.boxes[rows][None], self.scores[rows][None], verdicts.labels[rows][None], valid)
        return unpad(kept, [self.box], self.detector.classes)[0]

    def slot(self, index: int) -> Slot:
        """Scale, cell and anchor of a slot."""
        scale, (row, column, anchor) = self.place(index)
        width, height = self.slots.anchor[index].tolist()
        stride = int(self.slots.stride[index, 0])
        return Slot(index, self.detector.heads[scale].name, scale, stride, row, column, anchor, (width, height))

    def place(self, index: int) -> tuple[int, tuple[int, int, int]]:
        """Number of the scale of a slot, and its row, column and anchor there."""
        ends = np.cumsum([each[0, ..., 0].size for each in self.maps])
        scale = int(np.searchsorted(ends, index, side="right"))
        shape = self.maps[scale].shape[1:4]
        row, column, anchor = np.unravel_index(index - int(ends[scale]) + math.prod(shape), shape)
        return scale, (int(row), int(column), int(anchor))


def look_at(detector: Detector, picture: NDArray[np.uint8], nms: NmsConfig) -> Look:
    """Run a detector on a picture (H, W, 3) uint8 RGB, on its own canvas."""
    height, width = picture.shape[:2]
    box = Letterbox((height, width), detector.canvas, detector.letterbox)
    canvas = np.asarray(box.apply_unrounded(picture), np.float32)[None]
    maps = detector.predict_on_batch(canvas)
    return Look(detector, picture, box, canvas, [np.asarray(each, np.float32) for each in maps], nms)


def judge(maps: list[NDArray[np.float32]], slots: Slots, nms: NmsConfig) -> Verdicts:
    """Fate of the best pairs of raw maps (1, h, w, A, 5 + C): which are kept, and which one suppresses each other one.

    Of greedy suppression the suppressor is the best kept pair that overlaps above ``iou``; of soft-NMS it is the taken
    pair with the largest overlap, which lowers the score most.
    """
    candidates, slot = find_candidates(maps, slots, replace(nms, conf=0.0))
    boxes, scores, labels = candidates
    if nms.kind == "soft":
        final = soft_scores(candidates, replace(nms, conf=0.0, max_detections=max(len(scores), 1)))
        rank = np.argsort(np.argsort(-np.where(final > 0, final, -1.0), kind="stable"), kind="stable")
    else:
        kept = survivors(candidates, nms, canvas=slots.canvas)
        final, rank = np.where(kept, scores, np.float32(0.0)), np.arange(len(scores))
    suppressor, overlap = np.full(len(scores), NOBODY), np.zeros(len(scores), np.float32)
    for index in np.flatnonzero(final != scores):
        same = np.ones(len(scores), bool) if nms.class_agnostic else labels == labels[index]
        better = np.flatnonzero((final > 0) & same & (rank < rank[index]))
        covers = overlap_with(boxes[index], boxes[better], nms, canvas=slots.canvas)
        found = int(covers.argmax()) if nms.kind == "soft" else int((covers > nms.iou).argmax())
        suppressor[index], overlap[index] = better[found], covers[found]
    return Verdicts(slot, boxes, scores, labels, final, suppressor, overlap)
