"""Seconds and memory of COCO's metrics from a results file: `yolov3 eval --detections` against the bare libraries.

    python scripts/bench_eval.py [--pictures 5000] [--detections 100] [--classes 80] [--turns 2]

The truth (7.3 boxes a picture, one in a hundred a crowd) and the results files are made up, always the same. Each turn
runs every row in a process of its own; the files are read in each, and the start of Python counts. The shares are those
of pycocotools alone in the same run. Targets: 3 % of its time and 300 MB. The first rows go without confidence
intervals, which the libraries do not compute; then follow 1,000 resamples of the pictures for one file and for the
comparison of two, and hotcoco's comparison with 0 and with 20 resamples, from which the time of 1,000 follows.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

SHARE, MEMORY = 0.03, 300
"""Targets: share of the time of pycocotools alone, and megabytes."""
WIDTH, HEIGHT = 640, 480
LIBRARY = """
import sys
from {0} import COCO, COCOeval
truth = COCO(sys.argv[1])
evaluation = COCOeval(truth, truth.loadRes(sys.argv[2]), "bbox")
evaluation.evaluate()
evaluation.accumulate()
evaluation.summarize()
print(evaluation.stats[0])
"""
PYCOCOTOOLS = LIBRARY.format("pycocotools.coco").replace(
    "import COCO, COCOeval", "import COCO\nfrom pycocotools.cocoeval import COCOeval"
)
FEW = 20
"""Resamples of hotcoco's comparison, each of which takes as long as an evaluation."""
COMPARE = """
import sys
import hotcoco
truth = hotcoco.COCO(sys.argv[1])
both = [hotcoco.COCOeval(truth, truth.loadRes(name), "bbox") for name in sys.argv[2:4]]
for evaluation in both:
    evaluation.evaluate()
print(hotcoco.compare(*both, n_bootstrap=int(sys.argv[4]))["metrics_a"]["AP"])
"""
EVAL = ("-m", "yolo", "eval", "--json")
ROWS = {
    "yolov3 eval": [*EVAL, "--resamples", "0", "--detections", "{results}", "{truth}"],
    "yolov3 eval, pycocotools": [
        *(*EVAL, "--resamples", "0", "--evaluator", "pycocotools"),
        *("--detections", "{results}", "{truth}"),
    ],
    "hotcoco alone": ["-c", LIBRARY.format("hotcoco"), "{truth}", "{results}"],
    "pycocotools alone": ["-c", PYCOCOTOOLS, "{truth}", "{results}"],
    "yolov3 eval, 1000 times": [*EVAL, "--detections", "{results}", "{truth}"],
    "eval --compare, 1000": [*EVAL, "--compare", "{results}", "{other}", "{truth}"],
    "hotcoco's comparison": ["-c", COMPARE, "{truth}", "{results}", "{other}", "0"],
    f"the same, {FEW} times": ["-c", COMPARE, "{truth}", "{results}", "{other}", str(FEW)],
}


def main() -> int:
    """Run the rows in turns and print a table; return 1 if a target is missed or the figures differ."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=5000)
    parser.add_argument("--detections", type=int, default=100, help="of each picture")
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--turns", type=int, default=2)
    arguments = parser.parse_args()
    clock: dict[str, list[float]] = {name: [] for name in ROWS}
    processor: dict[str, list[float]] = {name: [] for name in ROWS}
    memory, found = dict.fromkeys(ROWS, 0.0), dict.fromkeys(ROWS, 0.0)
    with tempfile.TemporaryDirectory() as folder:
        files = {name: str(Path(folder) / f"{name}.json") for name in ("truth", "results", "other")}
        write_files(files, arguments.pictures, arguments.detections, arguments.classes)
        for _ in range(arguments.turns):
            for name, command in ROWS.items():
                taken, used, memory[name], found[name] = run([word.format(**files) for word in command])
                clock[name].append(taken)
                processor[name].append(used)
    shares = print_table(clock, processor, memory, found)
    same = max(found.values()) - min(found.values()) < 1e-6
    return 0 if same and shares["yolov3 eval"] <= SHARE and memory["yolov3 eval"] <= MEMORY else 1


def print_table(
    clock: dict[str, list[float]], processor: dict[str, list[float]], memory: dict[str, float], found: dict[str, float]
) -> dict[str, float]:
    """Print a line for each row; returns its share of the time of pycocotools alone, by the clock."""
    print(f"{'':<25} {'seconds':>8} {'share':>7} {'of processor':>13} {'share':>7} {'MB':>6} {'AP':>9}")
    times = {name: (statistics.median(clock[name]), statistics.median(processor[name])) for name in ROWS}
    whole = times["pycocotools alone"]
    for name, (taken, used) in times.items():
        columns = f"{taken:8.2f} {taken / whole[0]:7.2%} {used:13.2f} {used / whole[1]:7.2%}"
        print(f"{name:<25} {columns} {memory[name]:6.0f} {found[name]:9.6f}")
    without, few = (times[name][0] for name in list(ROWS)[-2:])
    print(f"hotcoco's comparison, 1000 times: {without + (few - without) * 1000 / FEW:.0f} seconds, if it goes on so")
    return {name: taken / whole[0] for name, (taken, _) in times.items()}


def run(command: list[str]) -> tuple[float, float, float, float]:
    """Seconds by the clock and of the processor, peak memory in megabytes and AP of a command of Python."""
    # Bytecode is kept, as that of an installed package is.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    with subprocess.Popen([sys.executable, *command], env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - for the type checker
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    taken = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(f"{command} failed")
    last = out.splitlines()[-1]
    return taken, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, ap_of(last)


def ap_of(text: str) -> float:
    """AP in the last line of a row's output: a number, or JSON of one evaluation or of a comparison."""
    if not text.startswith("{"):
        return float(text)
    found = json.loads(text)
    return float(found["coco"]["AP"] if "coco" in found else found["AP"]["a"])


def write_files(files: dict[str, str], pictures: int, detections: int, classes: int) -> None:
    """Write both files picture by picture, as a large parent would count as its children's memory."""
    rng = np.random.default_rng(0)
    images = [
        {"id": 3 * index + 1, "file_name": f"{index:012d}.jpg", "width": WIDTH, "height": HEIGHT}
        for index in range(pictures)
    ]
    truth: dict[str, Any] = {"images": images, "annotations": []}
    truth["categories"] = [{"id": label + 1, "name": f"class {label}"} for label in range(classes)]
    with Path(files["results"]).open("w") as results, Path(files["other"]).open("w") as other:
        separator = "["
        for image in images:
            boxes = random_boxes(rng, rng.poisson(7.3))
            labels = rng.integers(1, classes + 1, len(boxes))
            for box, label in zip(boxes.round(2).tolist(), labels.tolist(), strict=True):
                number, crowd = len(truth["annotations"]) + 1, int(rng.random() < 0.01)
                about = {"id": number, "image_id": image["id"], "category_id": label, "iscrowd": crowd}
                truth["annotations"].append({**about, "bbox": box, "area": round(0.7 * box[2] * box[3], 2)})
            for entry in found_in(rng, boxes, labels, detections, classes):
                text = f"{separator}{json.dumps({'image_id': image['id'], **entry})}"
                results.write(text)
                other.write(text if rng.random() < 0.95 or separator == "[" else "")
                separator = ", "
        results.write("]")
        other.write("]")
    Path(files["truth"]).write_text(json.dumps(truth))


def random_boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    """Boxes (K, 4) as x, y, width and height, of all sizes alike."""
    sides = np.exp(rng.uniform(np.log(8), np.log(300), (count, 2)))
    return np.concatenate([rng.uniform(0, 1, (count, 2)) * ([WIDTH, HEIGHT] - sides), sides], axis=1)


def found_in(
    rng: np.random.Generator, boxes: np.ndarray, labels: np.ndarray, count: int, classes: int
) -> Iterator[dict[str, Any]]:
    """Entries of one picture: up to three near each true box, most of its class, and others anywhere."""
    found, names = random_boxes(rng, count), rng.integers(1, classes + 1, count)
    scores = rng.beta(0.3, 3, count)
    near = min(count, 3 * len(boxes))
    if near:
        at = np.arange(near) % len(boxes)
        found[:near] = boxes[at] + rng.normal(0, 0.08, (near, 4)) * boxes[at][:, [2, 3, 2, 3]]
        names[:near] = np.where(rng.random(near) < 0.85, labels[at], names[:near])
        scores[:near] = rng.beta(2, 2, near)
    found[:, 2:] = np.maximum(found[:, 2:], 0)
    for name, box, score in zip(names.tolist(), found.round(3).tolist(), scores.round(7).tolist(), strict=True):
        yield {"category_id": name, "bbox": box, "score": score}


if __name__ == "__main__":
    sys.exit(main())
