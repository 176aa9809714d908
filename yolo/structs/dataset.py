"""Samples and datasets as columns, and their ways to other programs and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from yolo.structs.detections import Detections
from yolo.structs.terms import Boxes, Size, abridged, counted

if TYPE_CHECKING:
    import pandas
    import supervision

    from yolo.interchange.columns import DatasetFields


@dataclass(frozen=True, eq=False)
class Sample:
    """One annotated image of a `Dataset`."""

    path: Path
    image_id: int | str
    size: Size
    """(height, width) as annotated."""
    boxes: Boxes
    """(N, 4) xyxy in pixels of the image."""
    labels: NDArray[np.int32]
    """(N,) indices into the class names."""
    ignore: NDArray[np.bool_]
    """(N,) COCO crowds and VOC difficult objects; detecting one counts neither as right nor as wrong."""


class PictureStore(Protocol):
    """Protocol of a storage of encoded images that are not files of their own, such as TFRecord shards."""

    def read(self, index: int) -> bytes:
        """Encoded bytes of image ``index``.

        Raises:
            MediaError: the image cannot be read.
        """

    def stamp(self, index: int) -> tuple[str | int, ...]:
        """Values for cache keys that change whenever the bytes of the image do."""

    def take(self, indices: NDArray[np.int64]) -> PictureStore:
        """Storage of the images at ``indices``, in that order."""


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """N annotated images with K boxes, as columns.

    The boxes of image i are the rows ``offsets[i]`` to ``offsets[i + 1]``, exclusive. Indexing and iterating give a
    `Sample` per image.
    """

    classes: tuple[str, ...]
    files: Sequence[str]
    """(N) image files, relative to ``folder`` or absolute."""
    sizes: NDArray[np.int32]
    """(N, 2) height and width of each image as annotated."""
    offsets: NDArray[np.int64]
    """(N + 1,) first row of each image's boxes in the columns below; the last value is K."""
    boxes: Boxes
    """(K, 4) xyxy in pixels of the image."""
    labels: NDArray[np.int32]
    """(K,) indices into ``classes``."""
    ignore: NDArray[np.bool_]
    """(K,) COCO crowds and VOC difficult objects."""
    areas: NDArray[np.float32]
    """(K,) area of each object in square pixels: of its mask if the source has one, else of its box."""
    image_ids: Sequence[int | str]
    """(N) ids of the images in the source."""
    category_ids: tuple[int, ...]
    """(C) ids of the classes in the source."""
    folder: Path = Path()
    name: str = "dataset"
    split: str | None = None
    repairs: dict[str, int] = field(default_factory=dict)
    """Number of repairs by kind: what the reader clipped, dropped or corrected."""
    repair_places: dict[str, list[str]] = field(default_factory=dict)
    """First places of each kind of repair: file and object."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Images and annotation files that could not be used, with the reason of each."""
    store: PictureStore | None = None
    """Storage of the encoded images; None: each is a file. With a store, `path` is only a name for messages."""
    scores: NDArray[np.float32] | None = None
    """(K,) confidence of boxes that a detector has found; None: they are annotations."""

    def __post_init__(self) -> None:
        pictures, boxes = len(self.files), len(self.boxes)
        expected = {
            "sizes": (self.sizes.shape, (pictures, 2)),
            "offsets": (self.offsets.shape, (pictures + 1,)),
            "boxes": (self.boxes.shape, (boxes, 4)),
            "labels": (self.labels.shape, (boxes,)),
            "ignore": (self.ignore.shape, (boxes,)),
            "areas": (self.areas.shape, (boxes,)),
            "image_ids": ((len(self.image_ids),), (pictures,)),
            "category_ids": ((len(self.category_ids),), (len(self.classes),)),
            "scores": ((boxes,) if self.scores is None else self.scores.shape, (boxes,)),
        }
        for column, (received, wanted) in expected.items():
            if received != wanted:
                raise ValueError(f"Dataset.{column}: expected shape {wanted}, got {received}")
        if self.offsets[0] != 0 or self.offsets[-1] != boxes or (np.diff(self.offsets) < 0).any():
            raise ValueError(f"Dataset.offsets: expected a rise from 0 to {boxes}")
        if boxes and not (self.labels.min() >= 0 and self.labels.max() < len(self.classes)):
            raise ValueError(f"Dataset.labels: expected 0..{len(self.classes) - 1}")

    def __repr__(self) -> str:
        return f"<Dataset {self._title}: {self._counts}>"

    def __str__(self) -> str:
        """Three lines: name and split; numbers of images, boxes and classes; and the folder."""
        return (
            f"{self._title}\n{self._counts}: {abridged(list(self.classes))}\n"
            f"in {self.folder.absolute()}{'' if self.store is None else ' (TFRecord)'}"
        )

    @property
    def _title(self) -> str:
        return self.name if self.split is None else f"{self.name}, split {self.split}"

    @property
    def _counts(self) -> str:
        parts = ((len(self), "image"), (len(self.boxes), "box"), (len(self.classes), "class"))
        return ", ".join(counted(number, noun) for number, noun in parts)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Sample:
        if not -len(self) <= index < len(self):
            raise IndexError(f"picture {index} of {len(self)}")
        index %= len(self)
        rows = slice(self.offsets[index], self.offsets[index + 1])
        height, width = (int(side) for side in self.sizes[index])
        return Sample(
            path=self.path(index),
            image_id=self.image_ids[index],
            size=(height, width),
            boxes=self.boxes[rows],
            labels=self.labels[rows],
            ignore=self.ignore[rows],
        )

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    def path(self, index: int) -> Path:
        """Path of image ``index``."""
        return self.folder / self.files[index]

    def image(self, index: int) -> NDArray[np.uint8]:
        """Read image ``index`` as (H, W, 3) uint8 RGB, in the frame of its boxes.

        Raises:
            MediaError: the image cannot be read.
        """
        from yolo.images.codec import decode_image, read_bytes

        path, (height, width) = self.path(index), self.sizes[index]
        data = read_bytes(path) if self.store is None else self.store.read(index)
        return decode_image(data, name=str(path), annotated_size=(int(height), int(width)))

    @property
    def box_counts(self) -> NDArray[np.int64]:
        """(N,) number of boxes of each image."""
        return np.diff(self.offsets)

    @property
    def box_pictures(self) -> NDArray[np.int64]:
        """(K,) index of each box's image."""
        return np.repeat(np.arange(len(self)), self.box_counts)

    @property
    def fingerprint(self) -> str:
        """Hash of the files' names, classes, sizes and boxes; the pixels are not included."""
        digest = sha256("\n".join([*self.classes, "", *self.files]).encode(errors="surrogatepass"))
        for column in (self.sizes, self.offsets, self.boxes, self.labels, self.ignore):
            digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()[:16]

    def subset(self, indices: Sequence[int] | NDArray[np.int64], *, split: str | None = None) -> Dataset:
        """Dataset of the images at ``indices``, in that order, with their boxes.

        Args:
            indices: (M,) image indices; negative ones count from the end.
            split: name of the new dataset's split; None: unchanged.
        """
        chosen = np.arange(len(self))[np.asarray(indices, np.int64)]  # negative indices resolved
        counts = self.box_counts[chosen]
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        rows = np.repeat(self.offsets[chosen] - offsets[:-1], counts) + np.arange(offsets[-1])
        return replace(
            self,
            files=[self.files[i] for i in chosen],
            sizes=self.sizes[chosen],
            offsets=offsets,
            boxes=self.boxes[rows],
            labels=self.labels[rows],
            ignore=self.ignore[rows],
            areas=self.areas[rows],
            image_ids=[self.image_ids[i] for i in chosen],
            scores=None if self.scores is None else self.scores[rows],
            store=None if self.store is None else self.store.take(chosen),
            split=self.split if split is None else split,
        )

    @classmethod
    def from_detections(
        cls, files: Sequence[str | Path], sizes: Sequence[Size], detections: Sequence[Detections], **others: Any
    ) -> Dataset:
        """Make a dataset of what was found in N images: a labelling tool shows its boxes as suggestions.

        Args:
            files: (N) image files.
            sizes: (N) height and width of each, after the EXIF rotation.
            detections: (N) what was found in each, all of the same classes.
            others: further columns of the dataset, such as ``name``.

        Raises:
            ValueError: there are no images, or their detections are of different classes.
        """
        if len({found.classes for found in detections}) != 1:
            raise ValueError("Dataset.from_detections: expected images whose detections are of the same classes")
        boxes = np.concatenate([found.boxes for found in detections])
        classes = detections[0].classes
        return cls(
            classes=classes,
            files=[str(file) for file in files],
            sizes=np.array(sizes, np.int32),
            offsets=np.concatenate([[0], np.cumsum([len(found) for found in detections])]).astype(np.int64),
            boxes=boxes,
            labels=np.concatenate([found.labels for found in detections]),
            ignore=np.zeros(len(boxes), bool),
            areas=(boxes[:, 2:] - boxes[:, :2]).prod(axis=1),
            image_ids=list(range(1, len(files) + 1)),  # tools that read COCO files expect numbers
            category_ids=tuple(range(len(classes))),
            scores=np.concatenate([found.scores for found in detections]),
            **others,
        )

    def to_pandas(self) -> pandas.DataFrame:
        """Convert to a table: one row a box, and one without class and box for each image that has none.

        Columns: ``file``, ``image_id``, ``height``, ``width``, ``class``, ``x1``, ``y1``, ``x2``, ``y2``, ``area``,
        ``ignore``, and ``score`` if the boxes were detected.

        Raises:
            ConfigError: pandas is not installed.
        """
        from yolo.interchange.tables import dataset_table

        return dataset_table(self._fields())

    @classmethod
    def from_pandas(cls, frame: pandas.DataFrame, classes: Sequence[str] | None = None, **others: Any) -> Dataset:
        """Make a dataset of a table as `to_pandas` gives it; the columns after ``y2`` need not be there.

        Args:
            frame: table; a row without class is an image without boxes.
            classes: class names; None: those in the table, in alphabetical order.
            others: further columns of the dataset, such as ``name`` and the ``folder`` of relative files.

        Raises:
            AnnotationError: a column is missing, or a value is of another kind.
        """
        from yolo.interchange.tables import read_dataset_table

        return cls(**read_dataset_table(frame, classes)._asdict(), **others)

    def to_supervision(self) -> supervision.DetectionDataset:
        """Convert to a ``DetectionDataset`` of supervision; flags, areas and scores go with its detections.

        Raises:
            AnnotationError: a file is there twice.
            ConfigError: supervision is not installed.
        """
        from yolo.interchange.supervision import to_dataset

        return to_dataset(self._fields())

    @classmethod
    def from_supervision(cls, data: supervision.DetectionDataset, **others: Any) -> Dataset:
        """Make a dataset of one of supervision, whose images are files; their sizes are read.

        Args:
            data: the dataset; without confidence its boxes are annotations.
            others: further columns of the dataset, such as ``name``.

        Raises:
            AnnotationError: a box or class of it is invalid.
            MediaError: an image cannot be read.
        """
        from yolo.images.codec import image_size
        from yolo.interchange.supervision import from_dataset

        return cls(**from_dataset(data, image_size)._asdict(), **others)

    def _fields(self) -> DatasetFields:
        from yolo.interchange.columns import DatasetFields

        files = [str(self.path(index)) for index in range(len(self))]
        own = {name: getattr(self, name) for name in DatasetFields._fields}
        return DatasetFields(**{**own, "files": files})
