"""Interfaces between detection and what runs the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from yolo.config import LetterboxMode, NmsConfig
from yolo.images.letterbox import Letterbox
from yolo.model.pictures import Conf, Picture
from yolo.scores import ScoreRules
from yolo.structs import Detections

Images = NDArray[np.float32]
"""(B, H, W, 3) RGB in 0..255 on a canvas."""


class Network(Protocol):
    """Network in a runtime; may be called from several threads at once."""

    runtime: str
    """Name of the runtime, such as ``openvino``."""
    precision: str
    """Numeric precision of its computations, such as ``bfloat16``."""
    parallel: int
    """Number of calls at a time that give the highest throughput."""

    def __call__(self, images: Images) -> list[NDArray[Any]]:
        """Compute the outputs, in the order of `Description.outputs`."""


class AnyDetector(Protocol):
    """Detector that detection and evaluation can use, whatever runs its network."""

    classes: tuple[str, ...]
    nms: NmsConfig
    origin: dict[str, Any]
    score_rules: ScoreRules
    """Thresholds of the classes and calibration of the scores."""

    @property
    def canvas(self) -> tuple[int, int]:
        """Size of the network's input, (height, width)."""

    @property
    def letterbox(self) -> LetterboxMode:
        """Mode of fitting images to the canvas."""

    @property
    def fixed_canvas(self) -> bool:
        """Whether the network takes `canvas` alone, and no other multiples of its strides."""

    @property
    def stride(self) -> int:
        """Largest stride of the network, of which the sides of a canvas are multiples."""

    @property
    def parallel(self) -> int:
        """Number of calls of `find` at a time that give the highest throughput."""

    def find(self, images: Any, nms: NmsConfig | None = None) -> Any:
        """Find objects in images (B, H, W, 3) on a canvas; a `Kept` of numpy arrays, boxes in canvas pixels.

        Scores are raw; all are there that may reach the thresholds once `unpad` has calibrated them.
        """

    def unpad(self, kept: Any, letterboxes: Sequence[Letterbox], nms: NmsConfig | None = None) -> list[Detections]:
        """Map a batch's detections to the pixels of each image, one `Detections` per letterbox, scores calibrated.

        ``nms`` are the thresholds given to `find`; without, detections that do not reach them calibrated are kept too.
        """

    def detect_images(self, images: Sequence[NDArray[np.uint8]], nms: NmsConfig | None = None) -> list[Detections]:
        """Detect objects in images (H, W, 3) uint8 RGB of any sizes, run as one batch; boxes are in image pixels."""

    def detect(
        self,
        source: Picture | Sequence[Picture],
        *,
        conf: Conf | None = None,
        iou: float | None = None,
        batch: int = 8,
    ) -> Any:
        """Detect objects in one image or several: a `Detections` for one, a list of them for a list."""
