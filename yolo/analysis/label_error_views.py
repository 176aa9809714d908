"""Pictures of probable label errors: the place in question, the box as labelled and the detection that disagrees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from yolo.analysis.label_errors import LabelError
from yolo.datasets.contact_sheets import blank_tile, reduce, with_caption
from yolo.errors import MediaError
from yolo.evaluation.results import DetectionColumns
from yolo.images.draw import draw_boxes
from yolo.structs import Boxes, Dataset

TILE = 360
"""Longer side of a tile in pixels."""
LEAST_VIEW = 0.35
"""Smallest side of what is shown, as a share of the image's."""


def error_tiles(
    dataset: Dataset, detections: DetectionColumns, errors: Sequence[LabelError], *, side: int = TILE
) -> Iterator[Image.Image]:
    """Draw one tile for each error, with its rank: other boxes are grey."""
    for rank, error in enumerate(errors, start=1):
        name = PurePath(str(dataset.files[error.picture]).replace("\\", "/")).name
        _, texts = marks_of(dataset, detections, error)
        words = ", ".join(text for text in texts if text)
        try:
            view = draw_error(dataset.image(error.picture), dataset, detections, error, side)
        except MediaError as fault:
            view = blank_tile(str(fault), side)
        yield with_caption(with_caption(widened(view, side), f"{rank}. {error.kind}: {words}"), name)


def widened(view: Image.Image, width: int) -> Image.Image:
    """Image on white, wide enough for a caption."""
    tile = Image.new("RGB", (max(width, view.width), view.height), "white")
    tile.paste(view, ((tile.width - view.width) // 2, 0))
    return tile


def draw_error(
    pixels: NDArray[np.uint8], dataset: Dataset, detections: DetectionColumns, error: LabelError, side: int
) -> Image.Image:
    """Draw the surroundings of an error: the label in one colour, the detection in another, other labels grey."""
    marks, texts = marks_of(dataset, detections, error)
    frame = frame_around(marks, pixels.shape[:2])
    view, scale = reduce(np.ascontiguousarray(pixels[frame[1] : frame[3], frame[0] : frame[2]]), side)
    shift = np.array([*frame[:2], *frame[:2]], np.float32)
    rows = np.arange(dataset.offsets[error.picture], dataset.offsets[error.picture + 1])
    rows = rows[rows != error.true] if error.true is not None else rows
    grey = (dataset.boxes[rows] - shift) * np.float32(scale)
    labels = dataset.labels[rows]
    drawn = np.asarray(draw_boxes(view, grey, labels, dataset.classes, ignore=np.ones(len(rows), bool)))
    boxes = (np.stack(marks) - shift) * np.float32(scale)
    colours = np.arange(2, dtype=np.int32)[[error.true is not None, error.row is not None]]
    return draw_boxes(drawn, boxes, colours, texts)


def marks_of(dataset: Dataset, detections: DetectionColumns, error: LabelError) -> tuple[list[Boxes], tuple[str, str]]:
    """Boxes to draw, that of the label before that of the detection, and the texts of both."""
    boxes, label, found = [], "", ""
    if error.true is not None:
        boxes.append(dataset.boxes[error.true])
        label = f"label: {dataset.classes[dataset.labels[error.true]]}"
    if error.row is not None:
        boxes.append(detections.boxes[error.row])
        found = f"found: {dataset.classes[detections.labels[error.row]]} {detections.scores[error.row]:.2f}"
    return boxes, (label, found)


def frame_around(boxes: Sequence[Boxes], size: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Part of an image of (height, width) to show, x1, y1, x2, y2: the boxes with as much around them, in the image."""
    every, sides = np.stack(boxes).astype(np.float64), np.array([size[1], size[0]], np.float64)
    low, high = every[:, :2].min(axis=0), every[:, 2:].max(axis=0)
    half = np.minimum(np.maximum((high - low) * 0.9, LEAST_VIEW * sides / 2), sides / 2)
    middle = np.clip((low + high) / 2, half, sides - half)
    first, last = np.floor(middle - half).astype(int), np.ceil(middle + half).astype(int)
    last = np.minimum(np.maximum(last, first + 1), sides.astype(int))
    return int(first[0]), int(first[1]), int(last[0]), int(last[1])
