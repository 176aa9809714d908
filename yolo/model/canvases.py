"""One detector on several canvases: further graphs of the same layers, for training at changing sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from yolo.errors import ConfigError
from yolo.model.architecture import design
from yolo.model.backbones import backbone_of
from yolo.model.layers import Convolution, Convolutions
from yolo.ops.boxes import Tensor

if TYPE_CHECKING:
    from yolo.model.detector import Detector


class SameConvolutions(Convolutions):
    """Hands out a network's convolutions again, in the order in which they were made."""

    def __init__(self, made: list[Convolution]):
        super().__init__(seed=0)
        self._rest = iter(made)

    def __call__(self, inputs: Tensor, *_: Any, **options: Any) -> Tensor:  # noqa: ARG002 - those they were made with
        return next(self._rest)(inputs)


def network_on(detector: Detector, canvas: tuple[int, int]) -> keras.Model:
    """A detector's network for another (height, width): the same layers, and so the same weights.

    Raises:
        ConfigError: the network's grids do not divide that canvas, or its backbone is one of Keras', which
            are made for one size.
    """
    if backbone_of(detector) is not None:
        raise ConfigError(f"model {detector.variant}: a Keras backbone is made for one size; leave out multi_scale")
    own = detector.architecture
    other = design(
        own.model,
        cfg=own.cfg,
        classes=len(detector.classes),
        anchors=own.anchors,
        size=canvas,
        letterbox=own.letterbox,
    )
    return detector.assemble(other, SameConvolutions(detector.convolutions))
