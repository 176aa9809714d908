"""Cost per image at each stage of the input pipeline, and its growth with images, boxes, classes and hosts.

    python scripts/bench_scale.py                          # everything but ten million images
    python scripts/bench_scale.py --only pictures --largest 10000000
    python scripts/bench_scale.py --only plan --rate 1000  # estimates for COCO and ten million images

Stages take turns in one run and are compared by processor time, so that other load on the machine matters little.
The tables are those of docs/SCALE.md. Ten million images take about 6 GB of memory and 3 GB of
the temporary folder.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import numpy as np
from bench_pipeline import default_images, make_dataset

from yolo.config import AugmentConfig, TrainConfig
from yolo.datasets.pipeline.cache import make_cache
from yolo.datasets.pipeline.picture_loader import Loader
from yolo.datasets.pipeline.shuffle import epoch_order
from yolo.datasets.pipeline.stream import TrainingStream
from yolo.datasets.tfrecord.index import read_index, write_index
from yolo.datasets.tfrecord.records import RecordStore
from yolo.datasets.tfrecord.writer import write_tfrecords
from yolo.images.codec import list_images, read_bytes
from yolo.images.letterbox import Letterbox
from yolo.structs import Dataset

CANVAS = (416, 416)
BATCH = 16
PLAIN = AugmentConfig()
MOSAIC = AugmentConfig(mosaic=1.0)
COCO_PICTURES = 118_287
COCO_BYTES = 19.3e9
"""Size of the images of train2017."""
BOXES = 7
"""Boxes per image, COCO's average."""

Stages = dict[str, Callable[[], object]]


def main() -> None:
    """Measure what was asked for and print its tables."""
    options = parse_arguments()
    cv2.setNumThreads(0)
    sections = {
        "stages": lambda: print_stages(options),
        "pictures": lambda: print_growth(options.largest),
        "boxes": lambda: print_boxes(options),
        "classes": lambda: print_classes(options),
        "hosts": lambda: print_hosts(options),
        "plan": lambda: print_plan(options),
    }
    for name, section in sections.items():
        if options.only in (None, name):
            section()


def parse_arguments() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("stages", "pictures", "boxes", "classes", "hosts", "plan"))
    parser.add_argument("--images", type=Path, help="folder of pictures; else coco128 of YOLO_SHARED, else made ones")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each stage")
    parser.add_argument("--largest", type=int, default=1_000_000, help="pictures of the largest made dataset")
    parser.add_argument(
        "--rate", type=float, default=1000.0, help="images per second that a GPU is assumed to train on"
    )
    parser.add_argument("--measure-index", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure_index:
        measure_index(options.measure_index)
        sys.exit()
    return options


def in_turns(stages: Stages, rounds: int) -> dict[str, float]:
    """Median processor seconds of each stage, run in turn after a warm-up round."""
    seconds: dict[str, list[float]] = {name: [] for name in stages}
    for turn in range(rounds + 1):
        for name, stage in stages.items():
            began = time.process_time()
            stage()
            if turn:
                seconds[name].append(time.process_time() - began)
    return {name: statistics.median(values) for name, values in seconds.items()}


# What an image costs


def print_stages(options: argparse.Namespace) -> None:
    """Print a table of milliseconds per image on one core."""
    found = measure_stages(options)
    print(f"\n| stage, one thread, {CANVAS[1]} px | ms a picture |\n|---|---|")
    for name, seconds in found.items():
        print(f"| {name} | {seconds * 1e3:.3f} |")


def measure_stages(options: argparse.Namespace) -> dict[str, float]:
    """Seconds per image of each stage."""
    with tempfile.TemporaryDirectory() as scratch:
        dataset = make_dataset(list_images(options.images or default_images(Path(scratch))))
        dataset = dataset.subset(np.arange(min(64, len(dataset))))
        stages = make_stages(dataset, Path(scratch))
        return {name: seconds / len(dataset) for name, seconds in in_turns(stages, options.rounds).items()}


def make_stages(dataset: Dataset, scratch: Path) -> Stages:
    """Functions by stage; each does its work for every image of the dataset."""
    (scratch / "shards").mkdir()
    converted, store, _ = write_tfrecords(dataset, scratch / "shards", shards=4)
    images = [dataset.image(index) for index in every(dataset)]
    boxes = [Letterbox(image.shape[:2], CANVAS) for image in images]
    plain = Loader(dataset, "letterbox")
    ram = Loader(dataset, "letterbox", cache=make_cache("ram", pictures=len(dataset)))
    disk = Loader(dataset, "letterbox", cache=make_cache("disk", pictures=len(dataset), folder=scratch / "cache"))
    return {
        "read a file": lambda: [read_bytes(dataset.path(index)) for index in every(dataset)],
        "read a TFRecord, with its checksum": lambda: [store.read(index) for index in every(dataset)],
        "read and decode a file": lambda: [dataset.image(index) for index in every(dataset)],
        "read and decode a TFRecord": lambda: [converted.image(index) for index in every(dataset)],
        "resize": lambda: [box.resize(image) for box, image in zip(boxes, images, strict=True)],
        "read, decode, resize, boxes": lambda: [plain.read(index, CANVAS) for index in every(dataset)],
        "the same, kept in memory": lambda: [ram.read(index, CANVAS) for index in every(dataset)],
        "the same, kept on disk": lambda: [disk.read(index, CANVAS) for index in every(dataset)],
        "batches, augmented": batches(plain, PLAIN),
        "batches, augmented, with mosaic": batches(plain, MOSAIC),
        "batches, augmented, with mosaic, kept in memory": batches(ram, MOSAIC),
    }


def every(dataset: Dataset) -> range:
    return range(len(dataset))


def batches(loader: Loader, augment: AugmentConfig) -> Callable[[], object]:
    """Make as many images as the dataset has, one batch at a time, like a thread of the pipeline."""
    stream = TrainingStream(loader, augment, seed=0)
    images = np.zeros((BATCH, *CANVAS, 3), np.uint8)
    starts = range(0, len(loader.dataset), BATCH)
    return lambda: [stream.fill(images, range(start, start + BATCH)) for start in starts]


# How it grows with images


def print_growth(largest: int) -> None:
    """Print the cost of a dataset before its first image is read, by number of images."""
    print(
        "\n| pictures | boxes | index on disk | loads in | keeps | peak | order of an epoch |"
        "\n|---|---|---|---|---|---|---|"
    )
    for pictures in (10_000, 100_000, 1_000_000, 10_000_000):
        if pictures > largest:
            break
        with tempfile.TemporaryDirectory() as folder:
            size = write_made_index(Path(folder), pictures)
            found = subprocess.run(
                [sys.executable, __file__, "--measure-index", folder], check=True, capture_output=True, text=True
            ).stdout.split()
        seconds, kept, peak, order = map(float, found)
        print(
            f"| {pictures:,} | {BOXES * pictures:,} | {size / 1e6:,.0f} MB | {seconds:.2f} s | {kept:,.0f} MB "
            f"| {peak:,.0f} MB | {order:.3f} s |",
            flush=True,
        )


def write_made_index(folder: Path, pictures: int) -> int:
    """Write the index of a synthetic dataset, and return its size; its shard is a sparse file."""
    length = 160_000
    store = RecordStore(
        str(folder),
        ("pictures-00000-of-00001.tfrecord",),
        shard=np.zeros(pictures, np.int32),
        offset=np.arange(pictures) * (length + 16),
        length=np.full(pictures, length),
        checksum=np.zeros(pictures, np.uint32),
    )
    (folder / store.shards[0]).touch()
    os.truncate(folder / store.shards[0], pictures * (length + 16))
    address = folder / "pictures.index.npz"
    write_index(str(address), made_dataset(pictures), store, shard_bytes=[pictures * (length + 16)])
    return address.stat().st_size


def made_dataset(pictures: int) -> Dataset:
    """Synthetic dataset whose images do not exist."""
    count = BOXES * pictures
    return Dataset(
        classes=tuple(f"class {number}" for number in range(80)),
        files=[f"train2017/{number:012}.jpg" for number in range(pictures)],
        sizes=np.full((pictures, 2), 480, np.int32),
        offsets=np.arange(0, count + 1, BOXES),
        boxes=np.tile(np.array([[10, 10, 50, 50]], np.float32), (count, 1)),
        labels=np.zeros(count, np.int32),
        ignore=np.zeros(count, np.bool_),
        areas=np.ones(count, np.float32),
        image_ids=range(pictures),
        category_ids=tuple(range(80)),
    )


def measure_index(folder: Path) -> None:
    """Measure an index in a new process: seconds, MB kept, peak MB, seconds of one epoch's order."""
    import resource

    before, began = resident_megabytes(), time.perf_counter()
    dataset = read_index(str(folder), "pictures.index.npz")
    seconds = time.perf_counter() - began
    kept, peak = resident_megabytes() - before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3 - before
    began = time.perf_counter()
    epoch_order(len(dataset), 0, 0)
    print(seconds, kept, peak, time.perf_counter() - began)


def resident_megabytes() -> float:
    """Resident memory of this process, after glibc has returned what it can."""
    import ctypes

    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


# Boxes, classes, hosts


def print_boxes(options: argparse.Namespace) -> None:
    """Print the time of the pipeline and of a training step by boxes per image."""
    counts = (10, 100, 300)
    with tempfile.TemporaryDirectory() as scratch:
        dataset = make_dataset(list_images(options.images or default_images(Path(scratch))))
        loaders = {count: Loader(with_boxes(dataset, count), "letterbox") for count in counts}
        made = in_turns({str(count): batches(loader, MOSAIC) for count, loader in loaders.items()}, options.rounds)
        steps = in_turns({str(count): training_step(boxes=count, classes=80) for count in counts}, options.rounds)
    print("\n| boxes a picture | batches with mosaic | training step, tiny, 96 px, batch 8 |\n|---|---|---|")
    for count in counts:
        milliseconds = made[str(count)] / len(dataset) * 1e3
        print(f"| {count} | {milliseconds:.2f} ms a picture | {steps[str(count)] * 1e3:.0f} ms |")


def with_boxes(dataset: Dataset, count: int) -> Dataset:
    """Dataset of the images with this many boxes each."""
    random, total = np.random.default_rng(0), count * len(dataset)
    corners = np.sort(random.random((total, 2, 2)), axis=1) * np.repeat(dataset.sizes[:, None, ::-1], count, axis=0)
    return replace(
        dataset,
        offsets=np.arange(0, total + 1, count),
        boxes=corners.reshape(total, 4).astype(np.float32),
        labels=np.zeros(total, np.int32),
        ignore=np.zeros(total, np.bool_),
        areas=np.ones(total, np.float32),
    )


def print_classes(options: argparse.Namespace) -> None:
    """Print the time of a training step by the number of classes."""
    counts = (1, 80, 1000)
    steps = in_turns({str(count): training_step(boxes=8, classes=count) for count in counts}, options.rounds)
    print("\n| classes | training step, tiny, 96 px, batch 8 |\n|---|---|")
    for count in counts:
        print(f"| {count:,} | {steps[str(count)] * 1e3:.0f} ms |")


def training_step(*, boxes: int, classes: int) -> Callable[[], object]:
    """One step of `fit` on a batch in memory: yolov3-tiny at 96 px, 8 images."""
    import tensorflow as tf

    from yolo.model.detector import Detector
    from yolo.training.optimizer.optimizer import make_optimizer

    detector = Detector("yolov3-tiny", classes=[f"class {number}" for number in range(classes)], size=96)
    detector.compile(make_optimizer(TrainConfig(), detector, steps_per_epoch=100))
    random = np.random.default_rng(0)
    corners = np.sort(random.uniform(0, 96, (8, boxes, 2, 2)), axis=2)
    targets = {
        "boxes": corners.reshape(8, boxes, 4).astype(np.float32),
        "labels": random.integers(0, classes, (8, boxes)).astype(np.int32),
        "valid": np.ones((8, boxes), bool),
        "ignore": np.zeros((8, boxes), bool),
    }
    images = random.integers(0, 256, (8, 96, 96, 3)).astype(np.uint8)
    iterator = iter(tf.data.Dataset.from_tensors((images, targets)).repeat())
    detector.make_train_function()
    return lambda: {key: float(value) for key, value in detector.train_function(iterator).items()}


def print_hosts(options: argparse.Namespace) -> None:
    """Print the time that a host needs for its 16 rows of a batch shared by all hosts."""
    hosts = (1, 8, 64)
    with tempfile.TemporaryDirectory() as scratch:
        dataset = make_dataset(list_images(options.images or default_images(Path(scratch))))
        loader = Loader(dataset, "letterbox", cache=make_cache("ram", pictures=len(dataset)))
        stream = TrainingStream(loader, MOSAIC, seed=0)
        many = TrainingStream(Loader(made_dataset(COCO_PICTURES), "letterbox"), MOSAIC, seed=0)
        images = np.zeros((BATCH, *CANVAS, 3), np.uint8)
        stages: Stages = {"rows": lambda: stream.fill(images, range(BATCH))}
        for count in hosts:
            stages[str(count)] = lambda count=count: many.most_boxes(range(BATCH * count))
        found = in_turns(stages, options.rounds)
    print(
        f"\n| hosts | batch of all | {BATCH} rows, from memory | length of the box axis, from the whole batch |"
        "\n|---|---|---|---|"
    )
    for count in hosts:
        axis = "-" if count == 1 else f"{found[str(count)] * 1e3:.2f} ms"
        print(f"| {count} | {BATCH * count:,} | {found['rows'] * 1e3:.0f} ms | {axis} |")


# What it means


def print_plan(options: argparse.Namespace) -> None:
    """Print the input rate that GPUs of an assumed speed need, from the stages measured on this machine."""
    found, rate = measure_stages(options), options.rate
    seconds = found["batches, augmented, with mosaic"]
    kept = found["batches, augmented, with mosaic, kept in memory"]
    size = COCO_BYTES / COCO_PICTURES
    resized = CANVAS[0] * CANVAS[1] * 3 * 0.75  # 3:4, the most common aspect ratio
    print(f"\nAssumed: {rate:,.0f} images per second and GPU, {size / 1e3:.0f} kB per file.")
    print("\n| pictures | GPUs | an epoch | cores, all hosts | cores, pictures kept | bytes a second | all, resized |")
    print("|---|---|---|---|---|---|---|")
    for pictures in (COCO_PICTURES, 10_000_000):
        for gpus in (1, 8, 64):
            whole = gpus * rate
            print(
                f"| {pictures:,} | {gpus} | {pictures / whole:,.0f} s | {whole * seconds:.1f} | {whole * kept:.1f} "
                f"| {whole * size / 1e6:,.0f} MB | {pictures * resized / 1e9:,.0f} GB |"
            )


if __name__ == "__main__":
    main()
