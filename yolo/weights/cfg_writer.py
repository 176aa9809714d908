"""Conversion of a Detector's network to the text of a Darknet .cfg file."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import layers

from yolo.darknet.edit import pairs, set_nms
from yolo.darknet.network import PICTURE
from yolo.errors import WeightsError
from yolo.model.detector import Detector
from yolo.model.networks.keras_backbones import backbone_of
from yolo.model.networks.layers import Convolution

logger = logging.getLogger(__name__)


def to_cfg(detector: Detector) -> str:
    """Write the .cfg text that, with the detector's weights, gives the same outputs.

    For a detector made from a .cfg file it is that file, with the current classes, anchors and canvas.

    Raises:
        WeightsError: a layer has no Darknet section.
    """
    if backbone_of(detector.network) is not None:
        raise WeightsError(f"{detector.variant} is not a Darknet network; save it as .keras")
    if detector.architecture.cfg is not None:
        return _with_nms(detector, detector.architecture.cfg)
    sections = _Sections()
    sections.add(
        "net",
        height=detector.canvas[0],
        width=detector.canvas[1],
        channels=3,
        letter_box=int(detector.letterbox == "letterbox"),
    )
    shapes = detector.architecture.anchors
    first = sum(map(len, shapes))
    for output, own in zip(detector.network.outputs, shapes, strict=True):
        first -= len(own)
        sections.visit(output)
        sections.add(
            "yolo",
            mask=",".join(str(first + index) for index in range(len(own))),
            anchors=pairs(np.concatenate(shapes[::-1])),
            classes=len(detector.classes),
            num=sum(map(len, shapes)),
        )
    return _with_nms(detector, "\n\n".join(sections.texts) + "\n")


def _with_nms(detector: Detector, text: str) -> str:
    """Write the detector's kind of NMS into the text, unless it says the same or Darknet has no such kind."""
    own, wanted = detector.architecture.nms, detector.nms
    if (own.kind, own.beta) == (wanted.kind, wanted.beta):
        return text
    if wanted.kind == "soft":
        logger.warning("soft-NMS is no kind of Darknet's; the .cfg file keeps %s", own.kind)
        return text
    return set_nms(text, detector.variant, wanted)


class _Sections:
    """Sections written so far; layers count from 0 after ``[net]``."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.index_of: dict[int, int] = {}
        self.convolutions = 0

    @property
    def last(self) -> int:
        return len(self.texts) - 2

    def add(self, kind: str, **options: object) -> int:
        """Append a section and return its layer index."""
        self.texts.append("\n".join([f"[{kind}]", *(f"{key}={value}" for key, value in options.items())]))
        return self.last

    def visit(self, tensor: Any) -> int:
        """Write the layers that a tensor of the network depends on, then its own, and return its layer index."""
        if id(tensor) not in self.index_of:
            operation, node, _ = tensor._keras_history
            sources = [self.visit(each) for each in operation._inbound_nodes[node].input_tensors]
            self.index_of[id(tensor)] = self._write(operation, sources)
        return self.index_of[id(tensor)]

    def _write(self, operation: Any, sources: Sequence[int]) -> int:
        """Write an operation on layers already written, and return its layer index."""
        match operation:
            case layers.InputLayer() | layers.Rescaling():
                return PICTURE
            case layers.Reshape():  # a head's numbers, in Darknet's order
                return sources[0]
            case layers.Concatenate():
                return self.add("route", layers=",".join(str(self._back(each)) for each in sources))
            case layers.Add():
                others = ",".join(str(self._back(each)) for each in sources if each != self.last)
                return self.add("shortcut", **{"from": others}, activation="linear")
        if sources[0] != self.last:
            self.add("route", layers=self._back(sources[0]))
        return self._write_next(operation)

    def _write_next(self, operation: Any) -> int:
        """Write an operation whose input is the last layer."""
        match operation:
            case Convolution():
                return self._convolution(operation)
            case layers.MaxPooling2D():
                return self.add("maxpool", size=operation.pool_size[0], stride=operation.strides[0])
            case layers.UpSampling2D():
                return self.add("upsample", stride=operation.size[0])
        raise WeightsError(
            f"{operation.name}: a {type(operation).__name__} layer cannot be written as Darknet's; save it as .keras"
        )

    def _back(self, index: int) -> int:
        """Relative index of a layer, counted backwards from the next one."""
        return index - self.last - 1

    def _convolution(self, layer: Convolution) -> int:
        if layer.name != f"conv_{self.convolutions}":
            raise ValueError(f"expected conv_{self.convolutions} next in Darknet's order, got {layer.name}")
        self.convolutions += 1
        inner = layer.convolution
        norm = {"batch_normalize": 1} if layer.batch_norm is not None else {}
        return self.add(
            "convolutional",
            **norm,
            filters=inner.filters,
            size=inner.kernel_size[0],
            stride=inner.strides[0],
            pad=1,
            activation=layer.activation,
        )
