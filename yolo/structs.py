"""Data structures in numpy: Sample, Dataset and Detections.

Boxes are ``xyxy`` everywhere: float32, in continuous pixels, width = x2 - x1, so that an image of width W spans 0..W.
Sizes are ``(height, width)``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, overload

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

Boxes = NDArray[np.float32]
Size = tuple[int, int]
"""(height, width) in pixels."""

LISTED = 8
"""Largest number of class names that `str` of a Dataset lists, and of detections that `repr` of Detections lists."""


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
            store=None if self.store is None else self.store.take(chosen),
            split=self.split if split is None else split,
        )


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


def counted(number: int, noun: str) -> str:
    """Number with its noun: ``1 box``, ``2 boxes``."""
    plural = f"{noun}es" if noun.endswith(("x", "s")) else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def abridged(words: Sequence[str], *, of: int | None = None) -> str:
    """List the first `LISTED` words and the number of the others; ``of`` is the total if not all are given."""
    more = (len(words) if of is None else of) - LISTED
    return ", ".join(words[:LISTED]) + (f" and {more} more" if more > 0 else "")
