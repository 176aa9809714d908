"""What flows between the parts on the host: Sample, Dataset and Detections (numpy only).

Boxes are everywhere ``xyxy``: float32, continuous pixels, width = x2 - x1, so that a
picture of width W spans 0..W. Sizes are ``(height, width)``.
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
"""Most class names or detections that a printed Dataset or the repr of Detections names."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One annotated picture."""

    path: Path
    image_id: int | str
    size: Size
    """(height, width) as annotated."""
    boxes: Boxes
    """(N, 4) xyxy in pixels of the picture."""
    labels: NDArray[np.int32]
    """(N,) indices into the class names."""
    ignore: NDArray[np.bool_]
    """(N,) COCO crowds and VOC difficult objects: neither right nor wrong to find."""


class PictureStore(Protocol):
    """Where the encoded pictures of a Dataset lie that are no files of their own."""

    def read(self, index: int) -> bytes:
        """Picture ``index`` as it was encoded; raises a MediaError if it cannot be had."""

    def stamp(self, index: int) -> tuple[str | int, ...]:
        """Changes whenever the bytes of the picture do; printable, for keys."""

    def take(self, indices: NDArray[np.int64]) -> PictureStore:
        """The pictures at ``indices``, in that order."""


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Annotated pictures as columns: box k of picture i lies in ``offsets[i] <= k < offsets[i + 1]``."""

    classes: tuple[str, ...]
    files: Sequence[str]
    """One picture each, relative to ``folder`` (or absolute)."""
    sizes: NDArray[np.int32]
    """(N, 2) height and width of each picture as annotated."""
    offsets: NDArray[np.int64]
    """(N + 1,) where each picture's boxes begin in the columns below."""
    boxes: Boxes
    """(K, 4) xyxy in pixels of the picture."""
    labels: NDArray[np.int32]
    """(K,) indices into ``classes``."""
    ignore: NDArray[np.bool_]
    """(K,) COCO crowds and VOC difficult objects."""
    areas: NDArray[np.float32]
    """(K,) area of the object in square pixels: the mask's where the source has one, else the box's."""
    image_ids: Sequence[int | str]
    """The source's own id of each picture."""
    category_ids: tuple[int, ...]
    """The source's own id of each class."""
    folder: Path = Path()
    name: str = "dataset"
    split: str | None = None
    repairs: dict[str, int] = field(default_factory=dict)
    """What the reader clipped, dropped or mended, and how often."""
    store: PictureStore | None = None
    """Where the pictures lie; None: each in its file. With a store, `path` is only what messages call a picture."""

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
        """Three lines: name and split; images, boxes and classes; and where the images lie."""
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
        return self.folder / self.files[index]

    def image(self, index: int) -> NDArray[np.uint8]:
        """Picture ``index`` as (H, W, 3) RGB, in the frame of its boxes.

        Raises:
            MediaError: it cannot be read.
        """
        from yolo.images.codec import decode_image, read_bytes

        path, (height, width) = self.path(index), self.sizes[index]
        data = read_bytes(path) if self.store is None else self.store.read(index)
        return decode_image(data, name=str(path), annotated_size=(int(height), int(width)))

    @property
    def box_counts(self) -> NDArray[np.int64]:
        """(N,) number of boxes of each picture."""
        return np.diff(self.offsets)

    @property
    def box_pictures(self) -> NDArray[np.int64]:
        """(K,) which picture each box lies in."""
        return np.repeat(np.arange(len(self)), self.box_counts)

    @property
    def fingerprint(self) -> str:
        """Changes whenever a picture, a class or a box does (not with the pixels)."""
        digest = sha256("\n".join([*self.classes, "", *self.files]).encode(errors="surrogatepass"))
        for column in (self.sizes, self.offsets, self.boxes, self.labels, self.ignore):
            digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()[:16]

    def subset(self, indices: Sequence[int] | NDArray[np.int64], *, split: str | None = None) -> Dataset:
        """The pictures at ``indices``, in that order, with their boxes."""
        chosen = np.arange(len(self))[np.asarray(indices, np.int64)]  # counts from the end resolved
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
    """One detected object: an item of `Detections`."""

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
    """Detected objects of one image, best first, in the image's own pixels.

    Iterating gives one `Detection` an object; ``detections[0]`` is the best one, and a slice, a boolean
    mask or a list of indices selects several as `Detections`.
    """

    boxes: Boxes
    """(N, 4) xyxy."""
    scores: NDArray[np.float32]
    """(N,) in 0..1."""
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
        """A line that counts the detections, and one for each."""
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
        """One detection at an integer; those of a slice, a boolean mask or indices.

        Raises:
            IndexError: there is no such detection, or the mask has another length.
        """
        if isinstance(index, int | np.integer):
            if not -len(self) <= index < len(self):
                raise IndexError(f"detection {index} of {len(self)}")
            label = int(self.labels[index])
            return Detection(self.boxes[index], float(self.scores[index]), label, self.classes[label])
        rows = index if isinstance(index, slice) else np.asarray(index)
        if isinstance(rows, np.ndarray) and not rows.size and rows.dtype != bool:
            rows = rows.astype(np.int64)  # numpy takes an empty list for floats
        return replace(self, boxes=self.boxes[rows], scores=self.scores[rows], labels=self.labels[rows])

    @property
    def names(self) -> list[str]:
        """The class name of each detection."""
        return [self.classes[label] for label in self.labels]

    def to_list(self) -> list[dict[str, Any]]:
        """The detections as plain data: ``[{"class": .., "score": .., "box": [x1, y1, x2, y2]}]``."""
        rows = zip(self.names, self.scores, self.boxes, strict=True)
        return [
            {"class": name, "score": round(float(score), 4), "box": [round(float(side), 2) for side in box]}
            for name, score, box in rows
        ]

    def draw(self, image: str | Path | NDArray[np.uint8]) -> Image:
        """The picture (a path or RGB array) with the detections drawn on it, as a PIL image.

        Raises:
            MediaError: the file is not a readable picture.
        """
        from yolo.images.codec import read_image
        from yolo.images.draw import draw_boxes

        pixels = image if isinstance(image, np.ndarray) else read_image(image)
        return draw_boxes(pixels, self.boxes, self.labels, self.classes, scores=self.scores)


def counted(number: int, noun: str) -> str:
    """A number with its noun: ``1 box``, ``2 boxes``."""
    plural = f"{noun}es" if noun.endswith(("x", "s")) else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def abridged(words: Sequence[str], *, of: int | None = None) -> str:
    """The first `LISTED` words, and how many more there are; ``of`` is their number if not all are given."""
    more = (len(words) if of is None else of) - LISTED
    return ", ".join(words[:LISTED]) + (f" and {more} more" if more > 0 else "")
