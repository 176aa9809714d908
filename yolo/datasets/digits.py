"""Synthetic detection dataset without a download: scikit-learn's handwritten digits on its photographs.

The digits are those of the UCI "Optical Recognition of Handwritten Digits" test set (8 x 8 greys, 1797 of them), the
photographs `china.jpg` and `flower.jpg`. The two splits use different digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from yolo.datasets.formats.voc_xml import write_voc_annotation
from yolo.files.atomic import write_text, write_whole

CLASSES = tuple("0123456789")
VAL_FRACTION = 0.2
"""Fraction of the digit samples reserved for the val split."""
SIDES = (0.18, 0.42)
"""Smallest and largest height of a digit's 8 x 8 field, as a fraction of the scene's side."""
COUNTS = (2, 6)
"""Smallest and largest number of digits in a scene."""
LARGEST_OVERLAP = 0.05
"""Largest overlap of two boxes, as a fraction of the smaller one's area."""
CONTRAST = 90
"""Smallest difference in luma (0..255) between a digit and its background."""
LUMA = np.array([0.299, 0.587, 0.114])
"""Luma weights of RGB (ITU-R BT.601)."""
VISIBLE = 0.5
"""Smallest opacity of ink that counts for the box."""


class Digits(NamedTuple):
    """Samples of handwritten digits."""

    greys: NDArray[np.float32]
    """(N, 8, 8) ink in 0..1."""
    labels: NDArray[np.int32]
    """(N,) digit of each sample."""


class Scene(NamedTuple):
    """Generated image with its ground truth."""

    image: NDArray[np.uint8]
    """(size, size, 3) RGB."""
    boxes: NDArray[np.float32]
    """(N, 4) xyxy around the visible ink."""
    labels: NDArray[np.int32]
    """(N,) digit of each box."""


def make_digits(folder: str | Path, *, train: int = 800, val: int = 120, size: int = 192, seed: int = 0) -> Path:
    """Write the dataset as a VOC folder with the splits train and val.

    Every scene is a pure function of (seed, split, number): the same call writes the same bytes, and more scenes leave
    the first ones unchanged.

    Args:
        folder: output folder, created if missing.
        train: number of scenes in the train split.
        val: number of scenes in the val split.
        size: side of a scene in pixels.
        seed: seed of all random choices.

    Returns:
        The folder.
    """
    root = Path(folder)
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / name).mkdir(parents=True, exist_ok=True)
    photographs = load_photographs()
    digits = split_digits(seed)
    for split, count in (("train", train), ("val", val)):
        names = [f"{split}_{number:05d}" for number in range(count)]
        for number, name in enumerate(names):
            rng = np.random.default_rng([seed, split == "val", number])
            write_scene(root, name, make_scene(photographs, digits[split], size, rng))
        write_text(root / "ImageSets" / "Main" / f"{split}.txt", "".join(f"{name}\n" for name in names))
    return root


def write_scene(root: Path, name: str, scene: Scene) -> None:
    _, data = cv2.imencode(".jpg", scene.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    write_whole(root / "JPEGImages" / f"{name}.jpg", lambda path: path.write_bytes(data.tobytes()))
    write_voc_annotation(
        root / "Annotations" / f"{name}.xml",
        filename=f"{name}.jpg",
        size=scene.image.shape[:2],
        boxes=scene.boxes,
        labels=scene.labels,
        classes=CLASSES,
    )


def load_photographs() -> list[NDArray[np.uint8]]:
    """Scikit-learn's photographs, (427, 640, 3) uint8 RGB."""
    from sklearn.datasets import load_sample_images

    return list(load_sample_images().images)


def split_digits(seed: int) -> dict[str, Digits]:
    """Scikit-learn's digits, divided at random between the splits."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    order = np.random.default_rng(seed).permutation(len(bunch.target))
    greys, labels = (bunch.images[order] / 16).astype(np.float32), bunch.target[order].astype(np.int32)
    cut = round(VAL_FRACTION * len(order))
    return {"val": Digits(greys[:cut], labels[:cut]), "train": Digits(greys[cut:], labels[cut:])}


def make_scene(photographs: Sequence[NDArray[np.uint8]], digits: Digits, size: int, rng: Generator) -> Scene:
    """Make a crop of a photograph with digits at random places."""
    image = make_ground(photographs[int(rng.integers(len(photographs)))], size, rng)
    boxes: list[NDArray[np.float32]] = []
    labels: list[int] = []
    for _ in range(rng.integers(COUNTS[0], COUNTS[1] + 1)):
        index = rng.integers(len(digits.labels))
        ink = draw_ink(digits.greys[index], size, rng)
        corner = find_place(ink.shape, boxes, size, rng)
        if corner is None:  # no room for this digit; the next may be smaller
            continue
        boxes.append(paste(image, ink, corner, rng))
        labels.append(int(digits.labels[index]))
    return Scene(np.rint(image).astype(np.uint8), np.stack(boxes), np.array(labels, np.int32))


def make_ground(photograph: NDArray[np.uint8], size: int, rng: Generator) -> NDArray[np.float32]:
    """Random square of a photograph, (size, size, 3) in 0..255, with random flip, brightness and reduced contrast."""
    height, width = photograph.shape[:2]
    side = int(rng.uniform(0.35, 1.0) * min(height, width))
    top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
    crop = photograph[top : top + side, left : left + side]
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    ground = cv2.resize(np.ascontiguousarray(crop), (size, size), interpolation=cv2.INTER_AREA)
    # Less contrast than the photograph, so that a digit of one colour is legible everywhere.
    contrast, mean = rng.uniform(0.4, 0.8), ground.mean(axis=(0, 1))
    return np.clip((ground - mean) * contrast + mean * rng.uniform(0.7, 1.2), 0, 255).astype(np.float32)


def draw_ink(grey: NDArray[np.float32], size: int, rng: Generator) -> NDArray[np.float32]:
    """Opacity (h, w) in 0..1 of a digit, scaled and rotated a little, cropped to its visible ink."""
    low, high = np.log(SIDES)
    tall = size * np.exp(rng.uniform(low, high))
    scale = tall / 8 * np.array([rng.uniform(0.85, 1.2), 1.0])
    angle = np.deg2rad(rng.uniform(-12, 12))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    field = int(np.ceil(1.6 * tall))
    matrix = turn * scale
    shift = field / 2 - matrix @ [3.5, 3.5]
    smooth = cv2.warpAffine(grey, np.column_stack([matrix, shift]), (field, field), flags=cv2.INTER_CUBIC)
    # Sharpen the edges: upscaling blurs strokes over several pixels.
    ink = np.clip((smooth - 0.35) / 0.22, 0, 1)
    rows, columns = (np.flatnonzero((ink >= VISIBLE).any(axis=axis)) for axis in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def find_place(
    shape: tuple[int, ...], boxes: Sequence[NDArray[np.float32]], size: int, rng: Generator
) -> tuple[int, int] | None:
    """Find (top, left) of a free place for a patch of (height, width); None if a few tries find none."""
    height, width = shape
    for _ in range(20):
        top, left = int(rng.integers(size - height + 1)), int(rng.integers(size - width + 1))
        box = np.array([left, top, left + width, top + height], np.float32)
        if all(overlap(box, other) <= LARGEST_OVERLAP for other in boxes):
            return top, left
    return None


def overlap(box: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Intersection of two xyxy boxes as a fraction of the smaller one's area."""
    sides = np.clip(np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2]), 0, None)
    areas = [np.prod(each[2:] - each[:2]) for each in (box, other)]
    return float(np.prod(sides) / min(areas))


def paste(
    image: NDArray[np.float32], ink: NDArray[np.float32], corner: tuple[int, int], rng: Generator
) -> NDArray[np.float32]:
    """Blend a digit into the image, in place, in a contrasting colour; return its xyxy box."""
    top, left = corner
    bottom, right = top + ink.shape[0], left + ink.shape[1]
    ground = image[top:bottom, left:right]
    colour = pick_colour(ground, rng)
    ground += ink[..., None] * (colour - ground)
    return np.array([left, top, right, bottom], np.float32)


def pick_colour(ground: NDArray[np.float32], rng: Generator) -> NDArray[np.float32]:
    """Random RGB colour whose luma differs from the background's by at least `CONTRAST`."""
    below = float(ground.mean(axis=(0, 1)) @ LUMA)
    for _ in range(50):
        colour = rng.uniform(0, 255, 3)
        if abs(float(colour @ LUMA) - below) >= CONTRAST:
            return colour.astype(np.float32)
    return np.full(3, 255 if below < 128 else 0, np.float32)
