"""All options of the package: frozen dataclasses whose values are checked on construction.

The command line and the YAML files are generated from them (`yolo/cli`): the docstring of a field is its help text,
and its annotation holds the type and the allowed range.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from numbers import Integral, Real
from typing import Annotated, Any, Literal, get_type_hints

from yolo.config_types import Range, describe, is_a, split_range
from yolo.errors import ConfigError
from yolo.files.quoted import quoted

LetterboxMode = Literal["letterbox", "stretch"]
BoxLoss = Literal["giou", "diou", "ciou", "squared"]
ObjectnessTarget = Literal["one", "iou"]
Optimizer = Literal["adamw", "sgd"]
Schedule = Literal["cosine", "step", "constant"]
Cache = Literal["none", "ram", "disk"]
BestMetric = Literal["ap", "ap50"]
NmsKind = Literal["default", "greedynms", "diounms", "soft"]
"""Kinds of suppression, the first three by Darknet's names."""
NewClasses = Literal["fresh", "sampled"]
"""Initial head filters of a class unknown to the weights: small random ones, or those of a random known class."""
Precision = Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"]
"""Numeric precision of the network; auto: mixed_bfloat16 where the processor supports it."""
Runtime = Literal["auto", "keras", "openvino", "onnx", "litert"]
"""Program that runs the network for detection; auto: the fastest one that is installed."""
RuntimePrecision = Literal["auto", "float32", "bfloat16", "float16", "mixed_bfloat16", "mixed_float16"]
"""Numeric precision of detection; ``mixed_bfloat16`` and ``mixed_float16`` are training's words for the same."""
Aim = Literal["latency", "throughput"]
"""Aim of a runtime: one batch as soon as possible, or as many as possible in a given time."""

Format = Literal["saved_model", "onnx", "openvino", "litert"]
"""Format of an exported file."""
Contents = Literal["maps", "predictions", "detections"]
"""Outputs of an exported network: raw maps, decoded boxes and scores, or the detections after suppression."""
FilePrecision = Literal["float32", "float16", "bfloat16", "int8"]
"""Numeric precision of the weights and the computation of an exported network."""
Server = Literal["tf-serving", "triton"]
"""Program that serves exported models."""

STRIDE = 32
"""Stride of the coarsest grid, in pixels; the canvas' sides are multiples of it."""


def check(condition: bool, option: str, requirement: str, received: object) -> None:
    """Raise a ConfigError that names the option unless the condition holds."""
    if not condition:
        raise ConfigError(f"{option} must be {requirement}, got {received!s:.200}")


def check_fields(config: Any, group: str = "") -> None:
    """Check every field of a dataclass against the type and range of its annotation.

    Args:
        config: the dataclass; NumPy numbers in it are converted to Python's, as options are written to files.
        group: prefix of the names in messages, such as ``loss.``.

    Raises:
        ConfigError: a value is not allowed; the first such field is named.
    """
    for name, annotation in get_type_hints(type(config), include_extras=True).items():
        kind, limits = split_range(annotation)
        value = getattr(config, name)
        check(is_a(value, kind), group + name, describe(kind), quoted(value, 200))
        if limits is not None:
            check(limits.holds(value), group + name, str(limits), value)
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


POSITIVE = Range(0, above=True)
NON_NEGATIVE = Range(0)
FRACTION = Range(0, 1)
BELOW_ONE = Range(0, 1, below=True)
INSIDE_ONE = Range(0, 1, above=True, below=True)


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """YOLO loss: the weight of each term, and which predictions are assigned, ignored or background."""

    box: BoxLoss = "giou"
    """Box loss: 1 - GIoU, DIoU or CIoU, or the squared error of the YOLOv3 paper."""
    box_weight: Annotated[float, NON_NEGATIVE] = 2.0
    """Weight of the box loss."""
    objectness_weight: Annotated[float, NON_NEGATIVE] = 1.0
    """Weight of the objectness loss."""
    class_weight: Annotated[float, NON_NEGATIVE] = 2.0
    """Weight of the classification loss."""
    ignore_iou: Annotated[float, Range(0, 1, above=True)] = 0.5
    """IoU with a true box above which an unassigned prediction is ignored rather than background."""
    label_smoothing: Annotated[float, BELOW_ONE] = 0.0
    """Label smoothing of the class targets."""
    assign_iou: Annotated[float | None, INSIDE_ONE] = 0.35
    """Shape IoU above which an anchor is assigned a true box; null: only the best anchor, as in the paper."""
    objectness_target: ObjectnessTarget = "one"
    """Objectness target of an assigned prediction: one (as in the paper) or its IoU with the true box."""
    focal_gamma: Annotated[float, NON_NEGATIVE] = 0.0
    """Focal loss exponent of the objectness; 0: plain cross-entropy."""
    class_weights: Annotated[Literal["balanced"] | list[float] | None, NON_NEGATIVE] = None
    """Weights of the classes: one number each, or balanced to give rare classes more weight."""

    def __post_init__(self) -> None:
        check_fields(self, "loss.")


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Random augmentation of training images; 0 switches a transform off."""

    flip: Annotated[float, FRACTION] = 0.5
    """Probability of a horizontal flip."""
    hue: Annotated[float, Range(0, 0.5)] = 0.015
    """Largest hue shift, as a fraction of the colour circle."""
    saturation: Annotated[float, FRACTION] = 0.5
    """Saturation jitter: a factor between 1 - VALUE and 1 + VALUE."""
    brightness: Annotated[float, FRACTION] = 0.3
    """Brightness jitter: a factor between 1 - VALUE and 1 + VALUE."""
    scale: Annotated[float, BELOW_ONE] = 0.4
    """Zoom: a factor between 1 - VALUE and 1 + VALUE."""
    translate: Annotated[float, BELOW_ONE] = 0.1
    """Largest translation, as a fraction of the image's side."""
    rotate: Annotated[float, Range(0, 180)] = 0.0
    """Largest rotation in degrees."""
    shear: Annotated[float, Range(0, 45, below=True)] = 0.0
    """Largest shear along each axis in degrees."""
    perspective: Annotated[float, Range(0, 0.5, below=True)] = 0.0
    """Perspective strength: largest relative difference in scale between opposite edges."""
    mosaic: Annotated[float, FRACTION] = 0.0
    """Probability of a mosaic of four images."""
    mixup: Annotated[float, FRACTION] = 0.0
    """Probability of blending an image with another (mixup); the boxes of both are kept."""
    plain_end: Annotated[float, FRACTION] = 0.1
    """Fraction of the run, at its end, trained without mosaic and mixup."""
    no_flip: list[str] = field(default_factory=list)
    """Classes that mirroring would change (text, arrows); images showing one are never flipped."""
    swap_on_flip: dict[str, str] = field(default_factory=dict)
    """Classes exchanged by a flip, such as {arrow left: arrow right}."""
    albumentations: str | None = None
    """YAML file of further albumentations transforms (format: docs/RECIPES.md); they must not mirror images if no-flip
    or swap-on-flip is given."""
    min_visibility: Annotated[float, BELOW_ONE] = 0.1
    """Smallest visible fraction of a box; boxes cut to less are dropped."""

    def __post_init__(self) -> None:
        check_fields(self, "augment.")


@dataclass(frozen=True, kw_only=True)
class NmsConfig:
    """Score threshold and non-maximum suppression (NMS)."""

    conf: Annotated[float, FRACTION] = 0.25
    """Lowest score (objectness times class probability) of a detection."""
    iou: Annotated[float, FRACTION] = 0.45
    """IoU above which NMS suppresses a box in favour of a better one of the same class."""
    class_agnostic: bool = False
    """Suppress across classes too."""
    max_candidates: Annotated[int, POSITIVE] = 1000
    """Number of best-scored (box, class) pairs per image that enter NMS."""
    max_detections: Annotated[int, POSITIVE] = 300
    """Largest number of detections per image."""
    kind: NmsKind = "default"
    """Kind of NMS: default compares the IoU with the threshold, greedynms and diounms (Darknet's) the IoU less the
    distance of the centres; soft lowers scores instead (soft-NMS)."""
    beta: Annotated[float, NON_NEGATIVE] = 0.6
    """Exponent of the distance of diounms (Darknet's beta_nms)."""
    sigma: Annotated[float, POSITIVE] = 0.5
    """Width of the Gaussian of soft: a score is multiplied by exp(-IoU^2 / sigma)."""
    class_conf: Annotated[tuple[float, ...], FRACTION] = ()
    """Lowest score of each class, in place of conf; empty: conf for all."""

    def __post_init__(self) -> None:
        if isinstance(self.class_conf, list):  # as read from JSON
            object.__setattr__(self, "class_conf", tuple(self.class_conf))
        check_fields(self)

    def to_plain(self) -> dict[str, Any]:
        """Convert to plain data for files; without thresholds of classes as versions before them wrote it."""
        return {name: value for name, value in asdict(self).items() if name != "class_conf" or value}


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Options of a training run."""

    epochs: Annotated[int, POSITIVE] = 100
    """Number of passes over the training images."""
    batch: Annotated[int | Literal["auto"], POSITIVE] = 8
    """Images per step, over all devices; auto: as many as fit into memory."""
    accumulate: Annotated[int, POSITIVE] = 1
    """Number of steps whose gradients are averaged for one update."""
    optimizer: Optimizer = "adamw"
    """Update rule."""
    learning_rate: Annotated[float | None, POSITIVE] = None
    """Peak learning rate (default: 0.002 for adamw and 0.01 for sgd at 16 images per update, scaled to the batch)."""
    schedule: Schedule = "cosine"
    """Learning-rate schedule after the warm-up."""
    step_at: Annotated[list[float], INSIDE_ONE] = field(default_factory=lambda: [0.8, 0.9])
    """Points of the run, as fractions, at which the step schedule divides the learning rate by 10."""
    final_rate: Annotated[float, FRACTION] = 0.01
    """Learning rate at the end, as a fraction of the peak."""
    warmup_epochs: Annotated[float, NON_NEGATIVE] = 1.0
    """Linear warm-up in epochs, at most 20% of the run."""
    weight_decay: Annotated[float, NON_NEGATIVE] = 0.0005
    """Decoupled weight decay of the convolution kernels."""
    momentum: Annotated[float, BELOW_ONE] = 0.937
    """Momentum of SGD; ignored by AdamW."""
    clip_norm: Annotated[float, NON_NEGATIVE] = 10.0
    """Largest global norm of the gradient; 0: no clipping."""
    freeze: str | int | None = None
    """Pretrained layers to freeze: backbone, neck (all but the heads), or the number of first layers."""
    unfreeze_at: Annotated[int | None, POSITIVE] = None
    """Epoch after which the frozen layers are trained too (default: never)."""
    unfrozen_rate: Annotated[float, FRACTION] = 0.1
    """Learning-rate factor of layers after they are unfrozen."""
    ema: Annotated[float, BELOW_ONE] = 0.999
    """Decay of the exponential moving average (EMA) of the weights, which is validated and saved; 0: no EMA."""
    best: BestMetric = "ap"
    """Validation metric that chooses best.keras: ap (COCO's, over IoU 0.50 to 0.95) or ap50."""
    patience: Annotated[int, NON_NEGATIVE] = 0
    """Early stopping after this many epochs without a better AP; 0: never."""
    multi_scale: Annotated[float, Range(0, 0.5)] = 0.0
    """Multi-scale training: largest change of the input size from batch to batch, as a fraction, in steps of 32 px; not
    for Keras backbones."""
    rare_classes: Annotated[float, FRACTION] = 0.0
    """Oversample images of rare classes: those in less than this fraction of the images (LVIS repeat-factor sampling);
    0: off."""
    save_every: Annotated[int, NON_NEGATIVE] = 0
    """Also write a checkpoint every N steps; 0: only after each epoch."""
    report: bool = True
    """Write report.html, a page about the best model, at the end."""
    cache: Cache = "none"
    """Cache of decoded and resized images."""
    seed: Annotated[int, Range(0, 2**32 - 1)] = 0
    """Random seed of the weights, the order of the images and the augmentation."""
    workers: Annotated[int, NON_NEGATIVE] = 0
    """Threads that read and augment images; 0: one per core."""
    loss: LossConfig = field(default_factory=LossConfig)
    """Options of the loss."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """Options of the augmentation."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.freeze is not None:
            good = self.freeze in ("backbone", "neck") or str(self.freeze).isdecimal()
            check(good, "freeze", "backbone, neck or a number of layers", self.freeze)
        if self.unfreeze_at is not None:
            check(self.freeze is not None, "unfreeze_at", "given with freeze", self.unfreeze_at)

    @property
    def best_metric(self) -> str:
        """Name of ``best`` in the history and in metrics.json."""
        return BEST_METRICS[self.best]


BEST_METRICS: dict[BestMetric, str] = {"ap": "AP", "ap50": "AP50"}
"""Name in the history and in metrics.json of each value of ``best``."""

HARMLESS = ("workers", "cache", "save_every", "report", "augment.albumentations")
"""Options of `TrainConfig` without effect on the learned weights; a resumed run may change them.

The path of the albumentations file may change, its content may not (`Run.conditions`).
"""


def train_config(values: Mapping[str, Any]) -> TrainConfig:
    """Make a configuration from the dictionary that ``dataclasses.asdict`` made of one.

    Raises:
        ConfigError: a value is not allowed.
    """
    nested = {"loss": LossConfig(**values["loss"]), "augment": AugmentConfig(**values["augment"])}
    return TrainConfig(**{**values, **nested})
