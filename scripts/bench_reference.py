"""Reference for `bench_train.py`: one training step of the same networks in plain PyTorch.

    python scripts/bench_reference.py --model yolov3-tiny --batch 16 --precision bfloat16

Needs PyTorch alone, and may run in an environment of its own: `bench_train.py --reference PYTHON` starts it there and
takes turns with it (``--serve``: a step for every line on standard input, its seconds on standard output).

The step is forward, backward of the mean of the raw maps, and SGD with Nesterov momentum and a clipped gradient:
no target assignment and no loss, which makes it the cheapest possible step of this network in PyTorch.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import nn

OUTPUTS = 3 * 85
"""Channels of a head: three anchors with four coordinates, objectness and 80 classes."""


def conv(inputs: int, filters: int, kernel_size: int, stride: int = 1) -> nn.Sequential:
    """Darknet's convolution with batch norm and leaky ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, filters, kernel_size, stride, kernel_size // 2, bias=False),
        nn.BatchNorm2d(filters, eps=1e-6, momentum=0.03),
        nn.LeakyReLU(0.1, inplace=True),
    )


class Residual(nn.Module):
    """Two convolutions with a skip connection."""

    def __init__(self, filters: int):
        super().__init__()
        self.inner = nn.Sequential(conv(filters, filters // 2, 1), conv(filters // 2, filters, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.inner(x)


def stage(filters: int, blocks: int) -> nn.Sequential:
    """Stage of Darknet-53: downsampling by two, then residual blocks."""
    return nn.Sequential(conv(filters // 2, filters, 3, 2), *(Residual(filters) for _ in range(blocks)))


def neck(inputs: int, filters: int) -> nn.Sequential:
    """Five convolutions between a scale's features and its head."""
    wide = 2 * filters
    return nn.Sequential(
        conv(inputs, filters, 1),
        conv(filters, wide, 3),
        conv(wide, filters, 1),
        conv(filters, wide, 3),
        conv(wide, filters, 1),
    )


def head(inputs: int, filters: int) -> nn.Sequential:
    return nn.Sequential(conv(inputs, filters, 3), nn.Conv2d(filters, OUTPUTS, 1))


class Yolov3(nn.Module):
    """Darknet-53, a feature pyramid and three heads."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(conv(3, 32, 3), stage(64, 1), stage(128, 2), stage(256, 8))
        self.middle, self.coarse = stage(512, 8), stage(1024, 4)
        self.necks = nn.ModuleList([neck(1024, 512), neck(768, 256), neck(384, 128)])
        self.heads = nn.ModuleList([head(512, 1024), head(256, 512), head(128, 256)])
        self.laterals = nn.ModuleList([conv(512, 256, 1), conv(256, 128, 1)])
        self.upsample = nn.Upsample(scale_factor=2)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        fine = self.fine(images)
        middle = self.middle(fine)
        x = self.necks[0](self.coarse(middle))
        maps = [self.heads[0](x)]
        for index, feature in enumerate((middle, fine)):
            joined = torch.cat([self.upsample(self.laterals[index](x)), feature], 1)
            x = self.necks[index + 1](joined)
            maps.append(self.heads[index + 1](x))
        return maps


class Yolov3Tiny(nn.Module):
    """Seven convolutions with pooling between, and two heads."""

    def __init__(self) -> None:
        super().__init__()
        backbone: list[nn.Module] = [conv(3, 16, 3)]
        for filters in (32, 64, 128, 256):
            backbone += [nn.MaxPool2d(2), conv(filters // 2, filters, 3)]
        self.fine = nn.Sequential(*backbone)
        self.coarse = nn.Sequential(
            nn.MaxPool2d(2),
            conv(256, 512, 3),
            nn.ZeroPad2d((0, 1, 0, 1)),
            nn.MaxPool2d(2, 1),
            conv(512, 1024, 3),
            conv(1024, 256, 1),
        )
        self.heads = nn.ModuleList([head(256, 512), head(384, 256)])
        self.lateral, self.upsample = conv(256, 128, 1), nn.Upsample(scale_factor=2)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        fine = self.fine(images)
        coarse = self.coarse(fine)
        joined = torch.cat([self.upsample(self.lateral(coarse)), fine], 1)
        return [self.heads[0](coarse), self.heads[1](joined)]


NETWORKS: dict[str, Callable[[], nn.Module]] = {"yolov3": Yolov3, "yolov3-tiny": Yolov3Tiny}


def make_step(model: str, size: int, batch: int, *, precision: str) -> Callable[[], tuple[float, float]]:
    """Make a function that runs one step and returns its elapsed and its processor seconds."""
    torch.manual_seed(0)
    network = NETWORKS[model]().train()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.937, nesterov=True)
    images = torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8)

    def step() -> tuple[float, float]:
        began, worked = time.perf_counter(), time.process_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision != "float32"):
            maps = network(images.float() / 255)
        loss = sum(raw.float().mean() for raw in maps)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimizer.step()
        return time.perf_counter() - began, time.process_time() - worked

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=NETWORKS, default="yolov3-tiny")
    parser.add_argument("--size", type=int, default=416)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--precision", default="float32", help="or bfloat16")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--serve", action="store_true", help="a step for every line on standard input")
    arguments = parser.parse_args()
    step = make_step(arguments.model, arguments.size, arguments.batch, precision=arguments.precision)
    if arguments.serve:
        for _ in sys.stdin:
            print(*step(), flush=True)
        return
    step()
    seconds = statistics.median(step()[0] for _ in range(arguments.repeats))
    print(f"{arguments.model} {arguments.precision}: {seconds:.3f} s, {arguments.batch / seconds:.2f} images/s")


if __name__ == "__main__":
    main()
