"""Training speed on an accelerator: images/s, fraction of the chip's peak TFLOPS, memory.

    python scripts/bench_gpu.py                          # yolov3 at 416 and 608 in bfloat16
    python scripts/bench_gpu.py --peak-tflops 989        # of a chip that the table does not know
    python scripts/bench_gpu.py --data VOCdevkit         # fed by the loader: does it keep up?
    KERAS_BACKEND=tensorflow python scripts/bench_gpu.py # where TensorFlow has the GPU
    python scripts/bench_gpu.py --quick                  # small, to see that it runs

A step is what `Detector.fit` runs for a batch: forward, target assignment, loss, backward, clipping, AdamW, EMA. The
batch stays on the device; with `--data` each step takes a new one from the training pipeline with the default
augmentation, over so many steps that prefetched batches do not matter, and the row says how long the steps waited. The
difference between the two rates is the cost of the loader. Each row runs in a process of its own, because peak memory
is counted from the start of the process. Operations are those of the convolutions, two per multiply-add, times three:
forward, gradient of the maps, gradient of the kernels. On JAX, the default here, only `--data` needs TensorFlow.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from yolo.config import AugmentConfig, TrainConfig
from yolo.model.detector import Detector
from yolo.model.summary import summarise_detector
from yolo.training.optimizer.optimizer import make_optimizer

CLASSES = 80
BOXES = 16
"""Padded true boxes per image; half of them are valid."""
PASSES = 3
"""Passes of equal cost: forward, gradient of the maps, gradient of the kernels."""
PEAKS = {
    "H200": 989,
    "H100": 989,
    "A100": 312,
    "L40S": 362,
    "L4": 121,
    "A10G": 70,
    "A10": 125,
    "RTX 4090": 165,
    "RTX 3090": 71,
    "T4": 65,
    "V100": 125,
}
"""Dense TFLOPS of the matrix units in bfloat16 or float16 (the vendors' data sheets), by parts of the chips' names."""
FED = 10
"""Factor on the number of steps with ``--data``: many prefetched batches are ready after compilation."""
HEADING = "model         size  batch         step  images/s    TFLOPS    peak     GiB  waiting"
Step = Callable[[], None]


def make_batch(size: int, batch: int) -> tuple[np.ndarray[Any, Any], dict[str, np.ndarray[Any, Any]]]:
    """Random images with random boxes."""
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 0.7 * size, (batch, BOXES, 2))
    targets = {
        "boxes": np.concatenate([corner, corner + rng.uniform(8, 0.3 * size, corner.shape)], -1).astype(np.float32),
        "labels": rng.integers(0, CLASSES, (batch, BOXES)).astype(np.int32),
        "valid": np.tile(np.arange(BOXES) < BOXES // 2, (batch, 1)),
        "ignore": np.zeros((batch, BOXES), bool),
    }
    return rng.integers(0, 256, (batch, size, size, 3)).astype(np.uint8), targets


def jax_step(detector: Detector, batch: Any) -> Step:
    """Keras' compiled step; its state stays on the device and is donated from step to step."""
    import jax

    batch = jax.device_put(batch)
    detector.make_train_function()
    detector._symbolic_build(data_batch=batch)
    names = ("trainable_variables", "non_trainable_variables", "optimizer_variables", "metrics_variables")
    options = dict.fromkeys(names, True)
    state = [detector._get_jax_state(**options, purge_model_variables=True)]

    def step() -> None:
        logs, state[0] = detector.train_function(state[0], iter([batch]))
        jax.block_until_ready(logs)

    return step


def tensorflow_step(detector: Detector, batch: Any) -> Step:
    """Keras' compiled step."""
    import tensorflow as tf

    iterator = iter(tf.data.Dataset.from_tensors(tf.nest.map_structure(tf.constant, batch)).repeat())
    detector.make_train_function()

    def step() -> None:
        for value in detector.train_function(iterator).values():
            float(value)

    return step


def device_name() -> str:
    """Name of the chip."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.local_devices()[0].device_kind
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(gpus[0])["device_name"] if gpus else "cpu"


def peak_memory() -> float | None:
    """Peak device memory in GiB; None if the backend does not report it."""
    if keras.backend.backend() == "jax":
        import jax

        bytes_taken = (jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    else:
        import tensorflow as tf

        has_gpu = bool(tf.config.list_physical_devices("GPU"))
        bytes_taken = tf.config.experimental.get_memory_info("GPU:0")["peak"] if has_gpu else None
    return None if bytes_taken is None else bytes_taken / 2**30


def find_peak(name: str, given: float | None) -> float | None:
    """Peak TFLOPS of a chip by the longest matching name, so that an A10G does not count as an A10."""
    fitting = sorted((part for part in PEAKS if part in name), key=len)
    return given or (PEAKS[fitting[-1]] if fitting else None)


def seconds_on_device(detector: Detector, size: int, batch: int, repeats: int) -> float:
    """Median seconds of a step whose batch is on the device."""
    make_step = jax_step if keras.backend.backend() == "jax" else tensorflow_step
    step = make_step(detector, make_batch(size, batch))
    seconds = []
    for _ in range(repeats + 2):  # the first two compile
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[2:])


def seconds_fed(detector: Detector, data: str, size: int, batch: int, repeats: int) -> tuple[float, float]:
    """Mean seconds of a step of `Detector.fit` fed by the pipeline, and the fraction of it spent waiting."""
    from yolo.datasets.load import load_dataset
    from yolo.datasets.pipeline.batches import training_batches
    from yolo.training.callbacks.progress import DataClock, Progress

    dataset, clock, steps = load_dataset(data), DataClock(), FED * repeats
    if len(dataset.classes) > CLASSES:
        raise SystemExit(f"--data {data}: has {len(dataset.classes)} classes, expected at most {CLASSES}")
    rows: list[dict[str, float]] = []
    progress = Progress(clock, epochs=2, steps=steps, batch=batch, live=False)
    kept = keras.callbacks.LambdaCallback(on_epoch_end=lambda _, logs: rows.append(dict(logs)))
    batches = training_batches(dataset, (size, size), batch=batch, seed=0, augment=AugmentConfig())
    detector.fit(clock.timed(batches), epochs=2, steps_per_epoch=steps, verbose=0, callbacks=[progress, kept])
    return batch / rows[1]["images_per_second"], rows[1]["data_wait"]  # the first epoch compiles


def measure(arguments: argparse.Namespace, size: int, batch: int, peak: float | None) -> None:
    """Measure one case and print its row."""
    detector = Detector(arguments.model, classes=[f"class {index}" for index in range(CLASSES)], size=size)
    detector.compile(make_optimizer(TrainConfig(), detector, steps_per_epoch=100), jit_compile=True)
    if arguments.data is None:
        seconds, wait = seconds_on_device(detector, size, batch, arguments.repeats), None
    else:
        seconds, wait = seconds_fed(detector, arguments.data, size, batch, arguments.repeats)
    tflops = PASSES * summarise_detector(detector).flops * batch / seconds / 1e12
    memory = peak_memory()
    print(
        f"{arguments.model:12} {size:5} {batch:6} {seconds * 1e3:9.1f} ms {batch / seconds:9.1f} {tflops:9.3f}"
        f" {'-' if peak is None else f'{tflops / peak:.1%}':>7} {'-' if memory is None else f'{memory:.1f}':>7}"
        f" {'-' if wait is None else f'{wait:.0%}':>8}",
        flush=True,
    )


def measure_apart(arguments: argparse.Namespace) -> None:
    """Print a row per case, each from its own process; a failure, e.g. out of memory, ends only that case."""
    given = {"--model": arguments.model, "--precision": arguments.precision, "--repeats": arguments.repeats}
    given |= {"--peak-tflops": arguments.peak_tflops, "--data": arguments.data}
    options = [str(word) for name, value in given.items() if value is not None for word in (name, value)]
    cases = [(size, batch) for size in arguments.sizes for batch in arguments.batches]
    for number, (size, batch) in enumerate(cases):
        case = ["--sizes", str(size), "--batches", str(batch), *(["--row-alone"] if number else [])]
        if subprocess.run([sys.executable, __file__, *options, *case], check=False).returncode:
            print(f"{arguments.model:12} {size:5} {batch:6}    failed", flush=True)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="yolov3")
    parser.add_argument("--sizes", type=int, nargs="+", default=[416, 608])
    parser.add_argument("--batches", type=int, nargs="+", default=[16, 64, 128], help="images per step")
    parser.add_argument("--precision", default="mixed_bfloat16", help="float32, mixed_bfloat16 or mixed_float16")
    parser.add_argument("--peak-tflops", type=float, help="of the chip's matrix units; default: by its name")
    parser.add_argument("--repeats", type=int, default=10, help=f"steps; with --data {FED} times as many")
    parser.add_argument("--data", help="a dataset whose pictures the training pipeline makes the batches of")
    parser.add_argument("--row-alone", action="store_true", help="without the headings")
    parser.add_argument("--quick", action="store_true", help="one small case")
    return parser.parse_args(arguments)


def main() -> None:
    arguments = parse()
    if arguments.quick:
        arguments.model, arguments.sizes, arguments.batches, arguments.repeats = "yolov3-tiny", [32], [1], 1
    if len(arguments.sizes) * len(arguments.batches) > 1:
        measure_apart(arguments)
        return
    keras.config.set_dtype_policy(arguments.precision)
    name = device_name()
    peak = find_peak(name, arguments.peak_tflops)
    if not arguments.row_alone:
        print(f"{name}, {keras.backend.backend()}, {arguments.precision}, peak {peak or 'unknown'} TFLOPS")
        print(HEADING)
    measure(arguments, arguments.sizes[0], arguments.batches[0], peak)


if __name__ == "__main__":
    main()
