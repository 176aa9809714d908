"""What fits in the memory: ``--batch auto``, and advice when a step did not fit."""

from __future__ import annotations

import gc
import logging
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import numpy as np

from yolo.config import TrainConfig
from yolo.datasets.pipeline.batches import training_batches
from yolo.datasets.pipeline.cache import most_in_memory
from yolo.datasets.pipeline.multi_scale import canvases
from yolo.datasets.pipeline.picture_loader import Loader
from yolo.datasets.pipeline.quarantine import Quarantine
from yolo.datasets.pipeline.tf_errors import reported_failures
from yolo.distributed.devices import Devices
from yolo.errors import ConfigError
from yolo.model.detector import Detector
from yolo.structs import Dataset
from yolo.system.device_memory import is_out_of_memory, memory_is_the_hosts, memory_now, peak_of
from yolo.training.optimizer.class_weights import with_class_weights
from yolo.training.optimizer.optimizer import make_optimizer
from yolo.training.run.run import Run

logger = logging.getLogger(__name__)

MEASURED = (1, 4, 8)
"""Pictures of the steps that are measured; the first one is for what a first step takes besides."""
STEPS = 2
"""Of each; the first one compiles."""
USED_SHARE = 0.8
"""Of the memory that is free; the rest is for what grows later: evaluation, longer lists of boxes."""
LARGEST = 256
"""Pictures a replica."""
SMALL, MULTIPLE = (1, 2, 4), 8
"""Batches to choose from: these, and multiples of that."""
GB = 1e9


class Need(NamedTuple):
    """The memory that a training step takes, in bytes."""

    fixed: float
    """Whatever the batch."""
    picture: float
    """For each picture."""
    free: float
    """What there is."""

    @property
    def most(self) -> int:
        """So many pictures fit in `USED_SHARE` of it."""
        return max(0, int((USED_SHARE * self.free - self.fixed) / max(self.picture, 1.0)))


def fitting_batch(detector: Detector, dataset: Dataset, config: TrainConfig, devices: Devices) -> int:
    """The largest batch whose steps fit in the memory with nothing frozen, over all devices.

    Args:
        detector: what is to be trained; it stays as it is.
        dataset: what it is to learn from; no batch is larger than that.
        config: the run's options.
        devices: where it will compute.

    Raises:
        ConfigError: not even one picture fits.
    """
    need = measure_need(detector, dataset, config)
    # Devices have a memory each, but for the processors of one host.
    memories = 1 if memory_is_the_hosts() else max(1, len(devices.names))
    share = need.most * memories
    smallest = min(int(found[0]) for found in devices.hosts.gather(np.array([share])))
    batch = choose_size(smallest * devices.hosts.world, len(dataset), devices.replicas)
    logger.info(
        "batch %d: a step takes %.2f GB and %.3f GB a picture, %.2f GB are free",
        batch,
        need.fixed / GB,
        need.picture / GB,
        need.free / GB,
    )
    return batch


def choose_size(most: int, pictures: int, replicas: int) -> int:
    """The largest batch that is neither above ``most`` nor above the dataset, and can be shared out evenly.

    Raises:
        ConfigError: there is none.
    """
    bound = min(most, max(pictures, replicas))
    sizes = (*SMALL, *range(MULTIPLE, LARGEST * replicas + 1, MULTIPLE), replicas)
    fitting = [size for size in sizes if size <= bound and size % replicas == 0]
    if not fitting:
        raise nothing_fits()
    return max(fitting)


def nothing_fits() -> ConfigError:
    """The error that says so, and what to do."""
    return ConfigError(
        "not even one picture a device fits in the memory; take a smaller --size or network, or --precision "
        "mixed_bfloat16"
    )


def measure_need(detector: Detector, dataset: Dataset, config: TrainConfig) -> Need:
    """What real steps of small batches take on the largest canvas of the run, and what follows for others.

    Where they share a memory with the cache of pictures, what that may come to take is not free.
    Pictures that cannot be read are replaced, as in the run, and end it only where they would end the run.

    Raises:
        ConfigError: the smallest one does not fit.
        MediaError: too many pictures cannot be read.
    """
    sizes = canvases(detector.canvas, config.multi_scale)
    twin = Detector.from_config({**detector.get_config(), "size": sizes[-1]})
    optimizer = make_optimizer(config, twin, steps_per_epoch=STEPS)
    twin.compile(optimizer=optimizer, loss=with_class_weights(config.loss, dataset))
    before, free = memory_now()
    if memory_is_the_hosts():
        free -= most_in_memory(config.cache, pictures=len(dataset), canvases=sizes, free=free)
    peaks: dict[int, int] = {}
    for size in MEASURED:
        try:
            peaks[size] = peak_of(partial(take_steps, twin, dataset, config, size))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            break
    del twin, optimizer
    gc.collect()
    return extrapolate(peaks, before, free)


def extrapolate(peaks: dict[int, int], before: int, free: int) -> Need:
    """A straight line through the two largest batches.

    Args:
        peaks: for each number of pictures the most bytes that were in use.
        before: bytes in use before.
        free: bytes free before.

    Raises:
        ConfigError: there are not two.
    """
    if len(peaks) < 2:
        raise nothing_fits()
    (first, low), (last, high) = sorted(peaks.items())[-2:]
    picture = max(0.0, (high - low) / (last - first))
    fixed = max(0.0, high - before - picture * last)
    return Need(fixed, picture, free)


def take_steps(detector: Detector, dataset: Dataset, config: TrainConfig, batch: int) -> None:
    """Some training steps on batches of the run's stream."""
    batches = training_batches(
        dataset,
        detector.canvas,
        batch=batch,
        seed=config.seed,
        augment=config.augment,
        workers=1,
        loader=Loader(dataset, detector.letterbox, quarantine=Quarantine(dataset)),
    )
    with reported_failures():
        detector.fit(batches, steps_per_epoch=STEPS, epochs=1, verbose=0, shuffle=False)


def check_memory(run: Run, error: Exception) -> None:
    """Raise a ConfigError that names a batch that would fit if an error says that memory ran out."""
    if not is_out_of_memory(error):
        return
    batch, (height, width) = run.batch, run.detector.canvas
    smaller = batch_that_would_fit(run)
    advice = (
        "take a smaller --size or network"
        if smaller is None
        else f"--batch {smaller} would fit (with --accumulate {round(batch / smaller)} an update sees as many)"
    )
    raise ConfigError(f"out of memory with {batch} pictures of {width} x {height} a step; {advice}") from error


def batch_that_would_fit(run: Run) -> int | None:
    """A batch smaller than the run's: measured if possible, else the next one that is at most half of it."""
    bound = run.batch // 2
    if run.devices.replicas == 1:
        with suppress(Exception):  # whatever happens now, the first error is what is to be told
            bound = min(run.batch - 1, measure_need(run.detector, run.dataset, run.config).most)
    with suppress(ConfigError):
        return choose_size(bound, len(run.dataset), run.devices.replicas)
    return None
