"""Sizes of images: read from their headers, and held against the annotated ones."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yolo.datasets.annotations.repair import OTHER_SHAPE, RESIZED, SWAPPED_SIDES, UNREAD, WRONG_SIZE, Repairs
from yolo.errors import MediaError
from yolo.files.bounded import open_descriptor, open_file, unreadable
from yolo.files.kept_arrays import KeptArrays, Ragged
from yolo.images.codec import UNREADABLE, read_header, read_image
from yolo.images.quick_header import GLANCE, quick_header
from yolo.structs import Size

LARGEST_SIDE = 2**24
"""Largest side of an image in pixels: up to here float32 represents every integer."""
SAME_SHAPE = 0.02
"""Largest relative difference of two aspect ratios that counts as rounding of a resized image's sides."""


@dataclass(frozen=True)
class Headers:
    """Sizes in the headers of N image files."""

    stored: NDArray[np.int32]
    """(N, 2) height and width before the EXIF rotation; 0 where the header cannot be read."""
    turned: NDArray[np.bool_]
    """(N,) whether the EXIF rotation swaps height and width."""
    faults: dict[int, str]
    """Reason for each image whose header cannot be read, naming the file."""

    @property
    def shown(self) -> NDArray[np.int32]:
        """(N, 2) height and width after the EXIF rotation."""
        return np.where(self.turned[:, None], self.stored[:, ::-1], self.stored)

    def take(self, indices: Sequence[int]) -> Headers:
        """Headers of the images at ``indices``, in that order."""
        rows = np.asarray(indices, np.int64)
        faults = {new: self.faults[old] for new, old in enumerate(rows.tolist()) if old in self.faults}
        return Headers(self.stored[rows], self.turned[rows], faults)


NO_SIZES = Ragged({"sizes": np.zeros(0, np.int64)}, {"sizes": np.zeros((0, 3), np.int32)})
"""Kept values: height and width before the EXIF rotation, and 1 if that swaps them; one row a file."""


def read_headers(files: Sequence[object]) -> Headers:
    """Read the headers of N image files; those of many are kept in the cache folder."""
    names = [str(file) for file in files]
    kept = KeptArrays("sizes", names, NO_SIZES)
    missing, faults = kept.missing, {}
    sizes = np.zeros((len(missing), 3), np.int32)
    for row, index in enumerate(missing):
        try:
            sizes[row] = one_header(names[index])
        except MediaError as error:
            faults[index] = str(error)
    usable = np.ones(len(files), bool)
    usable[list(faults)] = False
    table = kept.complete(Ragged({"sizes": np.ones(len(missing), np.int64)}, {"sizes": sizes}), usable)
    found = table.columns["sizes"]
    return Headers(found[:, :2], found[:, 2] != 0, faults)


def one_header(file: str) -> tuple[int, int, int]:
    """Height and width in the header of an image file, and whether the EXIF rotation swaps them.

    Raises:
        MediaError: it cannot be read.
    """
    try:
        descriptor = open_descriptor(file)
        try:
            header = quick_header(os.read(descriptor, GLANCE))
        finally:
            os.close(descriptor)
        if header is None:
            with open_file(file) as content:
                header = read_header(content, name=file)
    except (OSError, ValueError) as error:
        reason = unreadable(file, error) if isinstance(error, OSError) else f"{file}: {UNREADABLE} ({error!s:.80})"
        raise MediaError(reason) from error
    if header is None:  # of a format that only OpenCV knows, or no image: then this says why
        height, width = read_image(file).shape[:2]
        return height, width, 0
    return *header.stored, int(header.turned)


def same_shape(annotated: NDArray[np.int32], found: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Whether sizes (..., 2) have the aspect ratios of others, so that one image may be the other resized."""
    ratio = found / np.maximum(annotated, 1)
    return np.asarray(np.abs(ratio[..., 0] / np.maximum(ratio[..., 1], 1e-9) - 1) <= SAME_SHAPE)


def was_resized(annotated: Size, found: Size) -> bool:
    """Whether an image of another size than annotated is one that was resized, so that its boxes have to be scaled."""
    return annotated != found and bool(same_shape(np.array(annotated, np.int32), np.array(found, np.int32)))


def fit_sizes(
    annotated: NDArray[np.int32],
    headers: Headers,
    extents: NDArray[np.float64],
    *,
    place: Callable[[int], str],
    repairs: Repairs,
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Sizes of N images in the frame of their boxes, and the factors that bring annotated boxes there.

    The frame is the annotated one if the image has that size, before or after its EXIF rotation. If the image was
    resized after annotating, which its boxes and an equal shape show, they have to be scaled. An image whose header
    cannot be read keeps the annotated size.

    Args:
        annotated: (N, 2) height and width; 0 where missing.
        headers: those of the images.
        extents: (N, 2) largest y and x of each image's boxes as annotated; 0 without boxes.
        place: describes where image k's size is annotated.
        repairs: record that sizes which do not fit are added to.

    Returns:
        (N, 2) height and width, 0 where neither is known, and (N, 2) factors of y and x.
    """
    missing, unread = (np.asarray((sides <= 0).any(axis=1), bool) for sides in (annotated, headers.stored))
    same = (annotated == headers.shown).all(axis=1) | (annotated == headers.stored).all(axis=1)
    other = ~(missing | unread | same)
    sizes = np.where((same | unread)[:, None], annotated, headers.shown)
    factors = np.ones((len(annotated), 2))
    # In both frames, as the resizing may have applied the EXIF rotation or not.
    for frame in (headers.stored, headers.shown):
        resized = other & same_shape(annotated, frame) & (extents <= annotated + 1.5).all(axis=1)
        sizes[resized], factors[resized] = frame[resized], (frame / np.maximum(annotated, 1))[resized]
    scaled = (factors != 1).any(axis=1)
    swapped = other & ~scaled & (annotated == headers.shown[:, ::-1]).all(axis=1)
    strange = other & ~scaled & ~swapped
    repairs.add_rows(RESIZED, scaled, place)
    repairs.add_rows(SWAPPED_SIDES, swapped, place)
    repairs.add_rows(OTHER_SHAPE, strange, place)
    if not missing.all():  # else the source has no sizes
        repairs.add_rows(WRONG_SIZE, missing & ~unread, place)
    repairs.add_rows(UNREAD, unread & ~missing, place)
    return sizes.astype(np.int32), factors
