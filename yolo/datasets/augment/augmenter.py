"""Augmentation of training images and their boxes, each a pure function of its seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from yolo.config import AugmentConfig
from yolo.datasets.augment.color import jitter
from yolo.datasets.augment.flip import FlipRules
from yolo.datasets.augment.labelled_boxes import LabelledBoxes, clip, concatenate, drop_hidden
from yolo.datasets.augment.mosaic import GROUP, mixup, mosaic
from yolo.datasets.augment.resize import place
from yolo.datasets.augment.warp import Matrix, mirror, needs_warp, shift, tilt, warp, warp_boxes, zoom
from yolo.datasets.picture import Picture
from yolo.images.letterbox import CANVAS_GREY

Group = Callable[[int], Picture]
"""Function from a position 0..3 to one of four neighbouring images of the stream, which it reads on demand."""

MIXUP_PARTNERS = (1, 0, 3, 2)
"""Position of the image that each of a group is blended with."""


class Augmenter:
    """Makes one training image from a group of four; thread-safe.

    Zoom, shift, flip, rotation, shear and perspective, or a mosaic; then, with some probability, mixup with a second
    image; then colour jitter, and the user's own transforms.
    """

    def __init__(self, config: AugmentConfig, classes: tuple[str, ...]) -> None:
        """Look up the classes and read the user's transforms.

        Raises:
            ConfigError: a class does not exist, or the file of transforms is invalid or does not suit these classes.
        """
        self._config = config
        self._flips = FlipRules(config, classes)
        self._warps = needs_warp(config)
        self._finish = None
        if config.albumentations:
            from yolo.datasets.augment.albumentations_file import UserTransforms

            self._finish = UserTransforms(
                config.albumentations,
                min_visibility=config.min_visibility,
                may_mirror=not (config.no_flip or config.swap_on_flip),
            )

    def __call__(
        self, canvas: NDArray[np.uint8], group: Group, place: int, *, seed: Sequence[int], plain: bool = False
    ) -> LabelledBoxes:
        """Write one augmented image onto a canvas.

        Args:
            canvas: (H, W, 3) uint8, overwritten.
            group: the image and its neighbours, resized for this canvas.
            place: position of the image in the group.
            seed: seed of all random draws.
            plain: switch mosaic and mixup off.

        Returns:
            Boxes in canvas pixels, clipped at its edges; those with less than ``min_visibility`` of their
            area left are dropped.
        """
        random = np.random.default_rng(seed)
        four, blended = self._mixture(random, plain=plain)
        objects = self._mosaic(canvas, group, random) if four else self._single(canvas, group(place), random)
        if blended:
            other = np.empty_like(canvas)
            objects = concatenate([objects, self._single(other, group(MIXUP_PARTNERS[place]), random)])
            mixup(canvas, other, random)
        objects = drop_hidden(objects, self._config.min_visibility)
        jitter(canvas, self._config, random)
        return self._finish(canvas, objects, random) if self._finish else objects

    def sources(self, place: int, *, seed: Sequence[int], plain: bool = False) -> list[int]:
        """Positions in the group of the images that a call with these arguments uses, one or more."""
        four, blended = self._mixture(np.random.default_rng(seed), plain=plain)
        return (list(range(GROUP)) if four else [place]) + ([MIXUP_PARTNERS[place]] if blended else [])

    def _mixture(self, random: np.random.Generator, *, plain: bool) -> tuple[bool, bool]:
        """Decide on mosaic and mixup; these are the first draws of every call."""
        four, blended = random.random(2) < (self._config.mosaic, self._config.mixup)
        return bool(four) and not plain, bool(blended) and not plain

    def _single(self, canvas: NDArray[np.uint8], picture: Picture, random: np.random.Generator) -> LabelledBoxes:
        """Put one image on the canvas, zoomed about its centre and shifted; warped if configured."""
        canvas[...] = CANVAS_GREY
        size, inner = canvas.shape[:2], picture.image.shape[:2]
        objects, flip = self._flips.draw(picture, random)
        factor = random.uniform(1 - self._config.scale, 1 + self._config.scale)
        shares = random.uniform(-self._config.translate, self._config.translate, 2)
        centre = [side / 2 for side in size]
        target = [middle + share * side for middle, share, side in zip(centre, shares, size, strict=True)]
        # Top left corner of the image relative to the canvas' centre, before zoom and shift.
        corner = [(side - length) // 2 - side / 2 for side, length in zip(size, inner, strict=True)]
        if not self._warps:
            start = (target[0] + corner[0] * factor, target[1] + corner[1] * factor)
            window = (0, 0, *size)
            return place(canvas, picture.image, objects, flip=flip, zoom=factor, start=start, window=window)
        turn = tilt(self._config, size, random)
        matrix = shift(target[1], target[0]) @ zoom(factor) @ turn @ shift(corner[1], corner[0])
        return _warped(canvas, picture.image, objects, matrix, flip=flip)

    def _mosaic(self, canvas: NDArray[np.uint8], group: Group, random: np.random.Generator) -> LabelledBoxes:
        """Put a mosaic of the group on the canvas; warped as a whole if configured."""
        pictures = [group(place) for place in range(GROUP)]
        drawn = np.empty_like(canvas) if self._warps else canvas
        drawn[...] = CANVAS_GREY
        objects = mosaic(drawn, pictures, config=self._config, flips=self._flips, random=random)
        if not self._warps:
            return objects
        height, width = canvas.shape[:2]
        turn = tilt(self._config, (height, width), random)
        matrix = shift(width / 2, height / 2) @ turn @ shift(-width / 2, -height / 2)
        return _warped(canvas, drawn, objects, matrix, flip=False)


def _warped(
    canvas: NDArray[np.uint8], image: NDArray[np.uint8], objects: LabelledBoxes, matrix: Matrix, *, flip: bool
) -> LabelledBoxes:
    """Fill the canvas with the image, perhaps mirrored, moved by ``matrix``; return the (mirrored) boxes, moved too."""
    warp(canvas, image, matrix @ mirror(image.shape[1]) if flip else matrix)
    return clip(objects._replace(boxes=warp_boxes(objects.boxes, matrix)), (0, 0, *canvas.shape[:2]))
