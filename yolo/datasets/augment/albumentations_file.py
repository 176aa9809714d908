"""A user's own transforms from a YAML file: the only file that knows albumentations.

Importing it takes half a second; only training with such a file does. The file is a list:

    - Blur: {p: 0.1, blur_limit: 3}
    - OneOf: {p: 0.2, transforms: [RandomRain, {RandomFog: {alpha_coef: 0.1}}]}

They come after everything else, on the finished canvas, where ``no_flip`` and ``swap_on_flip`` are no longer applied:
where there are such rules, nothing in the file may mirror (docs/RECIPES.md has the format).
"""

from __future__ import annotations

import os
import random as python_random
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.datasets.augment.labelled_boxes import MIN_SIDE, Objects
from yolo.errors import ConfigError
from yolo.files.quoted import quoted
from yolo.files.yaml_file import read_yaml


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

COMPOSITIONS = ("OneOf", "SomeOf", "RandomOrder", "Sequential")
"""Those that hold further transforms and nothing else."""

MIRRORING = (albumentations.D4, albumentations.HorizontalFlip, albumentations.Transpose, albumentations.VerticalFlip)
"""Those after which left is right, perhaps turned as well (SquareSymmetry is a D4, TimeReverse a HorizontalFlip); a
mere turn, such as RandomRotate90's, is no mirror."""

TRIAL_SIZE = (96, 128)


class UserTransforms:
    """The chain of transforms in a file; may be called from many threads at once.

    A ``Compose`` keeps state, so every call takes an idle one or makes one. (Thread-local ones
    would not last: TensorFlow's threads forget their Python state between two calls.)
    """

    def __init__(self, path: str | Path, *, min_visibility: float, may_mirror: bool = True) -> None:
        """Read and try the file.

        Args:
            path: of the YAML file.
            min_visibility: boxes of which less than this share stays on the canvas are dropped.
            may_mirror: whether every class is the same in a mirror.

        Raises:
            ConfigError: it cannot be read, or an entry is unknown, mistaken, does not keep picture
                and boxes together, or mirrors although it may not.
        """
        self._path = Path(path)
        self._entries = read_entries(self._path)
        self._min_visibility = min_visibility
        self._may_mirror = may_mirror
        for number, entry in enumerate(self._entries, start=1):
            self._try(f"{self._path}: entry {number}", entry)
        self._idle: deque[Any] = deque([self._compose()])

    def __call__(self, canvas: NDArray[np.uint8], objects: Objects, random: np.random.Generator) -> Objects:
        """Change the canvas (H, W, 3) in place, and return the objects as they lie on it then.

        Raises:
            ConfigError: a transform failed, or made a canvas of another size.
        """
        compose = self._idle.pop() if self._idle else self._compose()
        image, changed = self._apply(compose, canvas, objects, random, where=str(self._path))
        self._idle.append(compose)
        canvas[...] = image
        return changed

    def _compose(self) -> Any:
        transforms = [build(entry, str(self._path)) for entry in self._entries]
        return chain(transforms, self._min_visibility)

    def _try(self, where: str, entry: object) -> None:
        """Run one entry, whatever its probability, on a small canvas."""
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
        objects = Objects(boxes, np.zeros(2, np.int32), np.zeros(2, np.bool_), np.ones(2, np.float32))
        self._apply(chain([transform], self._min_visibility), canvas, objects, random, where=where)

    def _apply(
        self, compose: Any, canvas: NDArray[np.uint8], objects: Objects, random: np.random.Generator, *, where: str
    ) -> tuple[NDArray[np.uint8], Objects]:
        # One generator for all: `set_random_seed` would give each its own of the same seed, and
        # then one transform would know what another has drawn.
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
                "leave out what changes the size or the type"
            )
        if "bboxes" not in arguments:
            return image, objects
        moved = result["bboxes"]
        kept = moved[:, 4:].ravel().astype(np.int64)  # an empty result has lost its fifth column
        return image, objects.chosen(kept)._replace(boxes=moved[:, :4].astype(np.float32))


def read_entries(path: Path) -> list[object]:
    """The list in a YAML file.

    Raises:
        ConfigError: it cannot be read, is no YAML, or no list.
    """
    entries = read_yaml(path)
    if not isinstance(entries, list) or not entries:
        raise ConfigError(f"{path}: expected a list of transforms such as '- Blur: {{p: 0.1}}'")
    return entries


def build(entry: object, where: str) -> Any:
    """The transform that an entry of the file describes.

    Args:
        entry: ``Name`` or ``{Name: {argument: value}}``; a composition's arguments may be the mere list of its parts.
        where: file and entry, for errors.

    Raises:
        ConfigError: the name is unknown, an argument is wrong, or boxes would not follow the picture.
    """
    name, arguments = _parts(entry, where)
    where = f"{where} ({name})"
    if name in COMPOSITIONS:
        arguments = {"transforms": arguments} if isinstance(arguments, list) else dict(arguments or {})
        inner = arguments.get("transforms")
        if not isinstance(inner, list) or not inner:
            raise ConfigError(f"{where}: expected a list of transforms in it")
        arguments["transforms"] = [build(part, where) for part in inner]
        return _made(getattr(albumentations, name), arguments, where)
    kind = _transform_class(name, where)
    if arguments is not None and not isinstance(arguments, dict):
        raise ConfigError(f"{where}: expected arguments such as {{p: 0.1}}, got {quoted(arguments)}")
    return _made(kind, arguments or {}, where)


def chain(transforms: list[Any], min_visibility: float) -> Any:
    """The transforms as one; it takes boxes only if one of them moves pixels."""
    # The boxes are cut and judged once, after the last transform.
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
    """Whether it, or a part of it, is more than a change of colours."""
    if isinstance(transform, albumentations.BaseCompose):
        return any(moves_pixels(part) for part in transform.transforms)
    return not isinstance(transform, albumentations.ImageOnlyTransform)


def mirroring(transform: Any) -> str | None:
    """The name of a transform that mirrors, it or a part of it; None: there is none."""
    if isinstance(transform, albumentations.BaseCompose):
        return next(filter(None, map(mirroring, transform.transforms)), None)
    turned = isinstance(transform, albumentations.Affine) and min(map(min, transform.scale.values())) < 0
    return type(transform).__name__ if turned or isinstance(transform, MIRRORING) else None


def _parts(entry: object, where: str) -> tuple[str, Any]:
    """Name and arguments."""
    if isinstance(entry, str):
        return entry, None
    if isinstance(entry, dict) and len(entry) == 1:
        ((name, arguments),) = entry.items()
        return str(name), arguments
    raise ConfigError(f"{where}: expected one transform such as Blur: {{p: 0.1}}, got {quoted(entry)}")


def _transform_class(name: str, where: str) -> Any:
    """The class of a transform of pictures that takes boxes along."""
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
        raise ConfigError(f"{where}: it does not take boxes along")
    return kind


def _made(kind: Any, arguments: dict[str, Any], where: str) -> Any:
    """An instance; what albumentations only warns of, such as an unknown argument, is an error too."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return kind(**arguments)
        except Exception as error:
            raise ConfigError(f"{where}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    """An error's text on one line; pydantic's speaks of its own web pages from some line on."""
    lines = [line.strip() for line in str(error).splitlines() if "further information" not in line]
    return " ".join(lines) or type(error).__name__
