"""What is checked before a run begins, as it would otherwise come to light in the middle of a compiled step."""

from __future__ import annotations

from yolo.config import TrainConfig
from yolo.datasets.pipeline.multi_scale import canvases
from yolo.errors import ConfigError
from yolo.model.detector import Detector


def check_canvases(detector: Detector, config: TrainConfig) -> None:
    """See whether a run's network can be had on every canvas that ``multi_scale`` brings.

    The built-in networks can. The graphs of a Darknet file are built, and once more when they are trained: that takes a
    tenth of a second each.

    Raises:
        ConfigError: it cannot.
    """
    others = [canvas for canvas in canvases(detector.canvas, config.multi_scale) if canvas != detector.canvas]
    if others and detector.architecture.fixed_canvas:
        raise ConfigError(f"model {detector.variant}: a Keras backbone is made for one size; leave out multi_scale")
    if detector.architecture.cfg is None:
        return
    for canvas in others:
        try:
            check_strides(detector, canvas)
        except ConfigError as error:
            height, width = canvas
            raise ConfigError(
                f"multi_scale {config.multi_scale:g} asks for a canvas of {height} x {width}: {error}; leave it out"
            ) from error


def check_strides(detector: Detector, canvas: tuple[int, int]) -> None:
    """See whether a network has the same strides on another (height, width).

    Raises:
        ConfigError: it has others, or cannot be built there at all.
    """
    network = detector.network_on(canvas)
    for stride, output in zip(detector.architecture.strides, network.outputs, strict=True):
        if tuple(side * stride for side in output.shape[1:3]) != canvas:
            raise ConfigError(f"model {detector.variant}: its stride of {stride} does not divide that")
