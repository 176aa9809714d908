"""Loading time of a COCO-sized file beside `json.load` of it, and the memory that the Dataset keeps.

    python scripts/bench_datasets.py [--images 118000] [--boxes 860000] [--rounds 3]

Two files are made in a temporary folder: one like COCO's own, with a polygon per object (about 450 MB), and one without
polygons, where plain parsing takes less of the time. Targets: loading takes at most 1.5 times as long as `json.load`,
and the Dataset keeps under 150 MB.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import numpy as np

from yolo import Dataset, load_dataset

CATEGORY_IDS = [number for number in range(1, 91) if number not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)]
"""COCO's 80 category ids, with gaps."""
LARGEST_RATIO = 1.5
LARGEST_MEGABYTES = 150


def main() -> int:
    """Measure both files and print a row for each; return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=118_000)
    parser.add_argument("--boxes", type=int, default=860_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(f"{'file':<17} {'MB':>5} {'json.load':>10} {'load_dataset':>13} {'ratio':>6} {'kept MB':>8}")
    good = True
    with tempfile.TemporaryDirectory() as folder:
        for name, polygons in (("with polygons", True), ("without polygons", False)):
            path = Path(folder) / "instances_train2017.json"
            write_coco(path, images=arguments.images, boxes=arguments.boxes, polygons=polygons)
            plain, ours = race(path, arguments.rounds)
            kept = kept_megabytes(path)
            print(
                f"{name:<17} {path.stat().st_size / 1e6:5.0f} {plain:8.2f} s {ours:11.2f} s"
                f" {ours / plain:6.2f} {kept:8.0f}"
            )
            good &= ours <= LARGEST_RATIO * plain and kept < LARGEST_MEGABYTES
    return 0 if good else 1


def race(path: Path, rounds: int) -> tuple[float, float]:
    """Best seconds of `json.load` and of `load_dataset`, run in turn."""
    times = [(seconds(read_plain, path), seconds(load_dataset, path)) for _ in range(rounds)]
    plain, ours = zip(*times, strict=True)
    return min(plain), min(ours)


def read_plain(path: Path) -> object:
    with path.open(encoding="utf-8") as file:
        return json.load(file)


def seconds(read: Callable[[Path], object], path: Path) -> float:
    gc.collect()
    start = time.perf_counter()
    content = read(path)
    spent = time.perf_counter() - start
    del content
    return spent


def kept_megabytes(path: Path) -> float:
    """Memory that a fresh process gains by a Dataset once the parsed file is freed."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(growth, (path,))


def growth(path: Path) -> float:
    import yolo.datasets.load  # noqa: F401 - not counted

    before = resident_bytes()
    dataset: Dataset = load_dataset(path)
    gc.collect()
    hand_back_free_memory()
    grown = resident_bytes() - before
    assert len(dataset.boxes)  # noqa: S101 - keeps it alive until here
    return grown / 1e6


def hand_back_free_memory() -> None:
    """Return freed memory that glibc still holds, as the Dataset does not use it."""
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def write_coco(path: Path, *, images: int, boxes: int, polygons: bool) -> None:
    """Write a file with the keys, order and sizes of `instances_train2017.json`; deterministic."""
    with path.open("w", encoding="utf-8") as file:
        file.write('{"info": {"description": "like COCO 2017"}, "licenses": [], "images": [')
        ids = np.random.default_rng(0).permutation(6 * images)[:images].tolist()
        write_joined(file, (image_record(number) for number in ids))
        file.write('], "annotations": [')
        write_joined(file, annotation_records(ids, boxes, polygons=polygons))
        categories = [{"supercategory": "any", "id": each, "name": f"class {each}"} for each in CATEGORY_IDS]
        file.write('], "categories": ' + json.dumps(categories) + "}")


def write_joined(file: TextIO, records: Iterator[str]) -> None:
    for index, record in enumerate(records):
        file.write(", " + record if index else record)


def image_record(number: int) -> str:
    name = f"{number:012d}.jpg"
    return (
        f'{{"license": 3, "file_name": "{name}", '
        f'"coco_url": "http://images.cocodataset.org/train2017/{name}", '
        f'"height": 480, "width": 640, "date_captured": "2013-11-14 11:18:45", '
        f'"flickr_url": "http://farm9.staticflickr.com/8186/{number}_{number:08x}_z.jpg", "id": {number}}}'
    )


def annotation_records(ids: list[int], boxes: int, *, polygons: bool) -> Iterator[str]:
    """Annotations in random order of their images, as in COCO."""
    rng = np.random.default_rng(1)
    outlines = [outline(rng) for _ in range(1000)]
    for number in range(boxes):
        x, y = 400 * rng.random(), 300 * rng.random()
        width, height = 1 + 239 * rng.random(), 1 + 179 * rng.random()
        shape = f'"segmentation": {outlines[number % 1000]}, ' if polygons else ""
        yield (
            f'{{{shape}"area": {0.7 * width * height}, "iscrowd": {int(number % 85 == 0)}, '
            f'"image_id": {ids[int(len(ids) * rng.random())]}, '
            f'"bbox": [{x:.2f}, {y:.2f}, {width:.2f}, {height:.2f}], '
            f'"category_id": {CATEGORY_IDS[number % 80]}, "id": {number + 1}}}'
        )


def outline(rng: np.random.Generator) -> str:
    corners = int(rng.integers(8, 45))
    return json.dumps([np.round(640 * rng.random(2 * corners), 2).tolist()])


if __name__ == "__main__":
    sys.exit(main())
