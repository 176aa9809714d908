"""Rate of `yolov3 data check`, beside plain decoding of the same files.

    python scripts/bench_check.py [--pictures 2000] [--threads 2] [--repeats 3]

Decoding alone, the scan of the images and the whole check take turns in one run. The comparison of every image with
every other is also measured at ten thousand images, with made-up thumbnails.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import psutil

from yolo.doctor.check import check, scan_parts
from yolo.doctor.scan import SIDE
from yolo.doctor.twins import Parts, near_pairs
from yolo.structs import Dataset

BOXES = 7
"""Boxes per image, COCO's average."""
MANY = 10_000
"""Number of images for which the targets are set."""


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=2000, help="made-up JPEGs of 640 x 480")
    parser.add_argument("--threads", type=int, default=2, help="for every stage")
    parser.add_argument("--repeats", type=int, default=3, help="turns of every stage")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        parts = make_parts(Path(scratch), options.pictures)
        report(measure(parts, options), options.pictures)
    report_comparison()


def make_parts(folder: Path, count: int) -> Parts:
    """Two splits of photograph-like JPEGs with random boxes."""
    random = np.random.default_rng(0)
    noise = random.integers(-12, 13, (480, 640, 3))
    for number in range(count):
        coarse = random.integers(0, 256, (30, 40, 3), dtype=np.uint8)
        smooth = cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_CUBIC).astype(np.int16)
        shifted = np.roll(noise, number, axis=1)
        cv2.imwrite(str(folder / f"{number:05}.jpg"), np.clip(smooth + shifted, 0, 255).astype(np.uint8))
    whole = make_dataset(folder, count)
    border = max(1, count * 4 // 5)
    return {
        "train": whole.subset(range(border), split="train"),
        "val": whole.subset(range(border, count), split="val"),
    }


def make_dataset(folder: Path, count: int) -> Dataset:
    """Dataset of the images with random boxes."""
    random = np.random.default_rng(1)
    total = BOXES * count
    boxes = np.sort(random.random((total, 2, 2)) * [640, 480], axis=1).reshape(total, 4).astype(np.float32)
    return Dataset(
        classes=tuple(f"class {number}" for number in range(20)),
        files=[f"{number:05}.jpg" for number in range(count)],
        sizes=np.full((count, 2), (480, 640), np.int32),
        offsets=np.arange(0, total + 1, BOXES),
        boxes=boxes,
        labels=random.integers(0, 20, total).astype(np.int32),
        ignore=np.zeros(total, np.bool_),
        areas=np.prod(boxes[:, 2:] - boxes[:, :2], axis=1),
        image_ids=list(range(count)),
        category_ids=tuple(range(20)),
        folder=folder,
    )


def measure(parts: Parts, options: argparse.Namespace) -> dict[str, list[tuple[float, float]]]:
    """Seconds by the clock and of processor time of each stage, turn by turn."""
    paths = [part.path(index) for part in parts.values() for index in range(len(part))]
    cv2.setNumThreads(0)

    def decode() -> None:
        with ThreadPoolExecutor(options.threads) as pool:
            for _ in pool.map(decode_one, paths, chunksize=16):
                pass

    def whole() -> None:
        check(parts, scan_parts(parts, workers=options.threads))

    stages: dict[str, Callable[[], object]] = {
        "bare decode": decode,
        "scan": lambda: scan_parts(parts, workers=options.threads),
        "whole check": whole,
    }
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in stages}
    for _ in range(options.repeats):
        for name, stage in stages.items():
            seconds[name].append(timed(stage))
    return seconds


def decode_one(path: Path) -> None:
    """Decode a file to pixels, the baseline."""
    cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)


def timed(stage: Callable[[], object]) -> tuple[float, float]:
    """Seconds of a stage by the clock and of processor time."""
    begin, processor = time.perf_counter(), time.process_time()
    stage()
    return time.perf_counter() - begin, time.process_time() - processor


def report(seconds: dict[str, list[tuple[float, float]]], pictures: int) -> None:
    """Print the medians over the turns, and those of the ratios within each turn."""
    print(f"{'stage':<14}{'images/s':>10}{'of bare decode':>16}{'by processor':>14}")
    for name, values in seconds.items():
        pairs = list(zip(values, seconds["bare decode"], strict=True))
        ratios = [statistics.median(base[clock] / value[clock] for value, base in pairs) for clock in (0, 1)]
        rate = pictures / statistics.median(value[0] for value in values)
        print(f"{name:<14}{rate:>10.0f}{ratios[0]:>16.2f}{ratios[1]:>14.2f}")


def report_comparison() -> None:
    """Print the seconds and memory that comparing many images takes."""
    random = np.random.default_rng(2)
    thumbnails = random.integers(0, 256, (MANY, SIDE * SIDE), dtype=np.uint8)
    splits = ["train" if number < MANY * 4 // 5 else "val" for number in range(MANY)]
    process = psutil.Process()
    before = process.memory_info().rss
    clock, _ = timed(lambda: near_pairs(thumbnails, splits, [f"{number}.jpg" for number in range(MANY)]))
    print(f"comparing {MANY} images: {clock:.1f} s, {(process.memory_info().rss - before) / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
