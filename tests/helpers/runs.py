"""Small training run, and subprocesses that do parts of it and are killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from pathlib import Path

from cfg_texts import STAGED

OPTIONS = {
    "epochs": 8,
    "batch": 3,
    "seed": 1,
    "save_every": 2,
    "freeze": "1",
    "unfreeze_at": 3,
    "ema": 0.9,
    "keep_checkpoints": True,
}
"""Three steps an epoch, and a border of stages within the run."""


def processes():
    """Where processes come from that have everything imported: starting TensorFlow each time takes seconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["yolo.training.trainer", "yolo.datasets.load", "yolo.datasets.augment.augmenter"])
    return context


def begin_or_go_on(folder: Path, digits: Path) -> None:
    """Train the small run, from its last checkpoint if it has one."""
    import yolo
    from yolo.model.detector import Detector
    from yolo.training.run.checkpoint import Checkpoints

    dataset, validation = (yolo.load_dataset(digits, split) for split in ("train", "val"))
    if Checkpoints(folder).latest() is not None:
        yolo.resume(folder, dataset, validation=validation, keep_checkpoints=True)
    else:
        detector = Detector("net.cfg", cfg=STAGED, classes=dataset.classes, seed=0)
        yolo.train(detector, dataset, validation=validation, out=folder, **OPTIONS)


def die() -> None:
    """At once, as by kill -9."""
    os.kill(os.getpid(), signal.SIGKILL)


def killed_after(seconds: float, folder: Path, digits: Path) -> None:
    """Train, and die so many seconds after the first checkpoint is there, wherever that is."""
    from yolo.training.run.checkpoint import Checkpoints

    save = Checkpoints.save

    def timed(*arguments):
        path = save(*arguments)
        if not threading.current_thread().daemon and not timer.is_alive():
            timer.start()
        return path

    timer = threading.Timer(seconds, die)
    timer.daemon = True
    Checkpoints.save = timed  # in this process alone
    begin_or_go_on(folder, digits)
    sys.exit(0)


def killed_inside_a_save(number: int, share: float, folder: Path, digits: Path) -> None:
    """Train, and die when a fraction of the bytes of the n-th checkpoint is written."""
    from yolo.training.run import checkpoint

    write, count = checkpoint.write, 0

    def partly(path, arrays, meta):
        nonlocal count
        write(path, arrays, meta)
        if count == number:
            data = path.read_bytes()
            path.write_bytes(data[: int(share * len(data))])
            die()
        count += 1

    checkpoint.write = partly
    begin_or_go_on(folder, digits)
