"""Every option of the package, once: frozen dataclasses, checked when made.

The command line and the YAML files are generated from these (`yolo/cli`), so the
docstring below a field is also its ``--help``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, Literal, get_type_hints

from yolo.config_types import describe, is_a
from yolo.errors import ConfigError

LetterboxMode = Literal["letterbox", "stretch"]
BoxLoss = Literal["giou", "diou", "ciou", "squared"]
ObjectnessTarget = Literal["one", "iou"]
Optimizer = Literal["adamw", "sgd"]
Schedule = Literal["cosine", "step", "constant"]
Cache = Literal["none", "ram", "disk"]
BestMetric = Literal["ap", "ap50"]
NewClasses = Literal["fresh", "sampled"]
"""What a class that the weights do not know begins with: small random filters, or those of a random old class."""
Precision = Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"]
"""Arithmetic of the network; auto: mixed_bfloat16 where the processor has it."""

STRIDE = 32
"""The coarsest grid's stride: the canvas' sides are multiples of it."""


def check(condition: bool, option: str, requirement: str, received: object) -> None:
    """Raise a ConfigError that names the option unless the condition holds."""
    if not condition:
        raise ConfigError(f"{option} must be {requirement}, got {received}")


def check_kinds(config: Any, group: str = "") -> None:
    """Raise a ConfigError that names the first field of a dataclass whose value its annotation does not allow.

    Args:
        config: the dataclass; numbers of numpy in it become Python's, as options are written to files.
        group: what comes before its names, such as ``loss.``.
    """
    for name, kind in get_type_hints(type(config)).items():
        value = getattr(config, name)
        check(is_a(value, kind), group + name, describe(kind), repr(value))
        if isinstance(value, Real) and not isinstance(value, bool):
            object.__setattr__(config, name, int(value) if isinstance(value, Integral) else float(value))


def canvas_size(size: int | tuple[int, int] | list[int]) -> tuple[int, int]:
    """(height, width) of the network's input from one side or both.

    Raises:
        ConfigError: a side is not a positive multiple of 32.
    """
    sides = tuple(size) if isinstance(size, Iterable) else (size, size)  # numpy's integers are no int
    check(len(sides) == 2, "size", "one number or height and width", size)
    check(all(isinstance(side, Integral) for side in sides), "size", "one number or height and width", size)
    for side in sides:
        near = max(STRIDE, round(side / STRIDE) * STRIDE)
        check(side > 0 and side % STRIDE == 0, "size", f"a multiple of {STRIDE} (try {near})", side)
    return int(sides[0]), int(sides[1])


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """The YOLO loss: weights, which slots own a box and which are left out."""

    box: BoxLoss = "giou"
    """Box term: 1 - GIoU, DIoU or CIoU, or the paper's squared error on t."""
    box_weight: float = 2.0
    """Multiplies the box term."""
    objectness_weight: float = 1.0
    """Multiplies the objectness term."""
    class_weight: float = 2.0
    """Multiplies the class term."""
    ignore_iou: float = 0.5
    """Slots that own no box but overlap one above this IoU are left out of the objectness term."""
    label_smoothing: float = 0.0
    """Moves the class targets this far from 0 and 1 towards each other."""
    assign_iou: float | None = 0.35
    """Give a box to every anchor whose shape overlaps it above this IoU; null: to the best one only (the paper)."""
    objectness_target: ObjectnessTarget = "one"
    """What the objectness of a slot that owns a box is to be: one, as in the paper, or the IoU of its box."""
    focal_gamma: float = 0.0
    """Exponent of the focal loss on the objectness, which makes easy slots count less; 0: plain cross-entropy."""
    class_weights: Literal["balanced"] | list[float] | None = None
    """Multiplies each class' term: numbers, or balanced: rare classes count more."""

    def __post_init__(self) -> None:
        check_kinds(self, "loss.")
        for name in ("box_weight", "objectness_weight", "class_weight"):
            check(getattr(self, name) >= 0, f"loss.{name}", ">= 0", getattr(self, name))
        check(0 < self.ignore_iou <= 1, "loss.ignore_iou", "in (0, 1]", self.ignore_iou)
        check(0 <= self.label_smoothing < 1, "loss.label_smoothing", "in [0, 1)", self.label_smoothing)
        check(self.focal_gamma >= 0, "loss.focal_gamma", ">= 0", self.focal_gamma)
        if isinstance(self.class_weights, list | tuple):
            check(all(each >= 0 for each in self.class_weights), "loss.class_weights", ">= 0", self.class_weights)
        if self.assign_iou is not None:
            check(0 < self.assign_iou < 1, "loss.assign_iou", "in (0, 1)", self.assign_iou)


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Random changes to training pictures; 0 switches one off."""

    flip: float = 0.5
    """Probability of a left-right flip."""
    hue: float = 0.015
    """Largest shift of the hue, as a share of the colour circle."""
    saturation: float = 0.5
    """The saturation changes by a factor between 1 - this and 1 + this."""
    brightness: float = 0.3
    """The brightness changes by a factor between 1 - this and 1 + this."""
    scale: float = 0.4
    """Zoom between 1 - scale and 1 + scale."""
    translate: float = 0.1
    """Largest shift, as a share of the picture's side."""
    rotate: float = 0.0
    """Largest rotation, in degrees."""
    shear: float = 0.0
    """Largest shear along each axis, in degrees."""
    perspective: float = 0.0
    """Largest tilt: how much nearer one edge of the picture comes than the other, as a share."""
    mosaic: float = 0.0
    """Probability that a picture is made of four."""
    mixup: float = 0.0
    """Probability that a picture is blended with another; both keep their boxes."""
    plain_end: float = 0.1
    """Share of the run, at its end, without mosaic and mixup."""
    no_flip: list[str] = field(default_factory=list)
    """Classes that are another thing in a mirror: pictures that show one are not flipped."""
    swap_on_flip: dict[str, str] = field(default_factory=dict)
    """Classes that a flip turns into each other, such as {arrow left: arrow right}."""
    albumentations: str | None = None
    """A YAML file of further albumentations transforms, in the format that docs/RECIPES.md shows; none of them may
    mirror if no_flip or swap_on_flip is given."""
    min_visibility: float = 0.1
    """Boxes of which less than this share of the area stays in the picture are dropped."""

    def __post_init__(self) -> None:
        check_kinds(self, "augment.")
        for name in ("flip", "saturation", "brightness", "mosaic", "mixup", "plain_end"):
            check(0 <= getattr(self, name) <= 1, f"augment.{name}", "in 0..1", getattr(self, name))
        check(0 <= self.hue <= 0.5, "augment.hue", "in 0..0.5", self.hue)
        check(0 <= self.scale < 1, "augment.scale", "in [0, 1)", self.scale)
        check(0 <= self.translate < 1, "augment.translate", "in [0, 1)", self.translate)
        check(0 <= self.rotate <= 180, "augment.rotate", "in 0..180", self.rotate)
        check(0 <= self.shear < 45, "augment.shear", "in [0, 45)", self.shear)
        check(0 <= self.perspective < 0.5, "augment.perspective", "in [0, 0.5)", self.perspective)
        check(0 <= self.min_visibility < 1, "augment.min_visibility", "in [0, 1)", self.min_visibility)


@dataclass(frozen=True, kw_only=True)
class NmsConfig:
    """From scores to detections: threshold, then greedy suppression."""

    conf: float = 0.25
    """Lowest score (objectness times class probability) of a detection."""
    iou: float = 0.45
    """A box that overlaps a better one of its class above this IoU is suppressed."""
    class_agnostic: bool = False
    """Suppress across classes too."""
    max_candidates: int = 1000
    """How many of the best-scored (box, class) pairs of a picture enter the suppression."""
    max_detections: int = 300
    """How many detections of a picture are kept."""

    def __post_init__(self) -> None:
        check_kinds(self)
        check(0 <= self.conf <= 1, "conf", "in 0..1", self.conf)
        check(0 <= self.iou <= 1, "iou", "in 0..1", self.iou)
        check(self.max_candidates > 0, "max_candidates", "> 0", self.max_candidates)
        check(self.max_detections > 0, "max_detections", "> 0", self.max_detections)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training run."""

    epochs: int = 100
    """How many times the training pictures are seen."""
    batch: int | Literal["auto"] = 8
    """Pictures a step, over all devices; auto: as many as fit in the memory."""
    accumulate: int = 1
    """Steps whose gradients are averaged for one update."""
    optimizer: Optimizer = "adamw"
    """Update rule."""
    learning_rate: float | None = None
    """Peak rate; unset: 0.002 for adamw, 0.01 for sgd at 16 pictures an update, scaled to those there are."""
    schedule: Schedule = "cosine"
    """How the rate falls after the warm-up: along a cosine, in steps, or not at all."""
    step_at: list[float] = field(default_factory=lambda: [0.8, 0.9])
    """Of the step schedule: where the rate falls to a tenth, as shares of the run."""
    final_rate: float = 0.01
    """The rate at the end, as a share of the peak."""
    warmup_epochs: float = 1.0
    """The rate rises from 0 for so long (at most a fifth of the run)."""
    weight_decay: float = 0.0005
    """Decoupled decay of the convolutions' kernels."""
    momentum: float = 0.937
    """Of sgd."""
    clip_norm: float = 10.0
    """Largest global norm of the gradient; 0: no limit."""
    freeze: str | int | None = None
    """Train without changing the older layers: backbone, neck (all but the heads), or the first so many."""
    unfreeze_at: int | None = None
    """After so many epochs the frozen layers are trained too; unset: never."""
    unfrozen_rate: float = 0.1
    """Rate of the layers that were frozen, as a share of that of the others."""
    ema: float = 0.999
    """Decay of the running average of the weights, which is what is validated and saved; 0: none."""
    best: BestMetric = "ap"
    """Metric of the validation that chooses best.keras: ap (COCO's, over IoU 0.50 to 0.95) or ap50."""
    patience: int = 0
    """Stop after so many epochs without a better AP; 0: never."""
    multi_scale: float = 0.0
    """The canvas of each batch is up to this share smaller or larger than the network's, in steps of 32 px; a Keras
    backbone has one canvas."""
    rare_classes: float = 0.0
    """Show pictures of classes that fewer than this share of the pictures hold more often (LVIS' repeat factor)."""
    save_every: int = 0
    """Write a checkpoint every so many steps, besides those after each epoch; 0: not."""
    cache: Cache = "none"
    """Keep decoded, resized pictures in memory or on disk."""
    seed: int = 0
    """Of the weights, the order of the pictures and every augmentation."""
    workers: int = 0
    """Threads that read and augment pictures; 0: one a core."""
    loss: LossConfig = field(default_factory=LossConfig)
    """The loss."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """Augmentation of the training pictures."""

    def __post_init__(self) -> None:
        check_kinds(self)
        check(self.epochs > 0, "epochs", "> 0", self.epochs)
        check(self.batch == "auto" or self.batch > 0, "batch", "> 0 or auto", self.batch)
        check(self.accumulate > 0, "accumulate", "> 0", self.accumulate)
        check(all(0 < each < 1 for each in self.step_at), "step_at", "shares in (0, 1)", self.step_at)
        check(0 <= self.ema < 1, "ema", "in [0, 1)", self.ema)
        check(self.patience >= 0, "patience", ">= 0", self.patience)
        check(0 <= self.multi_scale <= 0.5, "multi_scale", "in 0..0.5", self.multi_scale)
        check(0 <= self.rare_classes <= 1, "rare_classes", "in 0..1", self.rare_classes)
        check(self.save_every >= 0, "save_every", ">= 0", self.save_every)
        if self.learning_rate is not None:
            check(self.learning_rate > 0, "learning_rate", "> 0", self.learning_rate)
        check(0 <= self.final_rate <= 1, "final_rate", "in 0..1", self.final_rate)
        check(self.warmup_epochs >= 0, "warmup_epochs", ">= 0", self.warmup_epochs)
        check(self.weight_decay >= 0, "weight_decay", ">= 0", self.weight_decay)
        check(0 <= self.momentum < 1, "momentum", "in [0, 1)", self.momentum)
        if self.freeze is not None:
            good = self.freeze in ("backbone", "neck") or str(self.freeze).isdecimal()
            check(good, "freeze", "backbone, neck or a number of layers", self.freeze)
        if self.unfreeze_at is not None:
            check(self.freeze is not None, "unfreeze_at", "given with freeze", self.unfreeze_at)
            check(self.unfreeze_at > 0, "unfreeze_at", "> 0", self.unfreeze_at)
        check(0 <= self.unfrozen_rate <= 1, "unfrozen_rate", "in 0..1", self.unfrozen_rate)
        check(self.clip_norm >= 0, "clip_norm", ">= 0", self.clip_norm)
        check(self.workers >= 0, "workers", ">= 0", self.workers)
        check(0 <= self.seed < 2**32, "seed", "in 0..2**32 - 1", self.seed)

    @property
    def best_metric(self) -> str:
        """The name of ``best`` in the history and in metrics.json."""
        return BEST_METRICS[self.best]


BEST_METRICS: dict[BestMetric, str] = {"ap": "AP", "ap50": "AP50"}
"""Name in the history and in metrics.json of what ``best`` may be."""

HARMLESS = ("workers", "cache", "save_every", "augment.albumentations")
"""Options of `TrainConfig` that change nothing of what is learned: a resumed run may have others.

Where the albumentations file lies is one of them; what it says is not (`Run.conditions`).
"""


def train_config(values: Mapping[str, Any]) -> TrainConfig:
    """The configuration that ``dataclasses.asdict`` made plain.

    Raises:
        ConfigError: a value is wrong.
    """
    nested = {"loss": LossConfig(**values["loss"]), "augment": AugmentConfig(**values["augment"])}
    return TrainConfig(**{**values, **nested})
