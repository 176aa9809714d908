"""Detections of one image, and their ways to other programs and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from yolo.errors import ConfigError
from yolo.structs.terms import LISTED, Boxes, abridged, counted

if TYPE_CHECKING:
    import pandas
    import supervision
    from PIL.Image import Image

    from yolo.interchange.columns import DetectionFields


class Detection(NamedTuple):
    """One detected object, as an item of `Detections`."""

    box: Boxes
    """(4,) x1, y1, x2, y2 in pixels of the image."""
    score: float
    """Confidence in 0..1."""
    label: int
    """Index into the class names."""
    name: str
    """Class name."""

    def __repr__(self) -> str:
        return f"{self.name} {self.score:.2f} at ({', '.join(f'{side:.1f}' for side in self.box)})"


@dataclass(frozen=True, eq=False, repr=False)
class Detections:
    """N detected objects of one image, best first, in the image's own pixels.

    Iterating gives a `Detection` per object; ``detections[0]`` is the best one. A slice, a boolean mask or a list of
    indices selects several as `Detections`.
    """

    boxes: Boxes
    """(N, 4) xyxy."""
    scores: NDArray[np.float32]
    """(N,) confidence in 0..1."""
    labels: NDArray[np.int32]
    """(N,) indices into ``classes``."""
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        count = len(self.boxes)
        for column, received, wanted in (
            ("boxes", self.boxes.shape, (count, 4)),
            ("scores", self.scores.shape, (count,)),
            ("labels", self.labels.shape, (count,)),
        ):
            if received != wanted:
                raise ValueError(f"Detections.{column}: expected shape {wanted}, got {received}")

    def __repr__(self) -> str:
        listed = abridged([f"{each.name} {each.score:.2f}" for each in self[:LISTED]], of=len(self))
        return f"<Detections: {listed or 'none'}>"

    def __str__(self) -> str:
        """One line with the number of detections, then one per detection."""
        return "\n".join([counted(len(self), "detection"), *(f"  {each!r}" for each in self)])

    def __len__(self) -> int:
        return len(self.boxes)

    def __iter__(self) -> Iterator[Detection]:
        return (self[index] for index in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Detection: ...

    @overload
    def __getitem__(self, index: slice | Sequence[int] | Sequence[bool] | NDArray[Any]) -> Detections: ...

    def __getitem__(self, index: int | slice | Sequence[int] | Sequence[bool] | NDArray[Any]) -> Detection | Detections:
        """Select one detection by an integer, or several by a slice, a boolean mask or indices.

        Raises:
            IndexError: an index is out of range, or the mask has another length.
        """
        if isinstance(index, int | np.integer):
            if not -len(self) <= index < len(self):
                raise IndexError(f"detection {index} of {len(self)}")
            label = int(self.labels[index])
            return Detection(self.boxes[index], float(self.scores[index]), label, self.classes[label])
        rows = index if isinstance(index, slice) else np.asarray(index)
        if isinstance(rows, np.ndarray) and not rows.size and rows.dtype != bool:
            rows = rows.astype(np.int64)  # numpy makes an empty list an array of floats
        return replace(self, boxes=self.boxes[rows], scores=self.scores[rows], labels=self.labels[rows])

    @property
    def names(self) -> list[str]:
        """Class name of each detection."""
        return [self.classes[label] for label in self.labels]

    def to_list(self) -> list[dict[str, Any]]:
        """Convert to plain data: ``[{"class": .., "score": .., "box": [x1, y1, x2, y2]}]``."""
        rows = zip(self.names, self.scores, self.boxes, strict=True)
        return [
            {"class": name, "score": round(float(score), 4), "box": [round(float(side), 2) for side in box]}
            for name, score, box in rows
        ]

    def filter(
        self, *, conf: ArrayLike = 0.0, classes: Sequence[str] | None = None, min_area: float = 0.0
    ) -> Detections:
        """Select the detections that meet all conditions.

        Args:
            conf: lowest score, or (C,) one for each class.
            classes: names of the classes to keep; None: all.
            min_area: smallest area of a box in square pixels.

        Raises:
            ConfigError: a name is not one of the classes.
        """
        kept = self.scores >= np.broadcast_to(np.asarray(conf, np.float32), len(self.classes))[self.labels]
        if classes is not None:
            unknown = [name for name in classes if name not in self.classes]
            if unknown:
                raise ConfigError(f"class {unknown[0]!r} is not among the classes: {abridged(self.classes)}")
            kept &= np.isin(self.labels, [self.classes.index(name) for name in classes])
        areas = (self.boxes[:, 2:] - self.boxes[:, :2]).prod(axis=1)
        return self[kept & (areas >= min_area)]

    def to_dict(self) -> dict[str, Any]:
        """Convert to lists that JSON holds, without rounding: ``boxes``, ``scores``, ``labels`` and ``classes``."""
        from yolo.interchange.plain import to_dict

        return to_dict(self._fields())

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Detections:
        """Make detections of what `to_dict` gives.

        Raises:
            AnnotationError: a key is missing, or a value is of another kind.
        """
        from yolo.interchange.plain import from_dict

        return cls(*from_dict(content))

    def to_coco(self, image_id: int | str, category_ids: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """Convert to entries of a COCO results file, whose boxes are ``[x, y, width, height]``.

        Args:
            image_id: id of the image in the file of the annotations.
            category_ids: (C) id of each class there, such as `Dataset.category_ids`; None: 0, 1, ...
        """
        from yolo.interchange.plain import coco_entries

        numbers = range(len(self.classes)) if category_ids is None else category_ids
        categories = [numbers[label] for label in self.labels]
        return coco_entries([image_id] * len(self), categories, self.boxes, self.scores)

    @classmethod
    def from_coco(
        cls, entries: Sequence[Mapping[str, Any]], classes: Sequence[str], category_ids: Sequence[int] | None = None
    ) -> Detections:
        """Make detections of the entries of a COCO results file that belong to one image, best first.

        Args:
            entries: the entries.
            classes: class names.
            category_ids: (C) id of each class in the entries; None: 0, 1, ...

        Raises:
            AnnotationError: an entry lacks a key, is of another image, or of an unknown category.
        """
        from yolo.interchange.plain import from_coco

        return cls(*from_coco(entries, classes, category_ids))

    def to_pandas(self) -> pandas.DataFrame:
        """Convert to a table: one row a detection, with ``class``, ``score``, ``x1``, ``y1``, ``x2`` and ``y2``.

        Raises:
            ConfigError: pandas is not installed.
        """
        from yolo.interchange.tables import detection_table

        return detection_table(self._fields())

    @classmethod
    def from_pandas(cls, frame: pandas.DataFrame, classes: Sequence[str] | None = None) -> Detections:
        """Make detections of a table as `to_pandas` gives it, in its order; further columns are passed over.

        Args:
            frame: the table.
            classes: class names; None: those in the table, in the order of their first appearance.

        Raises:
            AnnotationError: a column is missing, or a value is of another kind.
        """
        from yolo.interchange.tables import read_detection_table

        return cls(*read_detection_table(frame, classes))

    def to_supervision(self) -> supervision.Detections:
        """Convert to the ``Detections`` of supervision, which its annotators, trackers and zones take.

        Raises:
            ConfigError: supervision is not installed.
        """
        from yolo.interchange.supervision import to_detections

        return to_detections(self._fields())

    @classmethod
    def from_supervision(cls, found: supervision.Detections, classes: Sequence[str] | None = None) -> Detections:
        """Make detections of those of supervision, best first; masks and tracks are left behind.

        Args:
            found: the detections; without confidence it is 1.
            classes: class names that ``class_id`` counts; None: the names in ``data["class_name"]``.

        Raises:
            AnnotationError: there are no classes, or a value is of another kind.
        """
        from yolo.interchange.supervision import from_detections

        return cls(*from_detections(found, classes))

    def _fields(self) -> DetectionFields:
        from yolo.interchange.columns import DetectionFields

        return DetectionFields(self.boxes, self.scores, self.labels, self.classes)

    def crop(self, image: str | Path | NDArray[np.uint8], *, margin: float = 0.0) -> list[NDArray[np.uint8]]:
        """Cut each detection out of the image; a box outside of it gives an array without pixels.

        Args:
            image: path, or (H, W, 3) uint8 RGB array.
            margin: addition on every side of a box, as a fraction of its width and height.

        Returns:
            An array (h, w, 3) for each detection.

        Raises:
            MediaError: the file is not a readable image.
        """
        from yolo.images.codec import read_image
        from yolo.images.crops import crop_boxes

        pixels = image if isinstance(image, np.ndarray) else read_image(image)
        return crop_boxes(pixels, self.boxes, margin=margin)

    def draw(self, image: str | Path | NDArray[np.uint8]) -> Image:
        """Draw the detections on a copy of the image.

        Args:
            image: path, or (H, W, 3) uint8 RGB array.

        Raises:
            MediaError: the file is not a readable image.
        """
        from yolo.images.codec import read_image
        from yolo.images.draw import draw_boxes

        pixels = image if isinstance(image, np.ndarray) else read_image(image)
        return draw_boxes(pixels, self.boxes, self.labels, self.classes, scores=self.scores)
