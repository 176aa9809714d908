"""Batch size that fits into memory: ``--batch auto``, and advice when a step ran out of memory."""

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
"""Batch sizes whose memory is measured; size 1 comes first to absorb one-off start-up costs."""
STEPS = 2
"""Steps run for each batch size; the first one includes compilation."""
USED_FRACTION = 0.8
"""Fraction of the free memory to plan for; the rest is for later growth: evaluation, longer lists of boxes."""
LARGEST = 256
"""Largest batch size per replica."""
SMALL, MULTIPLE = (1, 2, 4), 8
"""Candidate batch sizes: 1, 2, 4 and multiples of 8."""
GB = 1e9


class Need(NamedTuple):
    """Memory that a training step needs, in bytes."""

    fixed: float
    """Part that does not depend on the batch size."""
    picture: float
    """Part per image."""
    free: float
    """Free memory."""

    @property
    def most(self) -> int:
        """Largest number of images that fits into `USED_FRACTION` of the free memory."""
        return max(0, int((USED_FRACTION * self.free - self.fixed) / max(self.picture, 1.0)))


def fitting_batch(detector: Detector, dataset: Dataset, config: TrainConfig, devices: Devices) -> int:
    """Largest batch over all devices whose steps fit into memory when nothing is frozen.

    Args:
        detector: detector to train, not changed.
        dataset: training dataset; no batch is larger than it.
        config: options of the run.
        devices: devices to train on.

    Raises:
        ConfigError: not even one image fits.
    """
    need = measure_need(detector, dataset, config)
    # Each device has its own memory, except the CPUs of one host, which share it.
    memories = 1 if memory_is_the_hosts() else max(1, len(devices.names))
    own = need.most * memories
    smallest = min(int(found[0]) for found in devices.hosts.gather(np.array([own])))
    batch = choose_size(smallest * devices.hosts.world, len(dataset), devices.replicas)
    logger.info(
        "batch %d: a step takes %.2f GB and %.3f GB per picture; %.2f GB are free",
        batch,
        need.fixed / GB,
        need.picture / GB,
        need.free / GB,
    )
    return batch


def choose_size(most: int, pictures: int, replicas: int) -> int:
    """Largest candidate that exceeds neither ``most`` nor the dataset and divides evenly among the replicas.

    Raises:
        ConfigError: no candidate does.
    """
    bound = min(most, max(pictures, replicas))
    sizes = (*SMALL, *range(MULTIPLE, LARGEST * replicas + 1, MULTIPLE), replicas)
    fitting = [size for size in sizes if size <= bound and size % replicas == 0]
    if not fitting:
        raise nothing_fits()
    return max(fitting)


def nothing_fits() -> ConfigError:
    """Error for a batch of one image that does not fit, with the remedy."""
    return ConfigError(
        "not even one picture per device fits into memory; use a smaller --size or network, or --precision "
        "mixed_bfloat16"
    )


def measure_need(detector: Detector, dataset: Dataset, config: TrainConfig) -> Need:
    """Measure real steps of small batches on the run's largest canvas, and extrapolate to other sizes.

    Memory that the image cache may come to use does not count as free where the two share it. Unreadable images are
    replaced, as in the run, and only raise where they would end the run.

    Raises:
        ConfigError: the smallest batch does not fit.
        MediaError: too many images cannot be read.
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
    """Fit a straight line through the two largest batches.

    Args:
        peaks: peak memory in bytes for each batch size.
        before: bytes in use before.
        free: bytes free before.

    Raises:
        ConfigError: fewer than two sizes could be measured.
    """
    if len(peaks) < 2:
        raise nothing_fits()
    (first, low), (last, high) = sorted(peaks.items())[-2:]
    picture = max(0.0, (high - low) / (last - first))
    fixed = max(0.0, high - before - picture * last)
    return Need(fixed, picture, free)


def take_steps(detector: Detector, dataset: Dataset, config: TrainConfig, batch: int) -> None:
    """Run some training steps on batches of the run's stream."""
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
    """Raise a ConfigError that names a batch that would fit, if the error means out of memory."""
    if not is_out_of_memory(error):
        return
    batch, (height, width) = run.batch, run.detector.canvas
    smaller = batch_that_would_fit(run)
    advice = (
        "use a smaller --size or network"
        if smaller is None
        else f"--batch {smaller} would fit (--accumulate {round(batch / smaller)} keeps the pictures per update)"
    )
    raise ConfigError(f"out of memory with {batch} pictures of {width} x {height} per step; {advice}") from error


def batch_that_would_fit(run: Run) -> int | None:
    """Smaller batch than the run's: measured if possible, else the next candidate of at most half its size."""
    bound = run.batch // 2
    if run.devices.replicas == 1:
        with suppress(Exception):  # only the original error is of interest
            bound = min(run.batch - 1, measure_need(run.detector, run.dataset, run.config).most)
    with suppress(ConfigError):
        return choose_size(bound, len(run.dataset), run.devices.replicas)
    return None
