"""User-defined albumentations transforms from a YAML file; the only module that imports albumentations.

That import takes half a second, so only training with such a file does it. The file is a list:

    - Blur: {p: 0.1, blur_limit: 3}
    - OneOf: {p: 0.2, transforms: [RandomRain, {RandomFog: {alpha_coef: 0.1}}]}

The transforms run last, on the finished canvas, after ``no_flip`` and ``swap_on_flip`` have been applied: with such
rules, no transform in the file may mirror (docs/RECIPES.md has the format).
"""

from __future__ import annotations

import os
import random as python_random
import re
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.datasets.augment.labelled_boxes import MIN_SIDE, LabelledBoxes
from yolo.errors import ConfigError
from yolo.files.quoted import quoted
from yolo.files.yaml_file import read_yaml
from yolo.system.warning_filters import filtering


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Set an environment variable inside the context."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


# On import, albumentations looks for a newer version on the network.
with _environment("NO_ALBUMENTATIONS_UPDATE", "1"):
    import albumentations

COMPOSITIONS = ("OneOf", "SomeOf", "RandomOrder", "Sequential")
"""Transforms that only hold further transforms."""

MIRRORING = (albumentations.D4, albumentations.HorizontalFlip, albumentations.Transpose, albumentations.VerticalFlip)
"""Transforms that can mirror an image, perhaps with a rotation (SquareSymmetry is a D4, TimeReverse a HorizontalFlip).
A mere rotation, such as RandomRotate90, does not mirror."""

WARNING_MODULES = rf"albumentations|{re.escape(__name__)}|pydantic"
"""Where albumentations' warnings seem to arise: in it or in who called it."""

TRIAL_SIZE = (96, 128)


class UserTransforms:
    """Chain of the transforms in a file; thread-safe.

    A ``Compose`` keeps state, so every call borrows an idle one or copies one that is never used. (Thread-local ones
    would be lost: TensorFlow's threads drop their Python state between two calls.)
    """

    def __init__(self, path: str | Path, *, min_visibility: float, may_mirror: bool = True) -> None:
        """Read the file and try every transform once.

        Args:
            path: YAML file.
            min_visibility: smallest fraction of a box that has to stay on the canvas; other boxes are dropped.
            may_mirror: whether mirroring is allowed for all classes.

        Raises:
            ConfigError: the file cannot be read, or an entry is unknown, invalid, does not move boxes with
                the image, or mirrors although that is not allowed.
        """
        self._path = Path(path)
        self._entries = read_entries(self._path)
        self._min_visibility = min_visibility
        self._may_mirror = may_mirror
        for number, entry in enumerate(self._entries, start=1):
            self._try(f"{self._path}: entry {number}", entry)
        self._unused = chain([build(entry, str(self._path)) for entry in self._entries], min_visibility)
        self._idle: deque[Any] = deque()

    def __call__(self, canvas: NDArray[np.uint8], objects: LabelledBoxes, random: np.random.Generator) -> LabelledBoxes:
        """Transform the canvas (H, W, 3) in place, and return the boxes as they are on it afterwards.

        Raises:
            ConfigError: a transform failed, or made a canvas of another size.
        """
        compose = self._borrow()
        image, changed = self._apply(compose, canvas, objects, random, where=str(self._path))
        self._idle.append(compose)
        canvas[...] = image
        return changed

    def _borrow(self) -> Any:
        try:
            return self._idle.pop()
        except IndexError:  # not `if self._idle`: another thread may be faster
            return deepcopy(self._unused)

    def _try(self, where: str, entry: object) -> None:
        """Run one entry on a small canvas, whatever its probability."""
        transform = build(entry, where)
        where = f"{where} ({type(transform).__name__})"
        if not self._may_mirror and (name := mirroring(transform)):
            raise ConfigError(
                f"{where}: {name} mirrors pictures without regard to augment.no_flip and augment.swap_on_flip; "
                "leave it out: augment.flip mirrors by these rules"
            )
        transform.p = 1.0
        random = np.random.default_rng(0)
        canvas = random.integers(0, 256, (*TRIAL_SIZE, 3), np.uint8)
        boxes = np.array([[10, 20, 60, 70], [0, 0, 128, 96]], np.float32)
        objects = LabelledBoxes(boxes, np.zeros(2, np.int32), np.zeros(2, np.bool_), np.ones(2, np.float32))
        self._apply(chain([transform], self._min_visibility), canvas, objects, random, where=where)

    def _apply(
        self,
        compose: Any,
        canvas: NDArray[np.uint8],
        objects: LabelledBoxes,
        random: np.random.Generator,
        *,
        where: str,
    ) -> tuple[NDArray[np.uint8], LabelledBoxes]:
        # One generator for all transforms: `set_random_seed` would give each its own with the same seed,
        # so that their draws would be correlated.
        compose.set_random_state(random, python_random.Random(int(random.integers(2**63))))  # noqa: S311
        rows = np.column_stack([objects.boxes, np.arange(len(objects.boxes))]).astype(np.float64)
        arguments = {"image": canvas} | ({"bboxes": rows} if compose.processors else {})
        try:
            result = compose(**arguments)
        except Exception as error:
            raise ConfigError(f"{where}: albumentations failed: {_first_line(error)}") from error
        image = result["image"]
        if image.shape != canvas.shape or image.dtype != np.uint8:
            raise ConfigError(
                f"{where}: it turns a uint8 picture {canvas.shape} into {image.dtype} {image.shape}; "
                "leave out transforms that change the size or the type"
            )
        if "bboxes" not in arguments:
            return image, objects
        moved = result["bboxes"]
        kept = moved[:, 4:].ravel().astype(np.int64)  # an empty result lacks the fifth column
        return image, objects.select(kept)._replace(boxes=moved[:, :4].astype(np.float32))


def read_entries(path: Path) -> list[object]:
    """Read the list in a YAML file.

    Raises:
        ConfigError: the file cannot be read, or is not a YAML list.
    """
    entries = read_yaml(path)
    if not isinstance(entries, list) or not entries:
        raise ConfigError(f"{path}: expected a list of transforms such as '- Blur: {{p: 0.1}}'")
    return entries


def build(entry: object, where: str) -> Any:
    """Build the transform that an entry of the file describes.

    Args:
        entry: ``Name`` or ``{Name: {argument: value}}``; a composition also accepts just the list of its parts.
        where: file and entry, for messages.

    Raises:
        ConfigError: the name is unknown, an argument is wrong, or boxes would not move with the image.
    """
    name, arguments = _parts(entry, where)
    where = f"{where} ({name})"
    if name in COMPOSITIONS:
        arguments = {"transforms": arguments} if isinstance(arguments, list) else dict(arguments or {})
        inner = arguments.get("transforms")
        if not isinstance(inner, list) or not inner:
            raise ConfigError(f"{where}: expected a list of transforms as its argument")
        arguments["transforms"] = [build(part, where) for part in inner]
        return _made(getattr(albumentations, name), arguments, where)
    kind = _transform_class(name, where)
    if arguments is not None and not isinstance(arguments, dict):
        raise ConfigError(f"{where}: expected arguments such as {{p: 0.1}}, got {quoted(arguments)}")
    return _made(kind, arguments or {}, where)


def chain(transforms: list[Any], min_visibility: float) -> Any:
    """Compose the transforms; the result takes boxes only if a transform moves pixels."""
    # Boxes are clipped and filtered once, after the last transform.
    rules = albumentations.BboxParams(
        format="pascal_voc",
        clip=True,
        check_each_transform=False,
        min_visibility=min_visibility,
        min_width=MIN_SIDE,
        min_height=MIN_SIDE,
    )
    moves = any(moves_pixels(transform) for transform in transforms)
    return albumentations.Compose(transforms, bbox_params=rules if moves else None, is_check_shapes=False)


def moves_pixels(transform: Any) -> bool:
    """Whether a transform, or a part of it, changes more than colours."""
    if isinstance(transform, albumentations.BaseCompose):
        return any(moves_pixels(part) for part in transform.transforms)
    return not isinstance(transform, albumentations.ImageOnlyTransform)


def mirroring(transform: Any) -> str | None:
    """Name of a transform that mirrors, itself or one of its parts; None if there is none."""
    if isinstance(transform, albumentations.BaseCompose):
        return next(filter(None, map(mirroring, transform.transforms)), None)
    turned = isinstance(transform, albumentations.Affine) and min(map(min, transform.scale.values())) < 0
    return type(transform).__name__ if turned or isinstance(transform, MIRRORING) else None


def _parts(entry: object, where: str) -> tuple[str, Any]:
    """Name and arguments of an entry."""
    if isinstance(entry, str):
        return entry, None
    if isinstance(entry, dict) and len(entry) == 1:
        ((name, arguments),) = entry.items()
        return str(name), arguments
    raise ConfigError(f"{where}: expected one transform such as Blur: {{p: 0.1}}, got {quoted(entry)}")


def _transform_class(name: str, where: str) -> Any:
    """Class of an image transform that moves boxes along."""
    classes = {
        each: kind
        for each, kind in vars(albumentations).items()
        if isinstance(kind, type) and issubclass(kind, albumentations.BasicTransform) and hasattr(kind, "_targets")
    }
    if name not in classes:
        near = get_close_matches(name, [*classes, *COMPOSITIONS], n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(f"{where}: albumentations {albumentations.__version__} has no such transform{hint}")
    kind = classes[name]
    targets = kind._targets if isinstance(kind._targets, tuple) else (kind._targets,)
    boxes_follow = any(target.name == "BBOXES" for target in targets)
    if not (boxes_follow or issubclass(kind, albumentations.ImageOnlyTransform)):
        raise ConfigError(f"{where}: it does not move boxes with the picture")
    return kind


def _made(kind: Any, arguments: dict[str, Any], where: str) -> Any:
    """Instantiate a transform; warnings of albumentations, e.g. about an unknown argument, become errors."""
    with filtering("error", WARNING_MODULES):
        try:
            return kind(**arguments)
        except Exception as error:
            raise ConfigError(f"{where}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    """First line of an error's text; pydantic appends links to its documentation."""
    lines = [line.strip() for line in str(error).splitlines() if "further information" not in line]
    return " ".join(lines) or type(error).__name__
