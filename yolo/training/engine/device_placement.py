"""Placement of a detector's variables on the devices of a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from yolo.distributed.devices import Devices
from yolo.model.detector import Detector
from yolo.training.run.stages import ordered_layers


@contextmanager
def on_devices(detector: Detector, devices: Devices) -> Iterator[Detector]:
    """Yield a copy of the detector on the devices; copy its weights back on exit.

    Variables stay on the device where they were made, so training elsewhere needs a copy that is made there. Without
    named devices the detector itself is yielded.
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
    """Copy the trained weights and the origin back to the detector."""
    detector.set_weights(twin.get_weights())
    detector.origin = twin.origin
