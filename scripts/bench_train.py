"""How much matching, loss and metrics add to a bare training step, and how fast the steps are.

    python scripts/bench_train.py                 # yolov3, 416, batch 8, and yolov3-tiny, 416, batch 16
    python scripts/bench_train.py --quick         # small, to see that it runs

The bare step is forward, backward of the mean of the raw maps, and update. The fit step is what
`Detector.fit` runs: matching, loss and metrics as well. Both alternate in one run, on one batch in memory,
and the ratio of their medians is what counts; the seconds depend on the machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from yolo.config import TrainConfig
from yolo.model.detector import Detector
from yolo.training.optimizer import make_optimizer

CASES = (("yolov3", 416, 8, 1.05), ("yolov3-tiny", 416, 16, 1.15))
"""Model, side of the canvas, batch, and the largest ratio that is good."""
CLASSES = 80
BOXES = 8
"""True boxes a picture: the average of COCO is 7.3."""


def make_batch(size: int, batch: int) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Random pictures with random boxes."""
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


def bare_step(detector: Detector, images: tf.Tensor) -> Callable[[], object]:
    """Forward, backward and update with a loss that costs nothing."""
    variables = detector.trainable_variables

    @tf.function
    def step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.add_n([tf.reduce_mean(raw) for raw in detector(images, training=True)])
        detector.optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    return lambda: step().numpy()


def fit_step(detector: Detector, images: tf.Tensor, targets: dict[str, tf.Tensor]) -> Callable[[], object]:
    """What `fit` runs for one batch."""
    iterator = iter(tf.data.Dataset.from_tensors((images, targets)).repeat())
    detector.make_train_function()
    return lambda: {key: float(value) for key, value in detector.train_function(iterator).items()}


def medians(steps: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each step, the steps taking turns after two rounds that do not count."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for round_number in range(repeats + 2):
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            if round_number >= 2:
                seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in seconds.items()}


def measure(model: str, size: int, batch: int, limit: float, *, repeats: int, precision: str) -> None:
    keras.backend.clear_session()
    detector = Detector(model, classes=[f"class {index}" for index in range(CLASSES)], size=size)
    detector.compile(make_optimizer(TrainConfig(), detector, steps_per_epoch=100))
    images, targets = make_batch(size, batch)
    found = medians({"bare": bare_step(detector, images), "fit": fit_step(detector, images, targets)}, repeats)
    ratio = found["fit"] / found["bare"]
    print(
        f"{model:12} {size:5} {batch:5}  {precision:14}  {found['bare']:8.3f} s  {found['fit']:8.3f} s  "
        f"{batch / found['fit']:8.2f}  {ratio:6.3f}  {'good' if ratio <= limit else f'over {limit}'}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--precision", default="float32", help="or mixed_bfloat16")
    parser.add_argument("--quick", action="store_true", help="one small case")
    arguments = parser.parse_args()
    keras.config.set_dtype_policy(arguments.precision)
    print("model         size batch  precision       bare step   fit step  images/s   ratio")
    for model, size, batch, limit in (("yolov3-tiny", 64, 2, 1.15),) if arguments.quick else CASES:
        measure(model, size, batch, limit, repeats=arguments.repeats, precision=arguments.precision)


if __name__ == "__main__":
    main()
