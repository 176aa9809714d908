"""Reasons for a missing box: the scores of the slots at a place, what suppressed them, when they would appear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.config import NmsConfig, check
from yolo.explaining.look import NOBODY, Look, Slot
from yolo.ops.host_nms import overlap_with

BEST_CLASSES = 3
"""Classes listed of each slot."""
OTHERS = 12
"""Slots listed whose cell is elsewhere, the best ones."""
NEAR = 0.5
"""Least IoU with a wanted box of slots whose cell is elsewhere."""
FAINT = 0.01
"""Least score of slots whose cell is elsewhere, where a point is wanted."""

Box = tuple[float, float, float, float]


class Suppressor(NamedTuple):
    """Pair that suppresses another one, and the overlap between them."""

    detection: int | None
    """Number of the detection, from 0; None: it is below ``conf`` itself."""
    name: str
    score: float
    overlap: float
    """Overlap as the kind of suppression measures it: the IoU, less a distance for greedynms and diounms."""


class SlotReport(NamedTuple):
    """One slot at the place asked for, with its best class."""

    slot: Slot
    box: Box
    """xyxy in pixels of the picture, not clipped."""
    objectness: float
    classes: tuple[tuple[str, float], ...]
    """Names and probabilities of the best classes, best first."""
    score: float
    """Objectness times the best class's probability."""
    iou: float | None
    """IoU with the wanted box."""
    detection: int | None
    """Number of the detection that this slot is, from 0."""
    suppressor: Suppressor | None
    appears_at: float | None
    """Largest ``conf`` at which this pair is a detection; None: at none."""
    reason: str
    """One clause: is a detection, below the threshold, suppressed, or not among the candidates."""


def check_point(point: tuple[float, float], size: tuple[int, int]) -> None:
    """Raise a ConfigError if a point (x, y) is outside of a picture of (height, width)."""
    (x, y), (height, width) = point, size
    inside = 0 <= x <= width and 0 <= y <= height
    check(inside, "at", f"x,y inside the picture of {width} x {height} pixels", f"{x:g},{y:g}")


def check_box(box: Box, size: tuple[int, int]) -> None:
    """Raise a ConfigError if a box xyxy is empty, or not inside a picture of (height, width)."""
    (x1, y1, x2, y2), (height, width) = box, size
    inside = 0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height
    wanted = f"x1,y1,x2,y2 with x1 < x2 and y1 < y2, inside the picture of {width} x {height} pixels"
    check(inside, "box", wanted, ",".join(f"{each:g}" for each in box))


def missing_at(look: Look, point: tuple[float, float]) -> list[SlotReport]:
    """Describe the slots at a point (x, y) in pixels of the picture, best first.

    They are those of the cells that hold the point, one cell per scale, and the best others whose box holds it.

    Raises:
        ConfigError: the point is outside of the picture.
    """
    check_point(point, look.box.image_size)
    x, y = point
    boxes, objectness, classes = look.decoded
    holds = _holding(boxes, look.box.boxes_to_canvas(np.array([[x, y, x, y]], np.float32))[0, :2])
    scores = objectness * classes.max(axis=1)
    others = np.flatnonzero(holds & (scores >= FAINT))
    return _reports(look, np.concatenate([_cells_at(look, point), _best(others, scores)]), None)


def missing_box(look: Look, box: Box) -> list[SlotReport]:
    """Describe the slots that could have made a box xyxy in pixels of the picture, best first.

    They are those of the cells that hold its centre, one cell per scale, where training would have put it, and the best
    others whose box has an IoU of at least `NEAR` with it.

    Raises:
        ConfigError: the box is empty or outside of the picture.
    """
    check_box(box, look.box.image_size)
    x1, y1, x2, y2 = box
    _, objectness, classes = look.decoded
    scores = objectness * classes.max(axis=1)
    ious = _ious(look, box)
    others = np.flatnonzero((ious >= NEAR) & (scores >= FAINT / 10))
    centre = ((x1 + x2) / 2, (y1 + y2) / 2)
    return _reports(look, np.concatenate([_cells_at(look, centre), _best(others, scores)]), ious)


def _cells_at(look: Look, point: tuple[float, float]) -> NDArray[np.intp]:
    """Slots of the cells that hold a point (x, y) of the picture."""
    x, y = point
    on_canvas = look.box.boxes_to_canvas(np.array([[x, y, x, y]], np.float32))[0, :2]
    last = np.array([look.box.canvas_size[1], look.box.canvas_size[0]], np.float32)
    on_canvas = np.clip(on_canvas, 0, np.nextafter(last, np.float32(0)))  # the far edge belongs to the last cell
    slots = look.slots
    return np.flatnonzero((np.floor(on_canvas / slots.stride) == slots.cell).all(axis=1))


def _holding(boxes: NDArray[np.float32], point: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.asarray(((boxes[:, :2] <= point) & (point <= boxes[:, 2:])).all(axis=1))


def _best(index: NDArray[np.intp], scores: NDArray[np.float32]) -> NDArray[np.intp]:
    return index[np.argsort(-scores[index], kind="stable")][:OTHERS]


def _ious(look: Look, box: Box) -> NDArray[np.float32]:
    """IoU (P,) of every slot's box with a box xyxy of the picture."""
    wanted = look.box.boxes_to_canvas(np.array([box], np.float32))[0]
    return overlap_with(wanted, look.decoded[0], NmsConfig())


def _reports(look: Look, index: NDArray[np.intp], ious: NDArray[np.float32] | None) -> list[SlotReport]:
    chosen = np.unique(np.concatenate([index, _suppressors(look, index)]))
    found = [_report(look, int(each), None if ious is None else float(ious[each])) for each in chosen]
    return sorted(found, key=lambda each: (-each.score, each.slot.number))


def _suppressors(look: Look, index: NDArray[np.intp]) -> NDArray[np.intp]:
    """Slots of the pairs that suppress the best class of some slots."""
    verdicts, best = look.verdicts, look.decoded[2].argmax(axis=1)
    pairs = [verdicts.find(int(each), int(best[each])) for each in index]
    by = np.array([verdicts.suppressor[each] for each in pairs if each is not None], np.intp)
    return verdicts.slots[by[by != NOBODY]]


def _report(look: Look, index: int, iou: float | None) -> SlotReport:
    boxes, objectness, classes = look.decoded
    order = np.argsort(-classes[index], kind="stable")[:BEST_CLASSES]
    label, names = int(order[0]), look.detector.classes
    fate = fate_of(look, index, label)
    box = tuple(look.box.boxes_to_image(boxes[index][None])[0].tolist())
    return SlotReport(
        slot=look.slot(index),
        box=box,
        objectness=float(objectness[index]),
        classes=tuple((names[each], float(classes[index, each])) for each in order.tolist()),
        score=_score(look, index, label),
        iou=iou,
        **fate,
    )


def _score(look: Look, slot: int, label: int) -> float:
    """Score of a (slot, class) pair before suppression, calibrated if the detector has a calibration."""
    boxes, objectness, classes = look.decoded
    raw = np.array([objectness[slot] * classes[slot, label]], np.float32)
    return float(look.calibrated(boxes[slot][None], np.array([label]), raw)[0])


def fate_of(look: Look, slot: int, label: int) -> dict[str, Any]:
    """Fate of a (slot, class) pair: the last four fields of `SlotReport`."""
    verdicts, nms = look.verdicts, look.nms
    pair = verdicts.find(slot, label)
    if pair is None:
        reason = f"not among the {nms.max_candidates} best pairs of slot and class, which enter suppression"
        return {"detection": None, "suppressor": None, "appears_at": None, "reason": reason}
    number = _number(look.rows, pair)
    final, score = float(look.scores[pair]), _score(look, slot, label)
    suppressor = _suppressor(look, pair)
    crowded = int((verdicts.final > verdicts.final[pair]).sum()) >= nms.max_detections
    appears = final if final > 0 and not crowded else None
    if number is not None:
        reason = f"detection {number + 1}"
    elif suppressor is not None:
        by = f"{suppressor.name} {suppressor.score:.3f}"
        if suppressor.detection is not None:
            by += f" (detection {suppressor.detection + 1})"
        verb = "decayed" if nms.kind == "soft" else "suppressed"
        below = "" if score >= nms.conf else f"below conf {nms.conf:g}, and "
        reason = f"{below}{verb} by {by}, overlap {suppressor.overlap:.2f}"
    elif score < nms.conf:
        reason = f"below conf {nms.conf:g}"
    else:
        reason = f"not among the best {nms.max_detections} detections"
    return {"detection": number, "suppressor": suppressor, "appears_at": appears, "reason": reason}


def _suppressor(look: Look, pair: int) -> Suppressor | None:
    verdicts = look.verdicts
    by = int(verdicts.suppressor[pair])
    if by == NOBODY:
        return None
    name = look.detector.classes[int(verdicts.labels[by])]
    return Suppressor(_number(look.rows, by), name, float(look.scores[by]), float(verdicts.overlap[pair]))


def _number(rows: Sequence[int] | NDArray[np.intp], pair: int) -> int | None:
    found = np.flatnonzero(np.asarray(rows) == pair)
    return int(found[0]) if len(found) else None
