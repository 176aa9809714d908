"""Description of a network for detection: all that is needed besides its weights, as text inside exported files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from yolo.config import Contents, LetterboxMode, NmsConfig
from yolo.errors import ConfigError, WeightsError
from yolo.ops.slots import Coding, Slots, make_slots
from yolo.scores import ScoreRules

if TYPE_CHECKING:
    from yolo.model.detector import Detector

KEY = "yolov3_keras"
"""Name of the entry in a file's metadata that holds the whole description as JSON."""

VERSION = 2
"""Version of the description's fields; a reader refuses those of a newer one."""
VERSION_WITHOUT_RULES = 1
"""Version of a description without score rules, which earlier readers understand."""


@dataclass(frozen=True, kw_only=True)
class Description:
    """Everything that detection needs to know of a network besides its weights."""

    model: str
    classes: tuple[str, ...]
    canvas: tuple[int, int]
    """(height, width) in pixels that the network was made for."""
    letterbox: LetterboxMode
    strides: tuple[int, ...]
    """Stride of each scale, coarse to fine."""
    anchors: tuple[tuple[tuple[float, float], ...], ...]
    """(width, height) in canvas pixels of each scale's anchors, coarse to fine."""
    coding: Coding = field(default_factory=Coding)
    nms: NmsConfig = field(default_factory=NmsConfig)
    origin: dict[str, Any] = field(default_factory=dict)
    score_rules: ScoreRules = field(default_factory=ScoreRules)
    contents: Contents = "maps"
    precision: str = "float32"
    """Numeric precision of the weights in the file."""
    batch: int | None = None
    """Images a batch; None: any number."""
    fixed_canvas: bool = False
    """Whether the network takes `canvas` alone, and no other multiples of the strides."""

    @property
    def map_names(self) -> list[str]:
        """Names of the raw maps, coarse to fine: ``stride_32``, ``stride_16``, .."""
        return [f"stride_{stride}" for stride in self.strides]

    @property
    def outputs(self) -> list[str]:
        """Names of the network's outputs, maps coarse to fine."""
        if self.contents == "maps":
            return self.map_names
        return ["boxes", "scores"] if self.contents == "predictions" else ["boxes", "scores", "labels", "valid"]

    @property
    def raw_nms(self) -> NmsConfig:
        """Thresholds of the scores as the network gives them, before they are calibrated."""
        return self.score_rules.raw(self.nms)

    def slots_on(self, canvas: tuple[int, int]) -> Slots:
        """Slots of a canvas (height, width), with the same anchors in pixels."""
        anchors = [np.array(shapes, np.float32) for shapes in self.anchors]
        return make_slots(canvas, self.strides, anchors, self.coding)

    def to_text(self) -> str:
        """Write all fields as JSON."""
        own = {name: value for name, value in asdict(self).items() if name != "score_rules"}
        fields = {**own, "nms": self.nms.to_plain()}
        if not self.score_rules:
            return json.dumps({"version": VERSION_WITHOUT_RULES, **fields}, sort_keys=True)
        return json.dumps({"version": VERSION, "score_rules": self.score_rules.to_plain(), **fields}, sort_keys=True)

    @classmethod
    def from_text(cls, text: str, source: str) -> Description:
        """Read the fields from JSON.

        Args:
            text: what `to_text` returned.
            source: name of the file, for errors.

        Raises:
            WeightsError: the text is not a description.
        """
        try:
            fields = dict(json.loads(text))
            version = int(fields.pop("version", VERSION))
            if version > VERSION:
                raise WeightsError(
                    f"{source}: its description is of version {version}, this package reads up to {VERSION}; update it"
                )
            return cls(
                **{
                    **fields,
                    "classes": tuple(map(str, fields["classes"])),
                    "canvas": _pair(fields["canvas"]),
                    "strides": tuple(map(int, fields["strides"])),
                    "anchors": tuple(tuple((float(w), float(h)) for w, h in shapes) for shapes in fields["anchors"]),
                    "coding": _coding(fields["coding"]),
                    "nms": NmsConfig(**fields["nms"]),
                    "score_rules": _rules(fields.get("score_rules"), fields["classes"]),
                }
            )
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError, ConfigError) as error:
            raise WeightsError(
                f"{source}: the description inside is damaged ({error!s:.200}); export it anew"
            ) from error


def describe(detector: Detector, **changes: Any) -> Description:
    """Describe a detector; ``changes`` are fields of the file that it goes into."""
    shape = detector.architecture
    fields = {
        "model": detector.variant,
        "classes": detector.classes,
        "canvas": detector.canvas,
        "letterbox": detector.letterbox,
        "strides": shape.strides,
        "anchors": tuple(tuple((float(w), float(h)) for w, h in shapes) for shapes in shape.anchors),
        "coding": shape.coding,
        "nms": detector.nms,
        "origin": detector.origin,
        "score_rules": detector.score_rules,
        "fixed_canvas": shape.fixed_canvas,
    }
    return Description(**{**fields, **changes})


def read_metadata(metadata: Mapping[str, str], source: str, *, outputs: Sequence[str] = ()) -> Description:
    """Read the description in a file's metadata.

    Args:
        metadata: all entries of the file.
        source: name of the file, for errors.
        outputs: names of the graph's outputs, for errors.

    Raises:
        WeightsError: there is none, as in files of other programs; or it is damaged.
    """
    if KEY not in metadata:
        entries, names = (", ".join(sorted(each)[:8]) or "none" for each in (metadata, outputs))
        raise WeightsError(
            f"{source}: holds no description by this package (its outputs: {names}; its metadata: {entries}); "
            "export a model with yolov3 export"
        )
    return Description.from_text(metadata[KEY], source)


def _pair(values: Any) -> tuple[int, int]:
    height, width = values
    return int(height), int(width)


def _rules(plain: Mapping[str, Any] | None, classes: Sequence[str]) -> ScoreRules:
    rules = ScoreRules.from_plain(plain)
    rules.check_classes(classes)
    return rules


def _coding(fields: Mapping[str, Any]) -> Coding:
    return Coding(**{**fields, "scale_xy": tuple(map(float, fields["scale_xy"]))})
