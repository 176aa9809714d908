"""Random changes to training pictures and their boxes: the only file that knows albumentations.

Importing it takes half a second; only training does.
"""

from __future__ import annotations

import os
import random
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.config import AugmentConfig
from yolo.letterbox import GREY
from yolo.structs import Boxes


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """With an environment variable set, as long as it lasts."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


# On import, albumentations asks the network for a newer version of itself.
with _environment("NO_ALBUMENTATIONS_UPDATE", "1"):
    import albumentations

Augmented = tuple[NDArray[np.uint8], Boxes, NDArray[np.int64]]

MIN_SIDE = 0.1
"""Pixels; what a cut leaves of a box has to be at least this wide and high."""


class ZoomShift(albumentations.DualTransform):
    """A zoom about the centre and a shift by whole pixels, on a grey canvas of the same size.

    What ``Affine`` does with these two alone, in a fourth of its time: a resize and a copy
    instead of a general warp.
    """

    def __init__(self, *, scale: float, translate: float) -> None:
        super().__init__(p=1.0)
        self.scale = scale
        self.translate = translate

    def get_params_dependent_on_data(self, params: dict[str, Any], data: object) -> dict[str, Any]:  # noqa: ARG002
        """Draw the (height, width) of the zoomed picture and its (top, left) on the canvas."""
        zoom = self.py_random.uniform(1 - self.scale, 1 + self.scale)
        canvas = params["shape"][:2]
        inner = [max(1, round(side * zoom)) for side in canvas]
        shifts = [self.py_random.uniform(-self.translate, self.translate) for _ in canvas]
        offset = [
            round((side - length) / 2 + shift * side) for side, length, shift in zip(canvas, inner, shifts, strict=True)
        ]
        return {"inner": inner, "offset": offset}

    def apply(self, img: NDArray[np.uint8], inner: list[int], offset: list[int], **_: Any) -> NDArray[np.uint8]:
        """The (H, W, 3) picture, zoomed and shifted."""
        (rows, columns), (height, width) = inner, img.shape[:2]
        interpolation = cv2.INTER_AREA if rows < 0.5 * height else cv2.INTER_LINEAR
        zoomed = cv2.resize(img, (columns, rows), interpolation=interpolation)
        top, left = offset
        bottom, right = height - top - rows, width - left - columns
        seen = zoomed[max(0, -top) : max(0, rows + min(0, bottom)), max(0, -left) : max(0, columns + min(0, right))]
        if seen.size == 0:
            return np.full_like(img, GREY)
        top, bottom, left, right = (max(0, border) for border in (top, bottom, left, right))
        fill = (GREY, GREY, GREY)
        return cv2.copyMakeBorder(seen, top, bottom, left, right, cv2.BORDER_CONSTANT, value=fill)

    def apply_to_bboxes(
        self,
        bboxes: NDArray[np.float64],
        inner: list[int],
        offset: list[int],
        shape: tuple[int, ...],
        **_: Any,
    ) -> NDArray[np.float64]:
        """The boxes (N, 4 and more), in shares of the canvas, zoomed and shifted; not cut."""
        (rows, columns), (top, left), (height, width) = inner, offset, shape[:2]
        moved = bboxes.copy()
        moved[:, [0, 2]] = (bboxes[:, [0, 2]] * columns + left) / width
        moved[:, [1, 3]] = (bboxes[:, [1, 3]] * rows + top) / height
        return moved


class Augmenter:
    """Flip, zoom, shift and colour changes, each call a pure function of its seed.

    May be called from many threads at once: a ``Compose`` keeps state, so every call takes
    an idle one or makes one. (Thread-local ones would not last: TensorFlow's threads forget
    their Python state between two calls.)
    """

    def __init__(self, config: AugmentConfig) -> None:
        self._config = config
        first = self._compose()
        self._idle: deque[Any] = deque([first])
        self._changes_something = bool(first.transforms)

    def __call__(self, image: NDArray[np.uint8], boxes: Boxes, *, seed: int | Sequence[int]) -> Augmented:
        """One augmented picture.

        Args:
            image: (H, W, 3) uint8 RGB, the canvas.
            boxes: (N, 4) xyxy in canvas pixels, inside it and not empty.
            seed: decides every draw.

        Returns:
            The picture (H, W, 3), its boxes (M, 4) cut at the canvas' edges, and (M,) which of
            the N boxes these are, in their order; the others have left the canvas.
        """
        if not self._changes_something:
            return image, boxes, np.arange(len(boxes))
        compose = self._take()
        _reseed(compose, seed)
        rows = np.column_stack([boxes, np.arange(len(boxes))]).astype(np.float64)
        result = compose(image=image, bboxes=rows)
        self._idle.append(compose)
        rows = result["bboxes"]
        # An empty result has lost its fifth column.
        return result["image"], rows[:, :4].astype(np.float32), rows[:, 4:].ravel().astype(np.int64)

    def _take(self) -> Any:
        try:
            return self._idle.pop()
        except IndexError:
            return self._compose()

    def _compose(self) -> Any:
        """The chain of those transforms that are switched on, without the costly checks."""
        geometry, colours = self._geometry(), self._colours()
        # The boxes are cut and judged once, after the last transform.
        box_rules = albumentations.BboxParams(
            format="pascal_voc",
            clip=True,
            check_each_transform=False,
            min_visibility=self._config.min_visibility,
            min_width=MIN_SIDE,
            min_height=MIN_SIDE,
        )
        return albumentations.Compose(
            geometry + colours, bbox_params=box_rules if geometry else None, is_check_shapes=False
        )

    def _geometry(self) -> list[Any]:
        config, transforms = self._config, list[Any]()
        if config.scale or config.translate:
            transforms.append(ZoomShift(scale=config.scale, translate=config.translate))
        if config.flip:
            transforms.append(albumentations.HorizontalFlip(p=config.flip))
        return transforms

    def _colours(self) -> list[Any]:
        config = self._config
        if not (config.hue or config.saturation or config.brightness):
            return []
        # Factors, not offsets: an added saturation would paint grey surfaces.
        return [
            albumentations.ColorJitter(
                brightness=config.brightness,
                contrast=0.0,
                saturation=config.saturation,
                hue=config.hue,
                p=1.0,
            )
        ]


def _reseed(compose: Any, seed: int | Sequence[int]) -> None:
    """Let all transforms draw from one generator, one after the other.

    ``Compose.set_random_seed`` would give each its own generator of the same seed: then the
    flip would know the zoom.
    """
    generator = np.random.default_rng(seed)
    compose.set_random_state(generator, random.Random(int(generator.integers(2**63))))  # noqa: S311
