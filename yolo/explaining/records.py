"""Explanations as plain data, for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from yolo.explaining.class_activation import mass_inside
from yolo.explaining.explain import Explained, Explanation
from yolo.explaining.look import Slot
from yolo.explaining.missing import SlotReport


def explanation_record(explanation: Explanation) -> dict[str, Any]:
    """Method, layers and detections, with their slots and the share of their maps that lies in their boxes."""
    height, width = explanation.look.picture.shape[:2]
    return {
        "size": [height, width],
        "canvas": list(explanation.look.box.canvas_size),
        "conf": explanation.look.nms.conf,
        "iou": explanation.look.nms.iou,
        "nms": explanation.look.nms.kind,
        "method": explanation.method,
        "layers": list(explanation.layers),
        "detections": [_detection(each, height * width) for each in explanation.detections],
    }


def _detection(explained: Explained, pixels: int) -> dict[str, Any]:
    x1, y1, x2, y2 = (round(float(each), 2) for each in explained.box)
    return {
        "class": explained.name,
        "score": explained.score,
        "objectness": explained.objectness,
        "probability": explained.probability,
        "box": [x1, y1, x2, y2],
        "slot": slot_record(explained.slot),
        "share_of_picture": (x2 - x1) * (y2 - y1) / pixels,
        "class_map_inside": mass_inside(explained.class_map, explained.box.tolist()),
        "box_map_inside": mass_inside(explained.box_map, explained.box.tolist()),
    }


def slot_record(slot: Slot) -> dict[str, Any]:
    """Position of a slot: head, scale, cell and anchor."""
    return {**slot._asdict(), "anchor_size": [round(each, 2) for each in slot.anchor_size]}


def missing_records(reports: Sequence[SlotReport]) -> list[dict[str, Any]]:
    """Slots at a place, best first; detections are numbered from 1."""
    found = []
    for each in reports:
        record: dict[str, Any] = {**each._asdict(), "slot": slot_record(each.slot)}
        record["box"] = [round(side, 2) for side in each.box]
        record["classes"] = [{"class": name, "probability": share} for name, share in each.classes]
        record["detection"] = None if each.detection is None else each.detection + 1
        if each.suppressor is not None:
            number = each.suppressor.detection
            record["suppressor"] = {**each.suppressor._asdict(), "detection": None if number is None else number + 1}
        found.append(record)
    return found
