"""TensorFlow on a processor: batch norm folded, in bfloat16 where the processor multiplies it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from yolo.conversion.description import describe
from yolo.conversion.graph import maps_function
from yolo.model.backend.precision import computing_in
from yolo.runtimes.interface import Images

if TYPE_CHECKING:
    from yolo.model.detector import Detector


class TensorFlowNetwork:
    """Inference network of a detector as one TensorFlow function for all canvases.

    Its weights are copies, in the precision of the computation so that no call casts them. They stay variables: as
    constants of the graph a call of the full network took 8 % less of the processor's time, and the start six seconds
    more.

    Args:
        detector: the detector; its later training does not change the copies.
        precision: ``float32`` or ``bfloat16``.
    """

    runtime = "keras"
    parallel = 1  # one batch uses all cores

    def __init__(self, detector: Detector, *, precision: str = "float32"):
        with computing_in(precision):  # the copies of the weights get this type
            self._function = maps_function(detector)
        self.precision = precision
        self.description = describe(detector)

    def __call__(self, images: Images) -> list[NDArray[Any]]:
        """Compute the raw maps for images (B, H, W, 3)."""
        import tensorflow as tf

        maps = self._function(tf.constant(images))
        return [maps[name].numpy() for name in self.description.outputs]
