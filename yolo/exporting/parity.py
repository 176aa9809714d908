"""Comparison of an exported file with Keras on pictures: raw maps, boxes, scores, and AP."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from yolo.config import Contents, FilePrecision
from yolo.errors import AnnotationError, ConfigError
from yolo.exporting.pictures import dataset_pictures, generated_pictures
from yolo.ops.decode import decode
from yolo.runtimes.detector import RuntimeDetector

if TYPE_CHECKING:
    from yolo.model.detector import Detector
    from yolo.structs import Dataset

PICTURES = 4
"""Number of pictures on which raw numbers are compared."""
BEST = 100
"""Number of slots of a picture, those with the highest scores, whose boxes may be compared."""
NOTABLE = 0.05
"""Fraction of a picture's best score above which a slot's box is compared: no program keeps what scores less, and its
box may be anything."""
OBJECT = 0.01
"""Score from which on a compared box is an object rather than background."""
FEW = 5
"""Number of objects below which a comparison says little."""
SAME = 0.5
"""IoU from which on two detections of one class are the same one."""


@dataclass(frozen=True)
class Bounds:
    """Largest differences from Keras with which a file is handed over."""

    scores: float
    box_iou: float
    """Lowest IoU of a box with Keras' box."""
    missed: float
    """Fraction of the detections that the other does not have: a score at the threshold may fall on either side."""
    ap: float
    """Loss of AP and AP50, in points of 100; only with data."""


BOUNDS: dict[FilePrecision, Bounds] = {
    "float32": Bounds(scores=0.001, box_iou=0.999, missed=0.02, ap=0.1),
    "float16": Bounds(scores=0.03, box_iou=0.9, missed=0.05, ap=0.5),
    "bfloat16": Bounds(scores=0.25, box_iou=0.8, missed=0.2, ap=1.0),
    "int8": Bounds(scores=1.0, box_iou=0.0, missed=1.0, ap=1.0),
}
"""Bounds of each precision; of int8, single scores say little, and AP is what is bounded.

Trained networks differed by at most (on generated pictures, and on 10 or 24 photographs):

    yolov3-tiny, raccoons     float16: scores 0.0023, IoU 0.998     bfloat16: scores 0.016, IoU 0.976
    MobileNetV2 Nano, VOC     float16: scores 0.017,  IoU 0.990     bfloat16: scores 0.16,  IoU 0.885

Full YOLOv3 is deeper than either; random weights amplify roundings more, and may be refused.
"""


@dataclass(frozen=True, kw_only=True)
class Parity:
    """Measured differences between a file and Keras; None: the file does not give it, or there was no data."""

    precision: FilePrecision
    contents: Contents = "predictions"
    pictures: int
    maps: float | None = None
    """Largest difference of a number in the raw maps."""
    boxes: float
    """Largest difference of a box's side, in canvas pixels."""
    box_iou: float
    """Lowest IoU of a box with Keras' box."""
    scores: float
    """Largest difference of a score."""
    missed: int = 0
    """Detections that only one of the two has."""
    detections: int = 0
    """Detections that Keras has."""
    objects: int
    """Boxes compared that score at least OBJECT with Keras."""
    ap: tuple[float, float] | None = None
    """AP in 0..1 of Keras and of the file."""
    ap50: tuple[float, float] | None = None

    @property
    def note(self) -> str:
        """Advice if the pictures showed the network too little for a comparison that means much; else empty."""
        enough = self.objects >= FEW or self.ap is not None
        return "" if enough else f"few objects ({self.objects}): give --data for a better comparison"

    def faults(self) -> list[str]:
        """Differences above the bounds of the precision, in words."""
        bounds = BOUNDS[self.precision]
        found = []
        if not self.scores <= bounds.scores:
            found.append(f"scores by {self.scores:.4g} (at most {bounds.scores:g})")
        if not self.box_iou >= bounds.box_iou:
            found.append(f"boxes to an IoU of {self.box_iou:.4g} (at least {bounds.box_iou:g})")
        if self.missed > max(1, bounds.missed * self.detections):
            found.append(f"{self.missed} of {self.detections} detections")
        for name, pair in (("AP", self.ap), ("AP50", self.ap50)):
            if pair is not None and not (pair[0] - pair[1]) * 100 <= bounds.ap:
                found.append(f"{name} {pair[1]:.4f} instead of {pair[0]:.4f}")
        return found

    def check(self, path: Path) -> None:
        """Check that the differences are within the bounds of the precision.

        Raises:
            ConfigError: one is not.
        """
        if faults := self.faults():
            raise ConfigError(
                f"{path}: not written, as it differs from Keras by more than {self.precision} may: {'; '.join(faults)}"
            )

    def rows(self) -> list[tuple[str, str]]:
        """Names and values of the differences, with their bounds, for people to read."""
        bounds = BOUNDS[self.precision]
        rows = [] if self.maps is None else [("raw maps, largest", f"{self.maps:.2g}")]
        if self.contents == "detections" and not self.detections:
            rows.append(("boxes and scores", "not compared, as nothing was detected"))
        else:
            rows += [
                ("boxes, largest", f"{self.boxes:.2g} px"),
                ("boxes, lowest IoU", f"{self.box_iou:.4f} (bound {bounds.box_iou:g})"),
                ("scores, largest", f"{self.scores:.2g} (bound {bounds.scores:g})"),
            ]
        if self.detections or self.missed:
            rows.append(("detections of one alone", f"{self.missed} of {self.detections}"))
        for name, pair in (("AP", self.ap), ("AP50", self.ap50)):
            if pair is not None:
                rows.append((f"{name}, Keras and file", f"{pair[0]:.4f} {pair[1]:.4f}"))
        return [*rows, *([("note", self.note)] if self.note else [])]

    def to_dict(self) -> dict[str, Any]:
        """Fields by name, with the bounds they were held against."""
        return {**asdict(self), "note": self.note or None, "bounds": asdict(BOUNDS[self.precision])}


def compare(detector: Detector, found: RuntimeDetector, data: Dataset | None) -> Parity:
    """Run a file and the detector on the same pictures, those of the data if there are any."""
    images = (
        generated_pictures(detector.canvas, PICTURES) if data is None else dataset_pictures(detector, data, PICTURES)
    )
    description = found.description
    maps = [np.asarray(each) for each in detector(images)]
    measured: dict[str, Any] = {
        "precision": description.precision,
        "contents": description.contents,
        "pictures": len(images),
    }
    if description.contents == "detections":
        measured |= differing_detections(detector.find(images, description.nms), found.find(images))
    else:
        outputs = found.outputs(images)
        expected = predicted(decode(maps, detector.slots))
        if description.contents == "maps":
            outputs = [own.reshape(each.shape) for own, each in zip(outputs, maps, strict=True)]
            measured["maps"] = largest(outputs, maps)
            outputs = predicted(decode(outputs, detector.slots))
        measured |= differing_predictions(expected, outputs)
    if data is not None:
        measured |= both_metrics(detector, found, data)
    return Parity(**measured)


def predicted(found: Any) -> list[NDArray[np.float32]]:
    """Boxes (B, P, 4) and scores (B, P, C) of decoded predictions."""
    return [np.asarray(found.boxes), np.asarray(found.objectness)[..., None] * np.asarray(found.classes)]


def largest(ones: Any, others: Any) -> float:
    """Largest difference of two lists of arrays."""
    return max(float(np.abs(np.asarray(a, np.float64) - b).max(initial=0)) for a, b in zip(ones, others, strict=True))


def differing_predictions(expected: list[NDArray[Any]], found: list[NDArray[Any]]) -> dict[str, Any]:
    """Differences of boxes (B, P, 4), at slots that score high in their picture, and of scores (B, P, C) everywhere."""
    best = expected[1].max(axis=-1)
    order = np.argsort(-best, axis=1)[:, :BEST]
    best = np.take_along_axis(best, order, axis=1)
    notable = best >= NOTABLE * best[:, :1]
    boxes, others = (np.take_along_axis(each[0], order[..., None], axis=1)[notable] for each in (expected, found))
    return {
        "boxes": largest([boxes], [others]),
        "box_iou": float(iou(boxes, others).min(initial=1)),
        "scores": largest([expected[1]], [found[1]]),
        "objects": int((best[notable] >= OBJECT).sum()),
    }


def differing_detections(expected: Any, found: Any) -> dict[str, Any]:
    """Differences of two `Kept`, each detection compared with the nearest of its class in the other."""
    boxes = scores = 0.0
    lowest, alone, objects = 1.0, 0, 0
    for one, other in _images_of(expected, found):
        alone += max(0, len(other[1]) - len(one[1]))
        for box, score, label in zip(*one, strict=True):
            overlaps = np.where(other[2] == label, iou(box[None], other[0]), 0.0)
            best = int(overlaps.argmax()) if len(overlaps) else -1
            if best < 0 or overlaps[best] < SAME:
                alone += 1
                continue
            objects += bool(score >= OBJECT)
            lowest = min(lowest, float(overlaps[best]))
            boxes = max(boxes, float(np.abs(box - other[0][best]).max()))
            scores = max(scores, abs(float(score - other[1][best])))
    count = int(np.asarray(expected.valid).sum())
    return {
        "boxes": boxes,
        "box_iou": lowest,
        "scores": scores,
        "missed": alone,
        "detections": count,
        "objects": objects,
    }


def _images_of(*kept: Any) -> Any:
    """Boxes, scores and labels of each image, of several `Kept` side by side."""
    columns = [[np.asarray(part) for part in each] for each in kept]
    for index in range(len(columns[0][0])):
        yield [tuple(part[index][each[3][index].astype(bool)] for part in each[:3]) for each in columns]


def iou(boxes: NDArray[Any], others: NDArray[Any]) -> NDArray[np.float64]:
    """IoU of boxes (..., 4) xyxy with others; two that are the same have 1, also if they are empty."""
    a, b = np.broadcast_arrays(np.asarray(boxes, np.float64), np.asarray(others, np.float64))
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    inner = np.maximum(sides, 0).prod(-1)
    outer = sum((each[..., 2:] - each[..., :2]).prod(-1) for each in (a, b)) - inner
    return np.where(np.abs(a - b).max(-1) < 1e-3, 1.0, inner / np.maximum(outer, 1e-12))


def both_metrics(detector: Detector, found: RuntimeDetector, data: Dataset) -> dict[str, Any]:
    """AP and AP50 of Keras and of the file on a dataset, at the same thresholds; nothing where it has no boxes.

    Raises:
        AnnotationError: it has none, and nothing else bounds an int8 file.
    """
    from dataclasses import replace

    from yolo.evaluation.evaluator import EVALUATION_NMS, evaluate

    fixed = found.description.contents == "detections"
    nms = found.description.nms if fixed else replace(found.description.nms, conf=EVALUATION_NMS.conf)
    one, other = (
        evaluate(each, data, nms=nms, batch=found.description.batch or 8, resamples=0)["coco"]
        for each in (detector, found)
    )
    if np.isnan(one["AP50"]):
        if found.description.precision == "int8":
            raise AnnotationError(f"{data.name}: has no boxes, by whose AP an int8 file is compared")
        return {}
    return {"ap": (one["AP"], other["AP"]), "ap50": (one["AP50"], other["AP50"])}
