"""A detector on the devices of a run, wherever it was made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from yolo.distributed.devices import Devices
from yolo.model.detector import Detector
from yolo.training.run.stages import ordered_layers


@contextmanager
def on_devices(detector: Detector, devices: Devices) -> Iterator[Detector]:
    """The detector as it is trained on devices; afterwards the one given has what that has learned.

    A detector has its variables where it was made. A run that is to compute elsewhere trains a twin made there.
    """
    if not devices.names:
        yield detector
        return
    with devices.scope():
        twin = Detector.from_config(detector.get_config())
        twin.set_weights(detector.get_weights())
        for own, other in zip(ordered_layers(detector), ordered_layers(twin), strict=True):
            other.trainable = own.trainable
        try:
            yield twin
        except (KeyboardInterrupt, SystemExit):
            take_over(detector, twin)
            raise
        take_over(detector, twin)


def take_over(detector: Detector, twin: Detector) -> None:
    """Give a detector what its twin has learned."""
    detector.set_weights(twin.get_weights())
    detector.origin = twin.origin
