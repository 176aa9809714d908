"""Speed of a training step: bare, as `fit` runs it, and of the same network in plain PyTorch.

    python scripts/bench_train.py                          # yolov3-tiny, batch 16, and yolov3, batch 8, at 416
    python scripts/bench_train.py --reference PYTHON       # PYTHON has PyTorch: takes turns with bench_reference.py
    python scripts/bench_train.py --quick                  # small, to see that it runs

The bare step is forward, backward of the mean of the raw maps, and update. The fit step is what
`Detector.fit` runs: target assignment, loss, metrics and EMA as well. All kinds take turns in one run, on one batch in
memory; compare the ratios of their medians, as the seconds depend on the machine. On a shared machine the processor
seconds (``cpu``) vary less. `bench_profile.py` says where the time goes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from yolo.config import TrainConfig
from yolo.system.allocator import tune_allocator

if TYPE_CHECKING:
    import tensorflow as tf

    from yolo.model.detector import Detector

CLASSES = 80
BOXES = 8
"""True boxes per image; COCO's average is 7.3."""
PRECISIONS = ("float32", "mixed_bfloat16")
MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(2**32), "MALLOC_TRIM_THRESHOLD_": str(2**33), "MALLOC_TOP_PAD_": str(2**28)}
"""Tuned allocator settings for the reference."""
RECORDED = {
    ("yolov3-tiny", "float32"): 14.2,
    ("yolov3", "float32"): 1.58,
    ("yolov3-tiny", "mixed_bfloat16"): 30.7,
    ("yolov3", "mixed_bfloat16"): 3.36,
}
"""Images/s of the most widely used PyTorch implementation, tuned allocator, two idle cores; not re-measured."""
Step = Callable[[], object]
Times = tuple[float, float]
"""Elapsed seconds, and seconds of all processors together."""


@dataclass(frozen=True)
class Case:
    """Network, precision and batch to measure, with its target."""

    model: str
    size: int
    batch: int
    limit: float
    """Largest acceptable ratio of the fit step to the bare one."""


CASES = (Case("yolov3-tiny", 416, 16, 1.15), Case("yolov3", 416, 8, 1.05))


def make_batch(size: int, batch: int) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Random images with random boxes."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 0.7 * size, (batch, BOXES, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(8, 0.3 * size, corner.shape)], -1)
    targets = {
        "boxes": boxes.astype(np.float32),
        "labels": rng.integers(0, CLASSES, (batch, BOXES)).astype(np.int32),
        "valid": np.ones((batch, BOXES), bool),
        "ignore": np.zeros((batch, BOXES), bool),
    }
    images = rng.integers(0, 256, (batch, size, size, 3)).astype(np.uint8)
    return tf.constant(images), {key: tf.constant(value) for key, value in targets.items()}


def bare_step(detector: Detector, images: tf.Tensor) -> Step:
    """Forward, backward and update with a trivial loss."""
    import tensorflow as tf

    variables = detector.trainable_variables

    @tf.function
    def step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.add_n([tf.reduce_mean(raw) for raw in detector(images, training=True)])
        detector.optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    return lambda: step().numpy()


def fit_step(detector: Detector, images: tf.Tensor, targets: dict[str, tf.Tensor]) -> Step:
    """One batch as `fit` runs it."""
    import tensorflow as tf

    iterator = iter(tf.data.Dataset.from_tensors((images, targets)).repeat())
    detector.make_train_function()
    return lambda: {key: float(value) for key, value in detector.train_function(iterator).items()}


def timed(step: Step) -> Callable[[], Times]:
    def run() -> Times:
        began, worked = time.perf_counter(), time.process_time()
        step()
        return time.perf_counter() - began, time.process_time() - worked

    return run


@contextmanager
def reference_step(python: str | None, case: Case, precision: str) -> Iterator[dict[str, Callable[[], Times]]]:
    """Step of bench_reference.py, in a process of another Python; None without one."""
    if python is None:
        yield {}
        return
    script = Path(__file__).with_name("bench_reference.py")
    options = {"model": case.model, "size": case.size, "batch": case.batch, "precision": precision}
    command = [python, str(script), "--serve", *(f"--{name}={value}" for name, value in options.items())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:

        def run() -> Times:
            print(file=other.stdin, flush=True)
            wall, cpu = other.stdout.readline().split()
            return float(wall), float(cpu)

        yield {"reference": run}
        other.stdin.close()


def medians(steps: dict[str, Callable[[], Times]], repeats: int) -> dict[str, Times]:
    """Median times of each step, run in turn after two warm-up rounds."""
    rounds = [{name: step() for name, step in steps.items()} for _ in range(repeats + 2)][2:]
    return {name: tuple(statistics.median(each[name][kind] for each in rounds) for kind in (0, 1)) for name in steps}


def make_detector(model: str, size: int, precision: str) -> Detector:
    """Detector that is ready to train."""
    import keras

    from yolo.model.detector import Detector
    from yolo.training.optimizer.optimizer import make_optimizer

    keras.backend.clear_session()
    keras.config.set_dtype_policy(precision)
    detector = Detector(model, classes=[f"class {index}" for index in range(CLASSES)], size=size)
    detector.compile(make_optimizer(TrainConfig(), detector, steps_per_epoch=100))
    return detector


def measure(case: Case, *, precision: str, repeats: int, reference: str | None) -> None:
    detector = make_detector(case.model, case.size, precision)
    images, targets = make_batch(case.size, case.batch)
    steps = {"bare": timed(bare_step(detector, images)), "fit": timed(fit_step(detector, images, targets))}
    with reference_step(reference, case, precision) as other:
        report(case, precision, medians({**steps, **other}, repeats))


def report(case: Case, precision: str, found: dict[str, Times]) -> None:
    ratio = found["fit"][0] / found["bare"][0]
    recorded = RECORDED[case.model, precision]
    print(f"{case.model}, {case.size} px, batch {case.batch}, {precision}:")
    for name, (wall, cpu) in found.items():
        print(f"  {name:9} {wall:8.3f} s  cpu {cpu:8.3f} s  {case.batch / wall:7.2f} images/s")
    print(f"  fit / bare {ratio:.3f}  {'good' if ratio <= case.limit else f'over {case.limit}'}")
    if "reference" in found:
        wall, cpu = (found["reference"][kind] / found["fit"][kind] for kind in (0, 1))
        print(f"  {wall:.2f} times the reference's bare step in this run ({cpu:.2f} times by processor seconds)")
    print(f"  recorded elsewhere, at another time: {recorded} images/s", flush=True)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--precision", choices=PRECISIONS, help="default: both")
    parser.add_argument("--model", choices=[case.model for case in CASES], help="default: both")
    parser.add_argument("--reference", metavar="PYTHON", help="a Python that has PyTorch")
    parser.add_argument("--untuned", action="store_true", help="leave the memory allocators as they are")
    parser.add_argument("--quick", action="store_true", help="one small case")
    return parser.parse_args(arguments)


def main() -> None:
    arguments = parse()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if not arguments.untuned:
        tune_allocator()  # before TensorFlow starts its threads
        os.environ.update(MALLOC)  # for the reference's process
    cases = (Case("yolov3-tiny", 64, 2, 1.15),) if arguments.quick else CASES
    for case in cases:
        for precision in PRECISIONS:
            if arguments.model in (None, case.model) and arguments.precision in (None, precision):
                measure(case, precision=precision, repeats=arguments.repeats, reference=arguments.reference)


if __name__ == "__main__":
    main()
