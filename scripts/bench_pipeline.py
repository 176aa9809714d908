"""Throughput of the training pipeline, beside plain decoding of the same files.

    python scripts/bench_pipeline.py [--images FOLDER] [--size 416] [--threads 2]

The stages take turns in short slices of one run, so that other load on the machine slows all of them alike. The last
column compares processor time per image, over all threads, which other programs hardly affect.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import cv2
import numpy as np

from yolo.config import AugmentConfig, canvas_size
from yolo.datasets.pipeline.batches import training_batches
from yolo.datasets.pipeline.cache import make_cache
from yolo.datasets.pipeline.picture_loader import Loader
from yolo.images.codec import image_size, list_images
from yolo.structs import Dataset, Size

BOXES = 7
"""Boxes per image, COCO's average."""

SETTLING = 0.4
"""Seconds in which a pipeline refills its buffers, so that it does not disturb the next stage."""

STAGES = {
    "no augmentation": AugmentConfig(flip=0, hue=0, saturation=0, brightness=0, scale=0, translate=0),
    "augmentation": AugmentConfig(),
    "mosaic": AugmentConfig(mosaic=1.0),
    "mosaic, perspective": AugmentConfig(mosaic=1.0, rotate=10, shear=5, perspective=0.1),
}
"""Augmentation options measured, reading from files and from a memory cache."""


def main() -> None:
    """Measure and print the table."""
    options = parse_arguments()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.images or default_images(Path(scratch))
        dataset = make_dataset(list_images(folder))
        print(f"{len(dataset)} pictures of {folder}, {options.threads} threads, {options.size} px")
        report(measure(dataset, canvas_size(options.size), options))


def parse_arguments() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, help="folder of pictures; else coco128 of YOLO_SHARED, else made ones")
    parser.add_argument("--size", type=int, default=416, help="side of the canvas")
    parser.add_argument("--threads", type=int, default=2, help="for every stage")
    parser.add_argument("--batch", type=int, default=16, help="images per batch")
    parser.add_argument("--seconds", type=float, default=6.0, help="for every stage")
    return parser.parse_args()


def default_images(scratch: Path) -> Path:
    """Folder of coco128 if available, else of photograph-like JPEGs of COCO's size written to ``scratch``."""
    shared = os.environ.get("YOLO_SHARED")
    if shared:
        return Path(shared) / "data" / "coco128" / "images"
    random = np.random.default_rng(0)
    for number in range(64):
        coarse = random.integers(0, 256, (60, 80, 3), dtype=np.uint8)
        smooth = cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_CUBIC).astype(np.int16)
        noisy = smooth + random.integers(-12, 13, smooth.shape)
        cv2.imwrite(str(scratch / f"{number:03}.jpg"), np.clip(noisy, 0, 255).astype(np.uint8))
    return scratch


def make_dataset(paths: list[Path]) -> Dataset:
    """Dataset of the images with random boxes, whose content does not affect the speed."""
    if not paths:
        raise SystemExit("no pictures in that folder")
    random = np.random.default_rng(0)
    sizes = np.array([image_size(path) for path in paths], np.int32)
    count = BOXES * len(paths)
    corners = np.sort(random.random((count, 2, 2)), axis=1) * np.repeat(sizes[:, None, ::-1], BOXES, axis=0)
    boxes = corners.reshape(count, 4).astype(np.float32)
    return Dataset(
        classes=("object",),
        files=[str(path) for path in paths],
        sizes=sizes,
        offsets=np.arange(0, count + 1, BOXES),
        boxes=boxes,
        labels=np.zeros(count, np.int32),
        ignore=np.zeros(count, np.bool_),
        areas=np.prod(boxes[:, 2:] - boxes[:, :2], axis=1),
        image_ids=list(range(len(paths))),
        category_ids=(1,),
    )


def measure(dataset: Dataset, size: Size, options: argparse.Namespace) -> dict[str, list[Rate]]:
    """Images per second of each stage, slice by slice."""
    cv2.setNumThreads(0)
    loader = Loader(dataset, "letterbox")
    with ThreadPoolExecutor(options.threads) as pool:
        stages: dict[str, Callable[[], int]] = {
            "bare decode": threaded(pool, lambda index: decode(dataset.path(index)), dataset, options.batch),
            "read + letterbox": threaded(pool, lambda index: loader.load(index, size), dataset, options.batch),
        }
        cached = Loader(dataset, "letterbox", cache=make_cache("ram", pictures=len(dataset)))
        for name, augment in STAGES.items():
            stages[name] = batched(loader, size, augment, options)
        for name, augment in STAGES.items():
            stages[f"{name}, cached"] = batched(cached, size, augment, options)
        rates: dict[str, list[Rate]] = {name: [] for name in stages}
        slices = 6
        for _ in range(slices):
            for name, stage in stages.items():
                rates[name].append(rate(stage, options.seconds / slices))
    return rates


def decode(path: Path) -> None:
    """Decode a file to pixels, the baseline."""
    cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)


def threaded(
    pool: ThreadPoolExecutor, work: Callable[[int], object], dataset: Dataset, batch: int
) -> Callable[[], int]:
    """Step that does ``work`` on the next images in the pool's threads."""
    indices: Iterator[int] = cycle(range(len(dataset)))

    def step() -> int:
        chunk = [next(indices) for _ in range(4 * batch)]
        for _ in pool.map(work, chunk):
            pass
        return len(chunk)

    return step


def batched(loader: Loader, size: Size, augment: AugmentConfig, options: argparse.Namespace) -> Callable[[], int]:
    """Step that draws the same number of images from a pipeline, which is idle between steps."""
    batches = iter(
        training_batches(
            loader.dataset,
            size,
            batch=options.batch,
            seed=0,
            augment=augment,
            workers=options.threads,
            loader=loader,
        )
    )

    def step() -> int:
        for _ in range(4):
            next(batches)
        return 4 * options.batch

    return step


class Rate(NamedTuple):
    """Images per second by two clocks."""

    wall: float
    """By elapsed time."""
    processor: float
    """By processor time."""


def rate(stage: Callable[[], int], seconds: float) -> Rate:
    """Measure the rate of a stage over about this many seconds."""
    stage()  # discards what was prefetched while another stage ran
    begin, processor, done = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - begin < seconds:
        done += stage()
    elapsed, worked = time.perf_counter() - begin, time.process_time() - processor
    time.sleep(SETTLING)
    return Rate(done / elapsed, done / worked)


def report(rates: dict[str, list[Rate]]) -> None:
    """Print the medians over the slices, and those of the ratios within each slice."""
    bare = rates["bare decode"]
    print(f"{'stage':<28}{'images/s':>10}{'of bare decode':>16}{'by processor':>14}")
    for name, values in rates.items():
        pairs = list(zip(values, bare, strict=True))
        wall = statistics.median(value.wall / base.wall for value, base in pairs)
        processor = statistics.median(value.processor / base.processor for value, base in pairs)
        images = statistics.median(value.wall for value in values)
        print(f"{name:<28}{images:>10.0f}{wall:>16.2f}{processor:>14.2f}")


if __name__ == "__main__":
    main()
