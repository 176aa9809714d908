"""Darknet's weights files: a header, then the numbers of each convolution in the network's order.

    int32 major, minor, revision; images seen in training: int64 from version 0.2 on, int32 before
    for each convolution: biases (F), with batch norm also scales, means and variances (F each); kernels (F, C, K, K)

All little-endian, numbers as float32.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yolo.darknet.network import Convolution
from yolo.errors import WeightsError
from yolo.files.atomic import exists, write_whole
from yolo.files.bounded import open_or_fault

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Header:
    """Header of a weights file."""

    major: int = 0
    minor: int = 2
    revision: int = 5
    seen: int = 0
    """Images the network has been trained on."""

    @property
    def wide(self) -> bool:
        """Whether the image count has 64 bits."""
        return self.major * 10 + self.minor >= 2

    @property
    def size(self) -> int:
        """Size of the header in bytes."""
        return 20 if self.wide else 16

    def to_bytes(self) -> bytes:
        version = np.array([self.major, self.minor, self.revision], "<i4").tobytes()
        return version + np.array(self.seen, "<i8" if self.wide else "<i4").tobytes()


@dataclass(frozen=True)
class ConvolutionWeights:
    """Numbers of one convolution with F filters."""

    biases: Array
    """(F,)"""
    kernel: Array
    """(F, channels per group, K, K)"""
    scales: Array | None = None
    """(F,) of the batch norm; None without one."""
    means: Array | None = None
    """(F,)"""
    variances: Array | None = None
    """(F,)"""

    def parts(self) -> list[Array]:
        """Arrays in the order of the file."""
        norm = (self.scales, self.means, self.variances)
        return [self.biases, *(part for part in norm if part is not None), self.kernel]


def read_header(path: str | Path) -> Header:
    """Read the header of a weights file.

    Raises:
        WeightsError: the file is missing, cannot be read, or has no such header.
    """
    if not exists(path):
        raise WeightsError(f"{path}: no such file")
    with open_or_fault(path, WeightsError) as file:
        content = file.read(20)
    if len(content) < 16:
        raise WeightsError(f"{path}: {len(content)} bytes; a Darknet weights file begins with at least 16")
    major, minor, revision = (int(each) for each in np.frombuffer(content, "<i4", 3))
    if not (0 <= major < 1000 and 0 <= minor < 1000):
        raise WeightsError(f"{path}: version {major}.{minor} in its first bytes; not a Darknet weights file")
    header = Header(major, minor, revision)
    if len(content) < header.size:
        raise WeightsError(f"{path}: {len(content)} bytes; its header alone has {header.size}")
    seen = int(np.frombuffer(content, "<i8" if header.wide else "<i4", 1, offset=12)[0])
    return Header(major, minor, revision, seen)


def read_weights(
    path: str | Path, convolutions: Sequence[Convolution], *, partial: bool = False
) -> tuple[Header, list[ConvolutionWeights]]:
    """Read the header and the convolutions of a weights file.

    Args:
        path: file to read.
        convolutions: settings of the network's convolutions, in its order.
        partial: accept a file that ends after any convolution, such as ``darknet53.conv.74``.

    Returns:
        The header, and as many convolutions as the file holds.

    Raises:
        WeightsError: the file belongs to another network; says where the two differ, with the byte counts.
    """
    if not convolutions:
        raise WeightsError(f"{path}: the network is not Darknet's: it has no convolutions to put the weights into")
    header = read_header(path)
    ends = header.size + 4 * np.cumsum([each.weights for each in convolutions], dtype=np.int64)
    with open_or_fault(path, WeightsError) as file:
        size = os.fstat(file.fileno()).st_size
        numbers = np.fromfile(file, "<f4", int((min(size, ends[-1]) - header.size) // 4), offset=header.size)
    held = int(np.searchsorted(ends, size, side="right"))
    begin = int(ends[held - 1]) if held else header.size
    whole = size == begin
    counts = [each.weights for each in convolutions[:held]]
    parts = np.split(numbers[: sum(counts)], np.cumsum(counts)[:-1]) if held else []
    found = [_take(part, each) for part, each in zip(parts, convolutions, strict=False)]
    _check_numbers(path, found, f"{size} bytes, the network needs {ends[-1]}")
    if held == len(ends) and not whole:
        raise WeightsError(
            f"{path}: {size} bytes, but the network ends with conv_{held - 1} at {ends[-1]}: "
            f"{size - ends[-1]} too many; the file is of another network"
        )
    if held < len(ends) and not (whole and partial and held):
        raise WeightsError(
            f"{path}: {size} bytes, but the network needs {ends[-1]}: the file ends "
            + (f"before conv_{held}" if whole else f"within conv_{held} (bytes {begin} to {ends[held]})")
            + "; it is cut off or of another network"
        )
    return header, found


def _take(numbers: Array, convolution: Convolution) -> ConvolutionWeights:
    """Split the numbers of one convolution into its arrays."""
    vectors = 4 if convolution.batch_normalize else 1
    biases, *norm = numbers[: vectors * convolution.filters].reshape(vectors, -1)
    return ConvolutionWeights(biases, numbers[vectors * convolution.filters :].reshape(convolution.kernel_shape), *norm)


def _check_numbers(path: str | Path, found: Sequence[ConvolutionWeights], sizes: str) -> None:
    """Reject numbers that no training produces: they show that the file belongs to another network.

    Raises:
        WeightsError: a variance is negative, or a number is not finite.
    """
    for index, each in enumerate(found):
        if not all(np.isfinite(part).all() for part in each.parts()):
            fault = "numbers that are not finite"
        elif each.variances is not None and (each.variances < 0).any():
            fault = "negative variances"
        else:
            continue
        raise WeightsError(
            f"{path}: {fault} in conv_{index}: the file is of another network, which parts from this "
            f"one at conv_{index} or before, or it is damaged ({sizes})"
        )


def write_weights(path: str | Path, header: Header, convolutions: Sequence[ConvolutionWeights]) -> None:
    """Write a weights file atomically.

    Raises:
        WeightsError: the file cannot be written.
    """

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            file.write(header.to_bytes())
            for each in convolutions:
                for part in each.parts():
                    file.write(np.ascontiguousarray(part, "<f4").tobytes())

    write_whole(path, write, error=WeightsError)
