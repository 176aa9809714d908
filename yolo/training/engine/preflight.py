"""Checks before training that every multi-scale canvas fits the network."""

from __future__ import annotations

from yolo.config import TrainConfig
from yolo.datasets.pipeline.multi_scale import canvases
from yolo.errors import ConfigError
from yolo.model.detector import Detector


def check_canvases(detector: Detector, config: TrainConfig) -> None:
    """Check that a run's network can be built for every canvas of ``multi_scale``.

    Built-in networks always can. For a Darknet file the graphs are built here, and again during training: a tenth of a
    second each. Unchecked, the error would appear in the middle of a compiled step.

    Raises:
        ConfigError: a canvas does not fit.
    """
    others = [canvas for canvas in canvases(detector.canvas, config.multi_scale) if canvas != detector.canvas]
    if others and detector.architecture.fixed_canvas:
        raise ConfigError(f"model {detector.variant}: a Keras backbone has a fixed size; leave out multi_scale")
    if detector.architecture.cfg is None:
        return
    for canvas in others:
        try:
            check_strides(detector, canvas)
        except ConfigError as error:
            height, width = canvas
            raise ConfigError(
                f"multi_scale {config.multi_scale:g} includes a canvas of {height} x {width}: {error}; leave it out"
            ) from error


def check_strides(detector: Detector, canvas: tuple[int, int]) -> None:
    """Check that a network has the same strides on another (height, width).

    Raises:
        ConfigError: the strides differ, or the network cannot be built for that size.
    """
    network = detector.network_on(canvas)
    for stride, output in zip(detector.architecture.strides, network.outputs, strict=True):
        if tuple(side * stride for side in output.shape[1:3]) != canvas:
            raise ConfigError(f"model {detector.variant}: its stride of {stride} does not divide it")
