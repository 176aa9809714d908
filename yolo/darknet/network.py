"""Data classes for the layers of a Darknet network, their settings and shapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from yolo.config import LetterboxMode, NmsConfig
from yolo.darknet.cfg import Section

PICTURE = -1
"""Input index of a layer that takes the image itself."""


class Shape(NamedTuple):
    """Shape of a layer's output for one image."""

    height: int
    width: int
    channels: int


@dataclass(frozen=True)
class Convolution:
    """Settings of ``[convolutional]``."""

    filters: int
    size: int
    strides: tuple[int, int]
    """(vertical, horizontal)."""
    padding: int
    """Zeros on each of the four sides."""
    groups: int
    batch_normalize: bool
    activation: str
    channels: int
    """Input channels."""

    @property
    def kernel_shape(self) -> tuple[int, int, int, int]:
        """Shape in Darknet's files: filters, channels per group, height, width."""
        return self.filters, self.channels // self.groups, self.size, self.size

    @property
    def weights(self) -> int:
        """Numbers in a weights file: four per filter with batch norm, else its bias; and the kernels."""
        per_filter = self.kernel_shape[1] * self.size * self.size
        return self.filters * (per_filter + (4 if self.batch_normalize else 1))


@dataclass(frozen=True)
class MaxPool:
    """Settings of ``[maxpool]``: windows start at ``-padding // 2``; padding never is the maximum."""

    size: int
    strides: tuple[int, int]
    padding: int
    """Total padding per axis, before and after the map."""


@dataclass(frozen=True)
class AveragePool:
    """Settings of ``[avgpool]``, which averages the whole map."""


@dataclass(frozen=True)
class Upsample:
    """Settings of ``[upsample]``: every value repeated, multiplied by ``scale``."""

    stride: int
    scale: float


@dataclass(frozen=True)
class Route:
    """Settings of ``[route]``: the inputs' channels concatenated, or one group of the channels of each."""

    groups: int
    group: int


@dataclass(frozen=True)
class Shortcut:
    """Settings of ``[shortcut]``: the sum of the inputs, with the channels of the first."""

    activation: str


@dataclass(frozen=True)
class Scale:
    """Settings of ``[scale_channels]`` and ``[sam]``: the second input times the first."""

    activation: str


@dataclass(frozen=True)
class Dropout:
    """Settings of ``[dropout]``."""

    probability: float


@dataclass(frozen=True)
class Reorganize:
    """Settings of ``[reorg]``: blocks of ``stride`` x ``stride`` cells become channels."""

    stride: int


@dataclass(frozen=True)
class Softmax:
    """Settings of ``[softmax]``, the end of a classifier."""


@dataclass(frozen=True)
class Head:
    """Settings of ``[yolo]`` or ``[region]``: how the output of the convolution before it is decoded."""

    anchors: tuple[tuple[float, float], ...]
    """Widths and heights of this head's anchors in canvas pixels."""
    classes: int
    stride: int
    """Canvas pixels per cell."""
    scale_xy: float
    sizes: Literal["exponential", "squared"]
    softmax: bool
    """Whether the classes are mutually exclusive."""
    nms_kind: str = "default"
    """Kind of suppression, as written."""
    beta_nms: float = NmsConfig.beta


Settings = (
    Convolution | MaxPool | AveragePool | Upsample | Route | Shortcut | Scale | Dropout | Reorganize | Softmax | Head
)


@dataclass(frozen=True)
class Layer:
    """Section after ``[net]``, with its inputs and output shape."""

    index: int
    """Darknet's index of the layer, from 0."""
    section: Section
    inputs: tuple[int, ...]
    """Indices of other layers, or `PICTURE`."""
    settings: Settings
    shape: Shape


@dataclass(frozen=True)
class Plan:
    """Checked description of a whole network."""

    source: str
    net: Section
    canvas: tuple[int, int]
    """(height, width) of the input."""
    letterbox: LetterboxMode
    layers: tuple[Layer, ...]

    @property
    def convolutions(self) -> list[Convolution]:
        """Convolutions in the order of the weights file."""
        return [each.settings for each in self.layers if isinstance(each.settings, Convolution)]

    @property
    def heads(self) -> list[Layer]:
        """Heads, coarse to fine; those of equal stride in the file's order."""
        heads = [each for each in self.layers if isinstance(each.settings, Head)]
        return sorted(heads, key=lambda layer: -head_of(layer).stride)


def head_of(layer: Layer) -> Head:
    """Settings of a layer that is a head."""
    if not isinstance(layer.settings, Head):
        raise ValueError(f"expected a head, got [{layer.section.kind}]")
    return layer.settings
