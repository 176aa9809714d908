"""The layers of a Darknet network, their settings and shapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from yolo.config import LetterboxMode
from yolo.darknet.cfg import Section

PICTURE = -1
"""The input of a layer that takes the picture itself."""


class Shape(NamedTuple):
    """Of a layer's output for one picture."""

    height: int
    width: int
    channels: int


@dataclass(frozen=True)
class Convolution:
    """``[convolutional]``."""

    filters: int
    size: int
    strides: tuple[int, int]
    """Downwards and across."""
    padding: int
    """Zeros on each of the four sides."""
    groups: int
    batch_normalize: bool
    activation: str
    channels: int
    """That come in."""

    @property
    def kernel_shape(self) -> tuple[int, int, int, int]:
        """As in Darknet's files: filters, channels of a group, height, width."""
        return self.filters, self.channels // self.groups, self.size, self.size

    @property
    def weights(self) -> int:
        """Numbers in a weights file: with batch norm four of a filter, else its bias; and the kernels."""
        per_filter = self.kernel_shape[1] * self.size * self.size
        return self.filters * (per_filter + (4 if self.batch_normalize else 1))


@dataclass(frozen=True)
class MaxPool:
    """``[maxpool]``: windows from ``-padding // 2`` on; what lies outside of the map counts for nothing."""

    size: int
    strides: tuple[int, int]
    padding: int
    """In all, above and below together."""


@dataclass(frozen=True)
class AveragePool:
    """``[avgpool]``: over the whole map."""


@dataclass(frozen=True)
class Upsample:
    """``[upsample]``: every value repeated, times ``scale``."""

    stride: int
    scale: float


@dataclass(frozen=True)
class Route:
    """``[route]``: the inputs one behind the other, or one group of each one's channels."""

    groups: int
    group: int


@dataclass(frozen=True)
class Shortcut:
    """``[shortcut]``: the sum of the inputs, with the channels of the first."""

    activation: str


@dataclass(frozen=True)
class Scale:
    """``[scale_channels]`` and ``[sam]``: the second input times the first."""

    activation: str


@dataclass(frozen=True)
class Dropout:
    """``[dropout]``."""

    probability: float


@dataclass(frozen=True)
class Reorganize:
    """``[reorg]``: blocks of ``stride`` x ``stride`` cells become channels."""

    stride: int


@dataclass(frozen=True)
class Softmax:
    """``[softmax]``, the end of a classifier."""


@dataclass(frozen=True)
class Head:
    """``[yolo]`` or ``[region]``: what the numbers of the convolution before it mean."""

    anchors: tuple[tuple[float, float], ...]
    """Widths and heights of this head's anchors in canvas pixels."""
    classes: int
    stride: int
    """Canvas pixels a cell."""
    scale_xy: float
    sizes: Literal["exponential", "squared"]
    softmax: bool
    """The classes exclude each other."""


Settings = (
    Convolution | MaxPool | AveragePool | Upsample | Route | Shortcut | Scale | Dropout | Reorganize | Softmax | Head
)


@dataclass(frozen=True)
class Layer:
    """One section behind ``[net]``."""

    index: int
    """As Darknet counts, from 0."""
    section: Section
    inputs: tuple[int, ...]
    """Indices of other layers, or `PICTURE`."""
    settings: Settings
    shape: Shape


@dataclass(frozen=True)
class Plan:
    """A whole network."""

    source: str
    net: Section
    canvas: tuple[int, int]
    """(height, width) of the input."""
    letterbox: LetterboxMode
    layers: tuple[Layer, ...]

    @property
    def convolutions(self) -> list[Convolution]:
        """Those with weights, in the order of the weights file."""
        return [each.settings for each in self.layers if isinstance(each.settings, Convolution)]

    @property
    def heads(self) -> list[Layer]:
        """Coarse to fine; of one stride, in the file's order."""
        heads = [each for each in self.layers if isinstance(each.settings, Head)]
        return sorted(heads, key=lambda layer: -head_of(layer).stride)


def head_of(layer: Layer) -> Head:
    """The settings of a layer that is a head."""
    if not isinstance(layer.settings, Head):
        raise ValueError(f"expected a head, got [{layer.section.kind}]")
    return layer.settings
