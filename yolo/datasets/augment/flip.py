"""Horizontal flips: which images may be mirrored, and the class names after it."""

from __future__ import annotations

import numpy as np

from yolo.config import AugmentConfig
from yolo.datasets.augment.labelled_boxes import LabelledBoxes, from_sample, mirrored_boxes
from yolo.datasets.picture import Picture
from yolo.errors import ConfigError


class FlipRules:
    """Rules of `AugmentConfig.no_flip` and ``swap_on_flip`` for the classes of a Dataset."""

    def __init__(self, config: AugmentConfig, classes: tuple[str, ...]) -> None:
        """Look up the class names.

        Raises:
            ConfigError: a class does not exist, or would become two classes.
        """
        self._probability = config.flip
        self._fixed = np.zeros(len(classes), np.bool_)
        for name in config.no_flip:
            self._fixed[_label("no_flip", name, classes)] = True
        self._mirrored = np.arange(len(classes), dtype=np.int32)
        self._partner: dict[str, str] = {}
        for left, right in config.swap_on_flip.items():
            self._pair(left, right, classes)
            self._pair(right, left, classes)

    def draw(self, picture: Picture, random: np.random.Generator) -> tuple[LabelledBoxes, bool]:
        """Decide whether to flip the image; return its boxes, mirrored or not, and the decision."""
        objects = from_sample(picture.boxes, picture.labels, picture.ignore)
        wanted = random.random() < self._probability
        if not wanted or self._fixed[picture.labels].any():
            return objects, False
        boxes = mirrored_boxes(picture.boxes, picture.image.shape[1])
        return objects._replace(boxes=boxes, labels=self._mirrored[picture.labels]), True

    def _pair(self, name: str, partner: str, classes: tuple[str, ...]) -> None:
        before = self._partner.setdefault(name, partner)
        if before != partner:
            raise ConfigError(
                f"augment.swap_on_flip: a flip cannot turn {name!r} into both {before!r} and {partner!r}; "
                "name each class in one pair"
            )
        self._mirrored[_label("swap_on_flip", name, classes)] = _label("swap_on_flip", partner, classes)


def _label(option: str, name: str, classes: tuple[str, ...]) -> int:
    """Label of a class.

    Raises:
        ConfigError: the class does not exist.
    """
    if name not in classes:
        known = ", ".join(classes[:20]) + (", ..." if len(classes) > 20 else "")
        raise ConfigError(f"augment.{option}: there is no class {name!r}; there are {known}")
    return classes.index(name)
