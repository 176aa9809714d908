"""Data structures in numpy: Sample, Dataset and Detections.

Boxes are ``xyxy`` everywhere: float32, in continuous pixels, width = x2 - x1, so that an image of width W spans 0..W.
Sizes are ``(height, width)``.
"""

from __future__ import annotations

from yolo.structs.dataset import Dataset, PictureStore, Sample
from yolo.structs.detections import Detection, Detections
from yolo.structs.terms import LISTED, Boxes, Size, abridged, counted

__all__ = [
    "LISTED",
    "Boxes",
    "Dataset",
    "Detection",
    "Detections",
    "PictureStore",
    "Sample",
    "Size",
    "abridged",
    "counted",
]
