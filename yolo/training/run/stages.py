"""Transfer learning in stages: first with the older layers frozen, then with all of them at different rates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import keras

from yolo.config import TrainConfig
from yolo.errors import ConfigError
from yolo.model.detector import Detector
from yolo.model.networks.keras_backbones import backbone_of


class Stage(NamedTuple):
    """Consecutive epochs that train the same layers."""

    first: int
    """First epoch, counted from 0."""
    end: int
    """Last epoch plus 1."""
    frozen: bool
    """Whether the older layers are frozen."""


def stages(config: TrainConfig) -> list[Stage]:
    """Stages of a run; they depend on its options only, so that it can be resumed in any epoch."""
    if config.freeze is None:
        return [Stage(0, config.epochs, frozen=False)]
    thaw = config.epochs if config.unfreeze_at is None else min(config.unfreeze_at, config.epochs)
    parts = [Stage(0, thaw, frozen=True), Stage(thaw, config.epochs, frozen=False)]
    return [stage for stage in parts if stage.first < stage.end]


def older_layers(detector: Detector, freeze: str) -> list[keras.layers.Layer]:
    """Layers that a value of ``--freeze`` names.

    Args:
        detector: detector with these layers.
        freeze: ``backbone``; ``neck``: all but the heads' last convolutions; or a number of layers with
            weights, counted from the input.

    Raises:
        ConfigError: the value is none of these, or would leave nothing to train.
    """
    ordered = ordered_layers(detector)
    heads = {each.name for each in detector.heads}
    if freeze == "neck":
        return [layer for layer in ordered if layer.name not in heads]
    if freeze == "backbone":
        return ordered[: backbone_length(detector, ordered)]
    if not freeze.isdecimal() or not 0 < int(freeze) < len(ordered):
        raise ConfigError(f"freeze must be backbone, neck or a number of layers in 1..{len(ordered) - 1}, got {freeze}")
    return ordered[: int(freeze)]


def ordered_layers(detector: Detector) -> list[keras.layers.Layer]:
    """Layers with weights, from the input on: a Keras backbone's, then the convolutions in Darknet's order."""
    backbone = backbone_of(detector.network)
    inner = [layer for layer in backbone.layers if layer.weights] if backbone is not None else []
    return [*inner, *detector.convolutions]


def backbone_length(detector: Detector, ordered: list[keras.layers.Layer]) -> int:
    """Number of ordered layers that belong to the backbone."""
    return len(ordered) - len(detector.convolutions) + detector.architecture.backbone


def set_frozen(detector: Detector, config: TrainConfig, *, frozen: bool) -> list[Any]:
    """Freeze or unfreeze the older layers.

    A frozen layer's weights do not change by a bit, and its batch norm uses and keeps its moving statistics.

    Returns:
        Variables of the older layers; empty if the run freezes nothing.
    """
    if config.freeze is None:
        return []
    older = older_layers(detector, str(config.freeze))
    for layer in older:
        layer.trainable = not frozen
    return [variable for layer in older for variable in layer.weights]


def frozen_layers(detector: Detector) -> list[int]:
    """Indices of the frozen layers in `ordered_layers`; not names, as Keras renumbers those of some backbones."""
    return [index for index, layer in enumerate(ordered_layers(detector)) if not layer.trainable]


def freeze_layers(detector: Detector, indices: Sequence[int]) -> None:
    """Freeze the layers with these indices in `ordered_layers`."""
    ordered = ordered_layers(detector)
    for index in indices:
        ordered[index].trainable = False


@contextmanager
def restored(detector: Detector) -> Iterator[None]:
    """Restore every layer's ``trainable`` flag on exit."""
    before = {id(layer): layer.trainable for layer in ordered_layers(detector)}
    try:
        yield
    finally:
        for layer in ordered_layers(detector):
            layer.trainable = before[id(layer)]


def describe_stage(detector: Detector, config: TrainConfig, stage: Stage) -> str:
    """Describe in words which layers a stage trains."""
    older = older_layers(detector, str(config.freeze))
    which = f"the first {len(older)} of {len(ordered_layers(detector))} layers ({older[0].name} to {older[-1].name})"
    if stage.frozen:
        return f"epochs {stage.first + 1} to {stage.end}: {which} are frozen, statistics too"
    return f"epochs {stage.first + 1} to {stage.end}: all is trained, {which} at {config.unfrozen_rate:g} of the rate"
