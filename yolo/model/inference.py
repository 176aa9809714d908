"""Network for inference alone: batch norm folded into the convolutions, any canvas, head outputs as they come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from yolo.model.networks.layers import Convolution, Convolutions
from yolo.ops.boxes import Tensor

if TYPE_CHECKING:
    from yolo.model.detector import Detector

AnyCanvas = tuple[int | None, int | None]
"""(height, width) of a canvas; None: any multiple of the strides."""


def inference_network(detector: Detector, canvas: AnyCanvas = (None, None)) -> keras.Model:
    """Build a network that gives a detector's raw maps, with batch norm folded into kernels and biases.

    Its weights are copies in the precision of Keras' policy: later training of the detector does not change them.

    Args:
        detector: the detector.
        canvas: (height, width) of the images; ignored for a network that fits one canvas only.

    Returns:
        A model from images (B, H, W, 3), RGB in 0..255, to one map (B, h, w, A x (5 + C)) per scale, coarse to fine.
    """
    architecture = detector.architecture
    if architecture.fixed_canvas:
        # A Keras backbone has batch norm that is not ours; runtimes fold it themselves.
        heads = [output._keras_history.operation.input for output in detector.network.outputs]
        return keras.Model(detector.network.inputs, heads, name="network")
    images = keras.Input((*canvas, 3), name="images")
    biases = [np.zeros(len(shapes) * (5 + len(detector.classes))) for shapes in architecture.anchors]
    maps = architecture.build(images, FoldedConvolutions(detector.convolutions), biases)
    return keras.Model(images, maps, name="network")


class FoldedConvolutions(Convolutions):
    """Factory that returns a network's convolutions, in the order in which they were made, with batch norm folded."""

    def __init__(self, made: Sequence[Convolution]):
        super().__init__(seed=0)
        self._rest = iter(made)

    def __call__(
        self, inputs: Tensor, filters: int, kernel_size: int, strides: int | tuple[int, int] = 1, **options: Any
    ) -> Tensor:
        """Apply the next convolution, as `Convolutions` does, without batch norm."""
        made = next(self._rest)
        outputs = super().__call__(inputs, filters, kernel_size, strides, **{**options, "batch_norm": False})
        self.layers[-1].set_weights(folded_weights(made))
        return outputs


def folded_weights(layer: Convolution) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Kernel and bias of a convolution with its batch norm, if it has one, folded into them."""
    if layer.batch_norm is None:
        kernel, bias = layer.get_weights()
        return kernel, bias
    norm = layer.batch_norm
    gamma, beta, mean, variance = (
        ops.convert_to_numpy(each).astype(np.float64)
        for each in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
    )
    factor = gamma / np.sqrt(variance + norm.epsilon)
    kernel = ops.convert_to_numpy(layer.convolution.kernel).astype(np.float64)
    # (h, w, in, out), or (h, w, channels, 1) of a depthwise one.
    spread = factor[:, None] if kernel.shape[-1] == 1 and kernel.shape[-2] == len(factor) else factor
    return (kernel * spread).astype(np.float32), (beta - mean * factor).astype(np.float32)
