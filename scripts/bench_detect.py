"""Detection in a folder of pictures: bare network, pipeline and the whole command, by runtime and precision.

    python scripts/bench_detect.py [--pictures ../shared/data/coco128/images] [--models yolov3-tiny yolov3]
        [--cases openvino:bfloat16 keras:float32 ..] [--batch 8] [--repeats 3] [--json FILE]
        [--reference PYTHON --reference-program DIR]

The bare network computes batches made before, on the same canvases; the pipeline reads the files and suppresses too.
Both take turns in one run; ratios are given by the clock and by processor time. The whole command is run twice: with an
empty cache of converted networks ("cold"), then again ("warm"). Weights are random, the bias of their objectness such
that some boxes come out.

With ``--reference`` a checkout of the most used PyTorch YOLOv3 (github ultralytics/yolov3) runs too, as a user has it:
``detect.py --imgsz 416 --device cpu --nosave``, with random weights of its own ``models/NAME.yaml`` that its own code
saves, in turns with the warm commands. Its licence is the AGPL: it is run, and nothing of it is in this package.
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
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from yolo.detect.predictor import check_rect, fitting, predict
from yolo.detect.sources import find_pictures
from yolo.images.codec import read_image
from yolo.runtimes.load import load_detector

CASES = ("keras:float32", "keras:bfloat16", "openvino:float32", "openvino:bfloat16", "onnx:float32", "litert:float32")
OBJECTNESS_BIAS = -1.0
"""Bias with which random heads find a handful of boxes an image at the default threshold."""
CHECKPOINT = """
import sys, torch
sys.path.insert(0, sys.argv[1])
from models.yolo import DetectionModel
torch.manual_seed(0)
model = DetectionModel(f"{sys.argv[1]}/models/{sys.argv[2]}.yaml", ch=3, nc=80)
model.names = {number: str(number) for number in range(80)}
torch.save({"model": model.half(), "ema": None, "epoch": -1, "optimizer": None}, sys.argv[3])
"""


class Seconds(NamedTuple):
    """Time that a piece of work took."""

    clock: float
    processor: float


def main() -> None:
    """Measure and print the table."""
    options = parse_options()
    paths = find_pictures([options.pictures])
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["YOLO_CACHE"] = str(Path(folder) / "cache")
        for model in options.models:
            weights = Path(folder) / f"{model}.keras"
            in_process(["--make", model, str(weights), str(options.size)])
            rows += measure_model(model, weights, paths, options)
    text = json.dumps({"pictures": len(paths), "batch": options.batch, "rows": rows}, indent=2)
    if options.json:
        Path(options.json).write_text(text + "\n")
    print_table(rows)


def parse_options() -> argparse.Namespace:
    """Parse the command line; the hidden options are for the processes that the script starts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", default="../shared/data/coco128/images", help="folder of pictures")
    parser.add_argument("--models", nargs="+", default=["yolov3-tiny", "yolov3"])
    parser.add_argument("--cases", nargs="+", default=list(CASES), metavar="RUNTIME:PRECISION")
    parser.add_argument("--size", type=int, default=416, help="side of the canvas")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3, help="turns of bare network and pipeline")
    parser.add_argument("--commands", type=int, default=2, help="turns of the whole, warm command")
    parser.add_argument("--json", help="file for all figures")
    parser.add_argument("--reference", metavar="PYTHON", help="interpreter that has PyTorch")
    parser.add_argument("--reference-program", metavar="DIR", help="checkout of the PyTorch program")
    parser.add_argument("--make", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--rates", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:
        make_weights(*options.make)
        sys.exit()
    if options.rates:
        weights, case = options.rates
        rates = measure_rates(weights, case, find_pictures([options.pictures]), options.batch, options.repeats)
        print(json.dumps(rates))
        sys.exit()
    return options


def make_weights(model: str, path: str, size: str) -> None:
    """Save a detector with random weights that finds something."""
    from yolo.system.startup import start_keras

    start_keras()
    import yolo

    detector = yolo.Detector(model, classes=[f"class {number}" for number in range(80)], size=int(size))
    noise = np.random.default_rng(0).uniform(0, 255, (1, int(size), int(size), 3)).astype(np.float32)
    for head, raw in zip(detector.heads, detector(noise), strict=True):
        kernel, bias = head.get_weights()
        shaped = np.zeros((raw.shape[-2], raw.shape[-1]), np.float32)
        shaped[:, 4] = OBJECTNESS_BIAS
        head.set_weights([kernel / np.std(np.asarray(raw)), shaped.reshape(bias.shape)])
    detector.save(path)


def measure_model(
    model: str, weights: Path, paths: Sequence[Path], options: argparse.Namespace
) -> list[dict[str, Any]]:
    """Measure all cases of a model, and the reference beside the warm commands."""
    rows = []
    for case in options.cases:
        cold = run_command(weights, case, options)
        if isinstance(cold, str):
            print(f"{model} {case}: left out ({cold})", file=sys.stderr)
            continue
        shared = ["--pictures", options.pictures, "--batch", str(options.batch), "--repeats", str(options.repeats)]
        rates = json.loads(in_process([*shared, "--rates", str(weights), case]).splitlines()[-1])
        rows.append({"model": model, "case": case, "pictures": len(paths), **rates, "cold_s": cold.clock, "warm": []})
    reference = reference_command(model, weights.parent, options) if options.reference else None
    seconds: list[float] = []
    for _ in range(options.commands):
        for row in rows:
            warm = run_command(weights, row["case"], options)
            if isinstance(warm, Seconds):
                row["warm"].append(warm.clock)
        if reference:
            seconds.append(timed(lambda: subprocess.run(reference, check=True, capture_output=True)).clock)
    for row in rows:
        row["warm_s"] = statistics.median(row.pop("warm"))
        if seconds:
            row["reference_s"] = statistics.median(seconds)
            row["times_as_fast"] = row["reference_s"] / row["warm_s"]
    return rows


def measure_rates(weights: str, case: str, paths: Sequence[Path], batch: int, repeats: int) -> dict[str, float]:
    """Rates of the bare network and of the pipeline, in turns."""
    runtime, precision = case.split(":")
    detector: Any = load_detector(weights, runtime=runtime, precision=precision)  # type: ignore[arg-type]
    rect = check_rect(detector, None)
    groups = defaultdict(list)
    for path in paths:
        image = read_image(path)
        letterbox = fitting(detector, (image.shape[0], image.shape[1]), rect=rect)
        groups[letterbox.canvas_size].append(letterbox.apply_exactly(image))
    batches = [
        np.stack(group[first : first + batch]).astype(np.float32)
        for group in groups.values()
        for first in range(0, len(group), batch)
    ]

    def bare() -> None:
        with ThreadPoolExecutor(detector.parallel) as pool:
            list(pool.map(detector.outputs, batches))

    def pipeline() -> int:
        return sum(len(result.detections) for result in predict(detector, paths, batch=batch, rect=rect))

    bare()
    boxes = pipeline()
    turns = [(timed(bare), timed(pipeline)) for _ in range(repeats)]
    return {
        "bare_per_s": len(paths) / statistics.median(first.clock for first, _ in turns),
        "pipeline_per_s": len(paths) / statistics.median(second.clock for _, second in turns),
        "ratio": statistics.median(first.clock / second.clock for first, second in turns),
        "processor_ratio": statistics.median(first.processor / second.processor for first, second in turns),
        "boxes_per_picture": boxes / len(paths),
    }


def timed(work: Callable[[], Any]) -> Seconds:
    """Time that a piece of work takes in this process, and by the clock."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return Seconds(time.perf_counter() - clock, time.process_time() - processor)


def run_command(weights: Path, case: str, options: argparse.Namespace) -> Seconds | str:
    """Time of the whole `yolov3 detect`, or why it cannot run."""
    runtime, precision = case.split(":")
    command = [sys.executable, "-m", "yolo", "detect", str(weights), options.pictures, "--json"]
    command += ["--runtime", runtime, "--precision", precision, "--batch", str(options.batch)]
    done = None

    def run() -> None:
        nonlocal done
        done = subprocess.run(command, capture_output=True, text=True, check=False)

    seconds = timed(run)
    if done is None or done.returncode:
        return done.stderr.strip().splitlines()[-1] if done else "not run"
    return seconds


def reference_command(model: str, folder: Path, options: argparse.Namespace) -> list[str]:
    """Command of the PyTorch program, with weights that its own code makes."""
    weights = folder / f"{model}.pt"
    program = Path(options.reference_program).absolute()
    subprocess.run([options.reference, "-c", CHECKPOINT, program, model, weights], check=True, capture_output=True)
    fixed = ["--imgsz", str(options.size), "--device", "cpu", "--nosave", "--project", str(folder / "reference")]
    source = ["--source", str(Path(options.pictures).absolute())]
    return [options.reference, str(program / "detect.py"), "--weights", str(weights), *source, *fixed]


def in_process(arguments: Sequence[str]) -> str:
    """Run this script in a process of its own; return what it prints."""
    command = [sys.executable, __file__, *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    """Print a row a case."""
    print("model        case                bare/s  pipeline/s  ratio  (processor)  cold s  warm s  PyTorch s  times")
    for row in rows:
        other = f"{row['reference_s']:9.1f} {row['times_as_fast']:6.2f}" if "reference_s" in row else ""
        print(
            f"{row['model']:<12} {row['case']:<18} {row['bare_per_s']:7.1f} {row['pipeline_per_s']:11.1f} "
            f"{row['ratio']:6.2f} {row['processor_ratio']:12.2f} {row['cold_s']:7.1f} {row['warm_s']:7.1f}  {other}"
        )


if __name__ == "__main__":
    main()
