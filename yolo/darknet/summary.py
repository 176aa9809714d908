"""Layer-by-layer summary of a network (shapes, parameters, operations), made here from a Darknet file."""

from __future__ import annotations

import math
from dataclasses import dataclass

from yolo.darknet import network as darknet
from yolo.darknet.network import Layer, Plan


@dataclass(frozen=True)
class Row:
    """Summary of one layer."""

    name: str
    kind: str
    shape: tuple[int, ...]
    """Shape of its output for one image: height, width, channels."""
    parameters: int = 0
    flops: int = 0
    """Operations for one image: two, a multiplication and an addition, per weight and output position.

    Only convolutions and dense layers count, as in Darknet (its BFLOPs are 10**9 of these).
    """


@dataclass(frozen=True)
class Summary:
    """Summary of a whole network."""

    rows: tuple[Row, ...]
    trainable: int
    """Parameters that training changes."""
    fixed: int
    """Other parameters: running means and variances, frozen layers."""

    @property
    def parameters(self) -> int:
        return self.trainable + self.fixed

    @property
    def flops(self) -> int:
        return sum(row.flops for row in self.rows)


def summarise_plan(plan: Plan) -> Summary:
    """Summarise the layers of a Darknet network file without building it."""
    parameters = sum(each.weights for each in plan.convolutions)
    # Two of the four batch norm numbers per filter: mean and variance.
    fixed = sum(2 * each.filters for each in plan.convolutions if each.batch_normalize)
    return Summary(tuple(_row(layer) for layer in plan.layers), parameters - fixed, fixed)


def _row(layer: Layer) -> Row:
    name, settings = str(layer.index), layer.settings
    if not isinstance(settings, darknet.Convolution):
        return Row(name, layer.section.kind, layer.shape)
    kind = convolution_kind(
        settings.kernel_shape[2:],
        settings.strides,
        groups=settings.groups,
        depthwise=settings.groups == settings.channels == settings.filters > 1,
    )
    flops = 2 * math.prod(settings.kernel_shape) * layer.shape.height * layer.shape.width
    return Row(name, f"{kind} {settings.activation}", layer.shape, settings.weights, flops)


def convolution_kind(
    size: tuple[int, int], strides: tuple[int, int], *, groups: int = 1, depthwise: bool = False
) -> str:
    """Describe a convolution in words, such as ``convolution 3x3 /2``."""
    down, across = strides
    step = "" if down == across == 1 else f" /{down}" if down == across else f" /{down}x{across}"
    shared = f" in {groups} groups" if groups > 1 and not depthwise else ""
    return f"{'depthwise' if depthwise else 'convolution'} {size[0]}x{size[1]}{step}{shared}"
