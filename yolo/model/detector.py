"""Detector: a network with its classes, anchors and canvas, in one Keras model and one file."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from yolo.config import LetterboxMode, LossConfig, NmsConfig, check
from yolo.errors import WeightsError
from yolo.files.atomic import write_whole
from yolo.images.letterbox import Letterbox
from yolo.model.architecture import design, sides
from yolo.model.assembly import assemble, network_on
from yolo.model.backend.precision import accelerator
from yolo.model.backend.replicas import is_distributed, predictor, share_of_mean
from yolo.model.backend.step_guards import NOT_FINITE, kept_if_finite, step_per_shape, stop_unless_finite
from yolo.model.networks.layers import Convolution, Convolutions
from yolo.model.pictures import Conf, Picture, detect
from yolo.ops.boxes import Tensor
from yolo.ops.decode import decode
from yolo.ops.host_nms import decode_and_suppress
from yolo.ops.loss import LossTerms, yolo_loss
from yolo.ops.nms import suppress
from yolo.ops.slots import Slots, make_slots
from yolo.ops.suppression import Kept
from yolo.ops.unpad import unpad
from yolo.scores import ScoreRules
from yolo.structs import Detections

Finder = Callable[[NDArray[Any]], dict[str, NDArray[Any]]]
"""Function from a batch of images to the fields of `Kept`."""


@keras.saving.register_keras_serializable(package="yolo")
class Detector(keras.Model):
    """YOLOv3 detector as a Keras model.

    Called on images (B, H, W, 3) of canvas size, RGB in 0..255, it returns one raw map (B, h, w, A, 5 + C) per scale,
    coarse to fine. Train it with `yolo.train`, or with `compile` and `fit` on the batches of
    `yolo.datasets.pipeline.batches`.

    Args:
        model: ``yolov3``, ``yolov3-spp``, ``yolov3-tiny``, a Darknet network file (``.cfg``), or ``keras:`` and
            the name of a backbone in keras.applications, such as ``keras:EfficientNetB0``.
        classes: class names.
        anchors: (A, 2) width and height in canvas pixels, distributed over the scales by area, or one such list per
            scale, coarse to fine; None: the network's own (the published ones, scaled to the canvas).
        size: side of the canvas, or (height, width), multiples of 32; None: 416, or the Darknet file's size.
        letterbox: how images are fitted to the canvas, ``letterbox`` (keeps the aspect ratio) or ``stretch``; None:
            ``letterbox``, or for a Darknet file what it says, by default ``stretch``.
        cfg: text of the Darknet network file that ``model`` names; None: read the file.
        nms: thresholds of `detect`; None: the defaults, with the kind of NMS of a Darknet file.
        seed: seed of the initial weights.
        origin: origin of the weights, stored in the model file: dataset, configuration, versions.
        score_rules: thresholds of the classes and calibration of the scores; None: none.
        name: name of the Keras model.

    Raises:
        ConfigError: an argument is invalid or does not fit the others.
    """

    def __init__(
        self,
        model: str = "yolov3",
        *,
        classes: Sequence[str],
        anchors: Any = None,
        size: int | tuple[int, int] | None = None,
        letterbox: LetterboxMode | None = None,
        cfg: str | None = None,
        nms: NmsConfig | dict[str, Any] | None = None,
        seed: int = 0,
        origin: dict[str, Any] | None = None,
        score_rules: ScoreRules | dict[str, Any] | None = None,
        name: str = "detector",
    ):
        super().__init__(name=name)
        check(not isinstance(classes, str), "classes", "a list of names", classes)
        check(cfg is None or isinstance(cfg, str), "cfg", "the text of a network file", cfg)
        check(nms is None or isinstance(nms, NmsConfig | dict), "nms", "thresholds", nms)
        check(letterbox in (None, *get_args(LetterboxMode)), "letterbox", "letterbox or stretch", letterbox)
        check(len(classes) > 0, "classes", "at least one name", list(classes))
        check(len(set(classes)) == len(classes), "classes", "names that differ", list(classes))
        self.classes = tuple(str(each) for each in classes)
        self.architecture = design(
            str(model), cfg=cfg, classes=len(classes), anchors=anchors, size=size, letterbox=letterbox
        )
        self.nms = NmsConfig(**nms) if isinstance(nms, dict) else nms or self.architecture.nms
        self.seed = seed
        self.origin = dict(origin or {})
        self.score_rules = score_rules if isinstance(score_rules, ScoreRules) else ScoreRules.from_plain(score_rules)
        self.score_rules.check_classes(self.classes)
        self.loss_config = LossConfig()
        self.loss_trackers = [keras.metrics.Mean(name=f"{term}_loss") for term in ("box", "objectness", "class")]
        self.varying_canvas = False
        self._runtime = _Runtime()
        self.network = assemble(self.architecture, len(self.classes), Convolutions(self.seed))
        self.built = True

    @property
    def variant(self) -> str:
        """Name of the network, such as ``yolov3``."""
        return self.architecture.model

    parallel = 1
    """Number of calls of `find` at a time that give the highest throughput."""

    @property
    def canvas(self) -> tuple[int, int]:
        """Size of the network's input, (height, width)."""
        return self.architecture.canvas

    @property
    def letterbox(self) -> LetterboxMode:
        """Mode of fitting images to the canvas: ``letterbox`` or ``stretch``."""
        return self.architecture.letterbox

    @property
    def fixed_canvas(self) -> bool:
        """Whether the network takes `canvas` alone, and no other multiples of its strides."""
        return self.architecture.fixed_canvas

    @property
    def stride(self) -> int:
        """Largest stride of the network, of which the sides of a canvas are multiples."""
        return max(self.architecture.strides)

    @property
    def anchors(self) -> NDArray[np.float32]:
        """(A, 2) width and height of the anchors in canvas pixels, those of the finest scale first."""
        return np.concatenate(self.architecture.anchors[::-1])

    @property
    def convolutions(self) -> list[Convolution]:
        """Convolutions in the order of Darknet's weights files."""
        found = [layer for layer in self.network.layers if isinstance(layer, Convolution)]
        return sorted(found, key=lambda layer: int(layer.name.removeprefix("conv_")))

    def build(self, input_shape: Any = None) -> None:
        """Do nothing: the constructor builds the network."""

    def call(self, inputs: Tensor, training: bool | None = None) -> list[Tensor]:
        """Raw maps (B, h, w, A, 5 + C), coarse to fine, for images (B, H, W, 3), RGB in 0..255."""
        network = self._runtime.network(self, inputs.shape[1:3])
        maps = network(ops.cast(inputs, "float32"), training=training)
        return maps if isinstance(maps, list) else [maps]  # Keras unpacks the list of a single head

    @property
    def heads(self) -> list[Convolution]:
        """Last convolution of each scale, coarse to fine."""
        by_output = {id(layer.output): layer for layer in self.convolutions}
        # Each output is a head's output, reshaped.
        reshaped = [output._keras_history.operation for output in self.network.outputs]
        return [by_output[id(operation.input)] for operation in reshaped]

    @property
    def slots(self) -> Slots:
        """Slots of the detector's canvas."""
        return self.slots_on(self.canvas)

    def slots_on(self, canvas: tuple[int, int]) -> Slots:
        """Slots of another canvas (height, width), with the same anchors in pixels."""
        shape = self.architecture
        return make_slots(canvas, shape.strides, shape.anchors, shape.coding)

    def network_on(self, canvas: tuple[int, int]) -> keras.Model:
        """Build the network for another canvas (height, width) from the same layers, and so the same weights.

        Raises:
            ConfigError: the network does not support that canvas.
        """
        return network_on(self.architecture, len(self.classes), self.convolutions, canvas)

    # Training

    def compile(self, optimizer: Any = "adamw", loss: LossConfig | None = None, **options: Any) -> None:
        """Compile as any Keras model; ``loss`` configures the YOLO loss.

        On TensorFlow, ``jit_compile`` is off by default: XLA drops the checks that keep non-finite losses and gradients
        from the weights (tensorflow issue 117319).
        """
        self.loss_config = loss or LossConfig()
        if keras.backend.backend() == "tensorflow":
            options.setdefault("jit_compile", False)
        if getattr(optimizer, "scales_loss", False):
            options.setdefault("auto_scale_loss", False)  # the optimizer scales the loss itself
        super().compile(optimizer=optimizer, **options)

    def compute_loss(
        self,
        x: Any = None,  # noqa: ARG002 - Keras' signature
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,  # noqa: ARG002
        training: bool = True,  # noqa: ARG002
    ) -> Tensor:
        """Mean YOLO loss of the batch; ``y`` holds boxes, labels, valid and ignore."""
        terms = self.loss_terms(y_pred, y)
        means = [ops.mean(term) for term in terms]
        for tracker, mean in zip(self.loss_trackers, means, strict=True):
            tracker.update_state(mean, sample_weight=ops.shape(y["boxes"])[0])
        return stop_unless_finite(share_of_mean(sum(means)), NOT_FINITE)

    def loss_terms(self, maps: Sequence[Tensor], targets: dict[str, Tensor]) -> LossTerms:
        """Terms of the loss, (B,) each, from raw maps and the batch's targets."""
        stride = self.architecture.strides[0]
        canvas = (maps[0].shape[1] * stride, maps[0].shape[2] * stride)
        return yolo_loss(maps, self.slots_on(canvas), self.loss_config, **targets)

    def train_step(self, *arguments: Any) -> Any:
        """Take one training step; a non-finite loss or gradient leaves the weights unchanged.

        TensorFlow then raises an InvalidArgumentError. A step compiled by JAX cannot raise: it returns NaN as the loss.
        """
        if keras.backend.backend() != "jax":
            return super().train_step(*arguments)
        state, data = arguments
        logs, after = super().train_step(state, data)
        return logs, kept_if_finite(state, after, logs["loss"])

    def make_train_function(self, force: bool = False) -> None:
        """Make the train function; with `varying_canvas`, TensorFlow compiles a step per size, as JAX always does."""
        super().make_train_function(force)
        if self.varying_canvas and keras.backend.backend() == "tensorflow":
            self.train_function = step_per_shape(self)

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Do nothing, as everything is built: under a strategy, Keras would average a batch over the replicas here."""

    def sync(self) -> None:
        """Update the variables during `fit`, which on JAX keeps the current values outside them; else do nothing."""
        if keras.backend.backend() == "jax":
            self.jax_state_sync()

    def get_compile_config(self) -> None:
        """Return nothing: a saved detector is not bound to an optimizer."""

    # Detection

    def find(self, images: Any, nms: NmsConfig | None = None) -> Kept:
        """Detections in canvas pixels, as numpy arrays padded to (B, D), for images (B, H, W, 3) of canvas size.

        Their scores are raw, and all are there that may reach the thresholds once `unpad` has calibrated them. On
        another canvas whose sides are multiples of `stride` it is compiled anew.
        """
        height, width = np.shape(images)[1:3]
        thresholds = self.score_rules.raw(nms or self.nms)
        with self._runtime.lock:  # Keras' functions are not made for several threads
            return Kept(**self._runtime.finder(self, thresholds, (height, width))(images))

    def parts_of_find(self, nms: NmsConfig) -> tuple[Callable[[Any], Any], Callable[[Any], Kept]]:
        """Two functions that do after each other what `find` does, the second in any thread while the first goes on.

        On one processor with TensorFlow the second decodes and suppresses, in numpy, which is faster there than inside
        the compiled function; the results are the same up to the rounding of sigmoids. Elsewhere all is in the first.
        """
        if keras.backend.backend() != "tensorflow" or accelerator() != "cpu" or is_distributed():
            return (lambda images: self.find(images, nms)), (lambda kept: kept)
        thresholds = self.score_rules.raw(nms)

        def suppress_maps(maps: list[NDArray[np.float32]]) -> Kept:
            stride = self.architecture.strides[0]
            canvas = (maps[0].shape[1] * stride, maps[0].shape[2] * stride)
            return decode_and_suppress(maps, self.slots_on(canvas), thresholds)

        return self.predict_on_batch, suppress_maps

    def detect_images(self, images: Sequence[NDArray[np.uint8]], nms: NmsConfig | None = None) -> list[Detections]:
        """Detect objects in images (H, W, 3) uint8 RGB of any sizes, run as one batch; boxes are in image pixels."""
        if not images:
            return []
        boxes = [Letterbox(image.shape[:2], self.canvas, self.letterbox) for image in images]
        batch = np.stack([box.apply_unrounded(image) for box, image in zip(boxes, images, strict=True)])
        return self.unpad(self.find(batch, nms), boxes, nms or self.nms)

    def unpad(self, kept: Kept, letterboxes: Sequence[Letterbox], nms: NmsConfig | None = None) -> list[Detections]:
        """Map a batch's detections to the pixels of each image, clip them and calibrate their scores.

        One `Detections` per letterbox; rows of the batch beyond the letterboxes are padding, and skipped.

        Args:
            kept: what `find` found.
            letterboxes: mapping of each image to its canvas.
            nms: thresholds given to `find`; None: detections that do not reach them calibrated are kept too.
        """
        return unpad(kept, letterboxes, self.classes, rules=self.score_rules, nms=nms)

    def detect(
        self,
        source: Picture | Sequence[Picture],
        *,
        conf: Conf | None = None,
        iou: float | None = None,
        batch: int = 8,
    ) -> Any:
        """Detect objects in one image or several.

        Args:
            source: a path or an (H, W, 3) uint8 RGB array, or a list of these.
            conf: lowest score of a detection; ``auto``: the stored threshold of each class; None: the detector's own.
            iou: IoU above which the better of two boxes suppresses the other; None: the detector's own.
            batch: images per batch.

        Returns:
            A `Detections` for one image, a list of them for a list.

        Raises:
            MediaError: a file is not a readable image, or an array not (H, W, 3) uint8.
            ConfigError: a threshold is out of range, or ``conf`` is auto and no thresholds are stored.
        """
        return detect(self, source, conf=conf, iou=iou, batch=batch)

    # Files

    def get_config(self) -> dict[str, Any]:
        return {
            "model": self.variant,
            "classes": list(self.classes),
            "anchors": [shapes.tolist() for shapes in self.architecture.anchors],
            "size": list(self.canvas),
            "letterbox": self.letterbox,
            "cfg": self.architecture.cfg,
            "nms": self.nms.to_plain(),
            "seed": self.seed,
            "origin": self.origin,
            "name": self.name,
            **({"score_rules": self.score_rules.to_plain()} if self.score_rules else {}),
        }

    def resized(self, size: int | tuple[int, int], *, letterbox: LetterboxMode | None = None) -> Detector:
        """Copy the detector, with its weights and its anchors in pixels, to another canvas.

        Args:
            size: side of the canvas, or (height, width).
            letterbox: ``letterbox`` or ``stretch``; None: as in this detector.

        Raises:
            ConfigError: the size is not a multiple of the network's strides.
        """
        changes = {"size": sides(size), "letterbox": letterbox or self.letterbox}
        other = Detector.from_config({**self.get_config(), **changes})
        other.set_weights(self.get_weights())
        return other

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Detector:  # noqa: ARG003 - Keras' signature
        return cls(**{**config, "size": tuple(config["size"])})

    def save(self, filepath: str | Path, **options: Any) -> None:
        """Write the detector, without an optimizer's state, to a ``.keras`` file, whole or not at all.

        Raises:
            WeightsError: the name does not end in ``.keras``, or the file cannot be written.
        """
        path = Path(filepath)
        if path.suffix != ".keras":
            raise WeightsError(f"{path}: a detector is saved to a file that ends in .keras")
        optimizer, self.optimizer = getattr(self, "optimizer", None), None
        try:
            write_whole(path, lambda temporary: super(Detector, self).save(temporary, **options), error=WeightsError)
        finally:
            self.optimizer = optimizer

    def summary(self, *arguments: Any, **options: Any) -> None:
        """Print the layers of the network, as `keras.Model.summary` does."""
        self.network.summary(*arguments, **options)


class _Finder(keras.Model):
    """Detector followed by decoding and suppression, so that Keras compiles all three as one."""

    def __init__(self, detector: Detector, nms: NmsConfig, canvas: tuple[int, int]):
        super().__init__(name="finder")
        self.detector = detector
        self.nms = nms
        self.canvas = canvas
        self.built = True

    def call(self, images: Tensor) -> dict[str, Tensor]:
        maps = self.detector(images, training=False)
        slots = self.detector.slots_on(self.canvas)
        return suppress(decode(maps, slots), self.nms, canvas=slots.canvas)._asdict()


class _Runtime:
    """Compiled functions of a detector, in a plain object so that Keras does not track them as its layers."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.finders: dict[tuple[NmsConfig, tuple[int, int]], Finder] = {}
        self.networks: dict[tuple[int, int], keras.Model] = {}

    def network(self, detector: Detector, canvas: tuple[int | None, int | None]) -> keras.Model:
        """Network for a canvas (height, width), built at its first use."""
        height, width = canvas
        if height is None or width is None or (height, width) == detector.canvas:
            return detector.network
        if (height, width) not in self.networks:
            self.networks[height, width] = detector.network_on((height, width))
        return self.networks[height, width]

    def finder(self, detector: Detector, nms: NmsConfig, canvas: tuple[int, int]) -> Finder:
        if (nms, canvas) not in self.finders:
            self.finders[nms, canvas] = predictor(_Finder(detector, nms, canvas))
        return self.finders[nms, canvas]
