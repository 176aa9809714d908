"""Seconds until a YOLO set of 100,000 pictures is open: the first time, and with what is kept in the cache folder.

    python scripts/bench_open.py [--pictures 100000] [--folder DIR]

The set is made once: tiny JPEGs in folders of 500 with 4.5 boxes each on average. Each time a process of its own opens
it; that `import yolo` takes is not counted. Targets: 20 s the first time, 2 s afterwards. The folder is in the system's
file cache when it has just been made: a cold or a network disk takes longer.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

TARGETS = (20.0, 2.0)
"""Seconds of the first time and of later ones."""
A_FOLDER = 500
OPEN = """
import sys, time
from yolo import load_dataset
wall, processor = time.perf_counter(), time.process_time()
dataset = load_dataset(sys.argv[1])
print(time.perf_counter() - wall, time.process_time() - processor, len(dataset), len(dataset.boxes))
"""


def main() -> int:
    """Open the set three times and print a row for each; return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="where the set is, or is made; default: a temporary folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary) / "set"
        if not (folder / "data.yaml").is_file():
            make_set(folder, arguments.pictures)
        print(f"{'time':<6} {'seconds':>8} {'of processor':>13} {'pictures':>9} {'boxes':>8}")
        good = True
        for name, target in zip(("first", "second", "third"), (*TARGETS, TARGETS[1]), strict=True):
            wall, processor, pictures, boxes = open_set(folder, Path(temporary) / "cache")
            print(f"{name:<6} {wall:8.2f} {processor:13.2f} {pictures:9.0f} {boxes:8.0f}", flush=True)
            good &= wall <= target
    return 0 if good else 1


def open_set(folder: Path, cache: Path) -> list[float]:
    """Seconds by the clock and of the processor, pictures and boxes, in a fresh process."""
    environment = {**os.environ, "YOLO_CACHE": str(cache)}
    command = [sys.executable, "-c", OPEN, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return [float(text) for text in done.stdout.split()]


def make_set(folder: Path, pictures: int) -> None:
    """Write the pictures, labels and description; deterministic."""
    rng = random.Random(0)  # noqa: S311 - no secret
    contents = [jpeg(size) for size in ((32, 24), (32, 32), (24, 40))]
    for index in range(pictures):
        part = f"{'val' if index >= 0.9 * pictures else 'train'}/{index // A_FOLDER:04d}"
        places = [folder / kind / part for kind in ("images", "labels")]
        if index % A_FOLDER == 0 or not places[0].is_dir():
            for place in places:
                place.mkdir(parents=True, exist_ok=True)
        (places[0] / f"{index:08d}.jpg").write_bytes(contents[index % 3])
        (places[1] / f"{index:08d}.txt").write_text("".join(row(rng) for _ in range(index % 10)))
    names = ", ".join(f"class {each}" for each in range(80))
    (folder / "data.yaml").write_text(f"train: images/train\nval: images/val\nnames: [{names}]\n")


def row(rng: random.Random) -> str:
    x, y, width, height = (rng.uniform(0.3, 0.7) for _ in range(4))
    return f"{rng.randrange(80)} {x:.6f} {y:.6f} {width * 0.8:.6f} {height * 0.8:.6f}\n"


def jpeg(size: tuple[int, int]) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", size, (90, 120, 30)).save(content, "JPEG")
    return content.getvalue()


if __name__ == "__main__":
    sys.exit(main())
