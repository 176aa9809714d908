"""The detector: a network with its classes, anchors and canvas, in one Keras model and one file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from yolo.config import LetterboxMode, LossConfig, NmsConfig, check
from yolo.errors import WeightsError
from yolo.files.atomic import write_whole
from yolo.images.codec import read_image
from yolo.images.letterbox import Letterbox
from yolo.model.architecture import design, sides
from yolo.model.assembly import assemble, network_on
from yolo.model.backend.finite_steps import NOT_FINITE, kept_if_finite, step_per_shape, stop_unless_finite
from yolo.model.backend.replicas import predictor, share_of_mean
from yolo.model.networks.layers import Convolution, Convolutions
from yolo.ops.boxes import Tensor
from yolo.ops.decode import decode
from yolo.ops.loss import LossTerms, yolo_loss
from yolo.ops.nms import Kept, suppress
from yolo.ops.slots import Slots, make_slots
from yolo.structs import Detections

Picture = str | Path | NDArray[np.uint8]


@keras.saving.register_keras_serializable(package="yolo")
class Detector(keras.Model):
    """A YOLOv3 detector.

    Called on pictures (B, H, W, 3), RGB in 0..255 on the canvas, it gives the raw maps
    (B, h, w, A, 5 + C) of its scales, coarse to fine. It is trained with `compile` and `fit` on
    what `yolo.datasets.pipeline.batches` delivers, or with `yolo.train`.

    Args:
        model: ``yolov3``, ``yolov3-spp``, ``yolov3-tiny``, a Darknet network file (``.cfg``), or ``keras:`` and
            the name of a backbone in keras.applications, such as ``keras:EfficientNetB0``.
        classes: their names.
        anchors: (A, 2) width and height in canvas pixels, shared out over the scales by area, or one
            such list a scale, coarse to fine; None: the network's own (the published ones, scaled
            to the canvas).
        size: side of the canvas, or (height, width); multiples of 32. None: 416, or that of the file.
        letterbox: how a picture is put on the canvas; None: ``letterbox``, or as the file says
            (``stretch`` if it says nothing).
        cfg: text of the network file that ``model`` names, in place of reading it.
        nms: thresholds of `detect`.
        seed: of the initial weights.
        origin: where the weights come from: dataset, configuration, versions.
        name: of the Keras model.

    Raises:
        ConfigError: one of these does not fit the others.
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
        self.nms = NmsConfig(**nms) if isinstance(nms, dict) else nms or NmsConfig()
        self.seed = seed
        self.origin = dict(origin or {})
        self.loss_config = LossConfig()
        self.loss_trackers = [keras.metrics.Mean(name=f"{term}_loss") for term in ("box", "objectness", "class")]
        self.varying_canvas = False
        self._runtime = _Runtime()
        self.network = assemble(self.architecture, len(self.classes), Convolutions(self.seed))
        self.built = True

    @property
    def variant(self) -> str:
        """The network's name."""
        return self.architecture.model

    @property
    def canvas(self) -> tuple[int, int]:
        """(height, width) of the network's input."""
        return self.architecture.canvas

    @property
    def letterbox(self) -> LetterboxMode:
        """How a picture is put on the canvas."""
        return self.architecture.letterbox

    @property
    def anchors(self) -> NDArray[np.float32]:
        """(A, 2) width and height in canvas pixels, the finest scale's first."""
        return np.concatenate(self.architecture.anchors[::-1])

    @property
    def convolutions(self) -> list[Convolution]:
        """The convolutions in the order of Darknet's files."""
        found = [layer for layer in self.network.layers if isinstance(layer, Convolution)]
        return sorted(found, key=lambda layer: int(layer.name.removeprefix("conv_")))

    def build(self, input_shape: Any = None) -> None:
        """Nothing is left to build: the network is made with the detector."""

    def call(self, inputs: Tensor, training: bool | None = None) -> list[Tensor]:
        """Raw maps (B, h, w, A, 5 + C), coarse to fine, of pictures (B, H, W, 3), RGB in 0..255."""
        network = self._runtime.network(self, inputs.shape[1:3])
        maps = network(ops.cast(inputs, "float32"), training=training)
        return maps if isinstance(maps, list) else [maps]  # Keras unpacks the list of a single head

    @property
    def heads(self) -> list[Convolution]:
        """The last convolution of each scale, coarse to fine."""
        by_output = {id(layer.output): layer for layer in self.convolutions}
        # Each output is the reshaped one of a head.
        reshaped = [output._keras_history.operation for output in self.network.outputs]
        return [by_output[id(operation.input)] for operation in reshaped]

    @property
    def slots(self) -> Slots:
        """The slots of the canvas."""
        return self.slots_on(self.canvas)

    def slots_on(self, canvas: tuple[int, int]) -> Slots:
        """The slots of another canvas, with the same anchors in pixels."""
        shape = self.architecture
        return make_slots(canvas, shape.strides, shape.anchors, shape.coding)

    def network_on(self, canvas: tuple[int, int]) -> keras.Model:
        """The network for another (height, width): the same layers, and so the same weights.

        Raises:
            ConfigError: it cannot be had there.
        """
        return network_on(self.architecture, len(self.classes), self.convolutions, canvas)

    # Training

    def compile(self, optimizer: Any = "adamw", loss: LossConfig | None = None, **options: Any) -> None:
        """As of any Keras model; ``loss`` configures the YOLO loss.

        On TensorFlow a step is not compiled by XLA unless that is asked for: it would leave out the checks which keep a
        loss or a gradient that is not finite from the weights (tensorflow issue 117319).
        """
        self.loss_config = loss or LossConfig()
        if keras.backend.backend() == "tensorflow":
            options.setdefault("jit_compile", False)
        if getattr(optimizer, "scales_loss", False):
            options.setdefault("auto_scale_loss", False)  # it does so itself
        super().compile(optimizer=optimizer, **options)

    def compute_loss(
        self,
        x: Any = None,  # noqa: ARG002 - Keras' signature
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,  # noqa: ARG002
        training: bool = True,  # noqa: ARG002
    ) -> Tensor:
        """The mean over the batch of the YOLO loss; ``y`` holds boxes, labels, valid and ignore."""
        terms = self.loss_terms(y_pred, y)
        means = [ops.mean(term) for term in terms]
        for tracker, mean in zip(self.loss_trackers, means, strict=True):
            tracker.update_state(mean, sample_weight=ops.shape(y["boxes"])[0])
        return stop_unless_finite(share_of_mean(sum(means)), NOT_FINITE)

    def loss_terms(self, maps: Sequence[Tensor], targets: dict[str, Tensor]) -> LossTerms:
        """The terms of the loss, (B,) each."""
        stride = self.architecture.strides[0]
        canvas = (maps[0].shape[1] * stride, maps[0].shape[2] * stride)
        return yolo_loss(maps, self.slots_on(canvas), self.loss_config, **targets)

    def train_step(self, *arguments: Any) -> Any:
        """As Keras', but a loss or a gradient that is not finite leaves the weights alone.

        TensorFlow raises an InvalidArgumentError there; a step compiled by JAX cannot, it reports the loss.
        """
        if keras.backend.backend() != "jax":
            return super().train_step(*arguments)
        state, data = arguments
        logs, after = super().train_step(state, data)
        return logs, kept_if_finite(state, after, logs["loss"])

    def make_train_function(self, force: bool = False) -> None:
        """As Keras'; if the canvas varies, TensorFlow compiles a step for each size, as JAX does by itself."""
        super().make_train_function(force)
        if self.varying_canvas and keras.backend.backend() == "tensorflow":
            self.train_function = step_per_shape(self)

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Nothing is left to build; under a strategy Keras would take the mean of a batch over replicas for it."""

    def sync(self) -> None:
        """Let the variables have their present values: JAX' fit holds them elsewhere until somebody asks."""
        if keras.backend.backend() == "jax":
            self.jax_state_sync()

    def get_compile_config(self) -> None:
        """A saved detector is not bound to an optimizer."""

    # Detection

    def find(self, images: Any, nms: NmsConfig | None = None) -> Kept:
        """Detections on the canvas, as numpy arrays padded to (B, D), of pictures (B, H, W, 3)."""
        return Kept(**self._runtime.finder(self, nms or self.nms)(images))

    def detect_images(self, images: Sequence[NDArray[np.uint8]], nms: NmsConfig | None = None) -> list[Detections]:
        """What is in each picture (H, W, 3) uint8 RGB, all run as one batch; boxes in the picture's pixels."""
        if not images:
            return []
        boxes = [Letterbox(image.shape[:2], self.canvas, self.letterbox) for image in images]
        batch = np.stack([box.apply_unrounded(image) for box, image in zip(boxes, images, strict=True)])
        return self.unpad(self.find(batch, nms), boxes)

    def unpad(self, kept: Kept, letterboxes: Sequence[Letterbox]) -> list[Detections]:
        """Detections of the first pictures of a padded batch, moved to each picture's own pixels and clipped."""
        found = []
        for index, letterbox in enumerate(letterboxes):
            valid = kept.valid[index]
            height, width = letterbox.image_size
            boxes = letterbox.boxes_to_image(kept.boxes[index][valid])
            boxes = np.clip(boxes, 0, np.array([width, height, width, height], np.float32))
            labels = kept.labels[index][valid].astype(np.int32)
            found.append(Detections(boxes, kept.scores[index][valid], labels, self.classes))
        return found

    def detect(
        self,
        source: Picture | Sequence[Picture],
        *,
        conf: float | None = None,
        iou: float | None = None,
        batch: int = 8,
    ) -> Any:
        """What is in a picture: a path or an (H, W, 3) uint8 RGB array; of a list of either, a list.

        Args:
            source: the picture or pictures.
            conf: lowest score; None: the detector's own.
            iou: overlap above which the better box suppresses the other; None: the detector's own.
            batch: pictures that are run at once.

        Returns:
            A `Detections`, or a list of them.

        Raises:
            MediaError: a file is not a readable picture.
        """
        if isinstance(source, str | Path | np.ndarray):
            return self.detect([source], conf=conf, iou=iou)[0]
        changes = {key: value for key, value in (("conf", conf), ("iou", iou)) if value is not None}
        nms = replace(self.nms, **changes)  # type: ignore[arg-type]
        found: list[Detections] = []
        for first in range(0, len(source), batch):
            part = source[first : first + batch]
            images = [each if isinstance(each, np.ndarray) else read_image(each) for each in part]
            found += self.detect_images(images, nms)
        return found

    # Files

    def get_config(self) -> dict[str, Any]:
        return {
            "model": self.variant,
            "classes": list(self.classes),
            "anchors": [shapes.tolist() for shapes in self.architecture.anchors],
            "size": list(self.canvas),
            "letterbox": self.letterbox,
            "cfg": self.architecture.cfg,
            "nms": asdict(self.nms),
            "seed": self.seed,
            "origin": self.origin,
            "name": self.name,
        }

    def resized(self, size: int | tuple[int, int], *, letterbox: LetterboxMode | None = None) -> Detector:
        """The same detector, with the same weights and anchors in pixels, on another canvas.

        Args:
            size: side of the canvas, or (height, width).
            letterbox: another way onto it; None: the same.

        Raises:
            ConfigError: the network's grids do not divide it.
        """
        changes = {"size": sides(size), "letterbox": letterbox or self.letterbox}
        other = Detector.from_config({**self.get_config(), **changes})
        other.set_weights(self.get_weights())
        return other

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Detector:  # noqa: ARG003 - Keras' signature
        return cls(**{**config, "size": tuple(config["size"])})

    def save(self, filepath: str | Path, **options: Any) -> None:
        """Write the detector to a ``.keras`` file, whole or not at all; without an optimizer's state.

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

    def export(
        self,
        filepath: str | Path,
        format: str = "tf_saved_model",  # noqa: A002 - Keras' signature
        verbose: bool | None = None,
        input_signature: Any = None,
        **options: Any,
    ) -> None:
        """Export the network as `keras.Model.export` does; the artifact gives the raw maps, not detections.

        Args:
            filepath: file or folder to write.
            format: ``tf_saved_model``, ``onnx`` or another format of Keras.
            verbose: print the signature of the artifact; None: as Keras chooses.
            input_signature: a list of one `keras.InputSpec`; None: float32 images (B, H, W, 3) of the canvas.
            **options: further options of Keras for the format.
        """
        if input_signature is None:
            input_signature = [keras.InputSpec(shape=(None, *self.canvas, 3), dtype="float32")]
        super().export(str(filepath), format, verbose=verbose, input_signature=input_signature, **options)

    def summary(self, *arguments: Any, **options: Any) -> None:
        """Print the layers of the network, as `keras.Model.summary` does."""
        self.network.summary(*arguments, **options)


class _Finder(keras.Model):
    """A detector with decoding and suppression behind it, so that Keras compiles all three as one."""

    def __init__(self, detector: Detector, nms: NmsConfig):
        super().__init__(name="finder")
        self.detector = detector
        self.nms = nms
        self.built = True

    def call(self, images: Tensor) -> dict[str, Tensor]:
        maps = self.detector(images, training=False)
        return suppress(decode(maps, self.detector.slots), self.nms)._asdict()


class _Runtime:
    """Compiled functions of a detector, kept where Keras does not take them for its layers."""

    def __init__(self) -> None:
        self.finders: dict[NmsConfig, Callable[[NDArray[Any]], dict[str, NDArray[Any]]]] = {}
        self.networks: dict[tuple[int, int], keras.Model] = {}

    def network(self, detector: Detector, canvas: tuple[int | None, int | None]) -> keras.Model:
        """The network for pictures of a size; it is built when it is first asked for."""
        height, width = canvas
        if height is None or width is None or (height, width) == detector.canvas:
            return detector.network
        if (height, width) not in self.networks:
            self.networks[height, width] = detector.network_on((height, width))
        return self.networks[height, width]

    def finder(self, detector: Detector, nms: NmsConfig) -> Callable[[NDArray[Any]], dict[str, NDArray[Any]]]:
        if nms not in self.finders:
            self.finders[nms] = predictor(_Finder(detector, nms))
        return self.finders[nms]
