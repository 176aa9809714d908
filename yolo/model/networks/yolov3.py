"""YOLOv3, YOLOv3-SPP and YOLOv3-tiny, convolutions in the order of Darknet's weights files.

Each takes images (B, H, W, 3), RGB in 0..255, and returns one (B, h, w, A x (5 + C)) map per scale, coarse to fine.
Shape comments are for 416 x 416.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from keras import layers

from yolo.model.networks.layers import Convolutions
from yolo.ops.boxes import Tensor

DARKNET53_STAGES = ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4))
"""Filters and residual blocks of each stage (YOLOv3, table 1)."""
NECK = (512, 256, 128)
"""Filters of the narrow convolutions before each head, coarse to fine; the wide ones have twice as many."""


def darknet53(images: Tensor, conv: Convolutions) -> list[Tensor]:
    """Darknet-53 without its classifier (YOLOv3, section 2.4): feature maps of strides 32, 16 and 8."""
    x = conv(layers.Rescaling(1 / 255)(images), 32, 3)  # 416
    stages = []
    for filters, blocks in DARKNET53_STAGES:
        x = conv(x, filters, 3, strides=2)  # 208, 104, 52, 26, 13
        for _ in range(blocks):
            x = layers.add([x, conv(conv(x, filters // 2, 1), filters, 3)])
        stages.append(x)
    return stages[:1:-1]


def yolov3(images: Tensor, conv: Convolutions, biases: Sequence[Any]) -> list[Tensor]:
    """YOLOv3: Darknet-53, a feature pyramid and three heads (YOLOv3, section 2.3)."""
    return pyramid(darknet53(images, conv), conv, biases)


def pyramid(
    features: Sequence[Tensor], conv: Convolutions, biases: Sequence[Any], *, pooling: bool = False
) -> list[Tensor]:
    """Feature pyramid with a head per scale, on backbone maps of strides 32, 16 and 8 (YOLOv3, section 2.3).

    ``pooling`` puts spatial pyramid pooling before the coarsest head (yolov3-spp).
    """
    heads: list[Tensor] = []
    x = None
    for own, filters, bias in zip(features, NECK, biases, strict=True):
        joined = own if x is None else layers.concatenate([layers.UpSampling2D()(conv(x, filters, 1)), own])
        x = neck(joined, filters, conv, pooling=pooling and not heads)
        heads.append(conv.head(conv(x, 2 * filters, 3), bias))  # 13, 26, 52
    return heads


def neck(x: Tensor, filters: int, conv: Convolutions, *, pooling: bool) -> Tensor:
    """Five convolutions between a scale's features and its head; spatial pyramid pooling between them adds one."""
    x = conv(conv(conv(x, filters, 1), 2 * filters, 3), filters, 1)
    if pooling:
        pools = [layers.MaxPooling2D(size, strides=1, padding="same")(x) for size in (13, 9, 5)]
        x = conv(layers.concatenate([*pools, x]), filters, 1)
    return conv(conv(x, 2 * filters, 3), filters, 1)


def yolov3_spp(images: Tensor, conv: Convolutions, biases: Sequence[Any]) -> list[Tensor]:
    """YOLOv3 with spatial pyramid pooling."""
    return pyramid(darknet53(images, conv), conv, biases, pooling=True)


def yolov3_tiny(images: Tensor, conv: Convolutions, biases: Sequence[Any]) -> list[Tensor]:
    """YOLOv3-tiny: seven convolutions with pooling between them, and two heads."""
    x = conv(layers.Rescaling(1 / 255)(images), 16, 3)  # 416
    for filters in (32, 64, 128, 256):
        x = conv(layers.MaxPooling2D(2)(x), filters, 3)  # 208, 104, 52, 26
    fine = x
    x = conv(layers.MaxPooling2D(2)(x), 512, 3)  # 13
    # Darknet pads this stride-1 pool below and to the right, as "same" does.
    x = conv(layers.MaxPooling2D(2, strides=1, padding="same")(x), 1024, 3)
    x = conv(x, 256, 1)
    coarse = conv.head(conv(x, 512, 3), biases[0])  # 13
    x = layers.concatenate([layers.UpSampling2D()(conv(x, 128, 1)), fine])
    return [coarse, conv.head(conv(x, 256, 3), biases[1])]  # 13, 26


@dataclass(frozen=True)
class Variant:
    """Built-in network: its layers, strides, published anchors and sizes."""

    build: Callable[[Tensor, Convolutions, Sequence[Any]], list[Tensor]]
    strides: tuple[int, ...]
    """Stride of each scale, coarse to fine."""
    anchors: str
    """Name of the published anchors it uses."""
    weights: int
    """Numbers in its weights file apart from those of the classes."""
    weights_of_class: int
    """Numbers in its weights file per class."""
    backbone: int
    """Number of convolutions, counted from the first, that form the backbone."""


VARIANTS = {
    "yolov3": Variant(yolov3, (32, 16, 8), "yolov3-coco", 61_570_957, 5_385, 52),
    "yolov3-spp": Variant(yolov3_spp, (32, 16, 8), "yolov3-coco", 62_621_581, 5_385, 52),
    "yolov3-tiny": Variant(yolov3_tiny, (32, 16), "yolov3-tiny-coco", 8_673_934, 2_310, 7),
}
