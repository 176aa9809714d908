"""Recognising images that a model was trained on, from a sketch small enough to be stored in its file."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import PurePath

import numpy as np

from yolo.structs import Dataset

SKETCH_SIZE = 1024
"""Largest number of image hashes in a sketch; datasets with at most as many annotated images are compared exactly."""
HASH_BYTES = 6
"""Bytes of an image's hash: two of a million images share one with a probability of 0.2 %."""
DIGITS = 2 * HASH_BYTES


def sketch(dataset: Dataset) -> str:
    """Concatenate the smallest image hashes of a dataset (a bottom-k sketch), in hexadecimal."""
    return "".join(sorted(set(image_hashes(dataset)))[:SKETCH_SIZE])


def shared_fraction(trained_on: str, dataset: Dataset) -> float:
    """Fraction of a dataset's annotated images that are among those of a sketch.

    Exact for sketches of at most `SKETCH_SIZE` images, estimated from a sample for larger ones.

    Args:
        trained_on: the `sketch` of the images that were trained on.
        dataset: the images in question.
    """
    known = {trained_on[start : start + DIGITS] for start in range(0, len(trained_on), DIGITS)}
    candidates = image_hashes(dataset)
    if len(known) >= SKETCH_SIZE:  # larger hashes are not in the sketch, whether trained on or not
        largest = max(known)
        candidates = [each for each in candidates if each <= largest]
    return sum(each in known for each in candidates) / len(candidates) if candidates else 0.0


def image_hashes(dataset: Dataset) -> list[str]:
    """Hash each annotated image by its file name without suffix, its size and its boxes in whole pixels.

    It stays the same in another format or folder. Images without boxes are skipped, as many share their
    name and size with one of another dataset.
    """
    hashes = []
    boxes, sizes = np.rint(dataset.boxes).astype("<i4"), dataset.sizes.astype("<i4")
    for index in np.flatnonzero(dataset.box_counts).tolist():
        digest = blake2b(PurePath(dataset.files[index]).stem.encode(errors="surrogatepass"), digest_size=HASH_BYTES)
        digest.update(sizes[index].tobytes())
        digest.update(boxes[dataset.offsets[index] : dataset.offsets[index + 1]].tobytes())
        hashes.append(digest.hexdigest())
    return hashes
