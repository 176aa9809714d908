"""Small runs on one and on several devices, in a process of their own: `python device_runs.py DIGITS OUT RUN...`.

A run is ``DEVICES/OPTIMIZER/ACCUMULATE/MULTI_SCALE/PRECISION``, of which only the first is needed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cfg_texts import STAGED

OPTIONS = {
    "epochs": 2,
    "batch": 4,
    "seed": 1,
    "clip_norm": 1.0,
    "learning_rate": 0.01,
    "warmup_epochs": 0.0,
    "ema": 0.9,
    "keep_checkpoints": True,
}
"""The gradients' norm is far above the clip, and the weights go far: what is summed wrongly shows."""


def two_cpus() -> None:
    """Let the backend see two devices."""
    if os.environ.get("KERAS_BACKEND") == "jax":
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"
        return
    import tensorflow as tf

    one = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], [one, one])


def train_once(digits: Path, folder: Path, **options) -> None:
    """The small run; its checkpoints say what came of it."""
    import yolo
    from yolo.model.detector import Detector

    dataset, validation = (yolo.load_dataset(digits, split) for split in ("train", "val"))
    detector = Detector("net.cfg", cfg=STAGED, classes=dataset.classes, seed=0)
    yolo.train(detector, dataset, validation=validation, out=folder, **{**OPTIONS, **options})


def draw_nothing() -> None:
    """Leave out the pictures of a run, at which nobody looks here."""
    from yolo.training.engine import loop
    from yolo.training.run.folder import RunFolder

    loop.draw_first_batches = RunFolder.draw_curves = lambda *_: None


def main(digits: str, out: str, *runs: str) -> None:
    two_cpus()
    import keras

    draw_nothing()
    for number, run in enumerate(runs):
        usual = ["adamw", "1", "0", "float32"]
        names, optimizer, accumulate, multi_scale, precision = (*run.split("/"), *usual[run.count("/") :])
        keras.config.set_dtype_policy(precision)
        options = {"optimizer": optimizer, "accumulate": int(accumulate), "multi_scale": float(multi_scale)}
        if optimizer == "adamw":  # it makes much of gradients that are nearly nothing
            options["learning_rate"] = 0.001
        train_once(Path(digits), Path(out) / str(number), devices=names, **options)


if __name__ == "__main__":
    main(*sys.argv[1:])
