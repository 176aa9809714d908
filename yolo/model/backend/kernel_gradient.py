"""3 x 3 convolution whose kernel's gradient is nine matrix products, where oneDNN's own operation is slower.

In bfloat16 on a processor TensorFlow's oneDNN computes that gradient at 100 to 150 GFLOP/s a core for small maps and
for strides, and matrix products at 160 to 210 (docs/BENCHMARKS.md). Values differ by rounding only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import keras

from yolo.model.backend.precision import accelerator
from yolo.ops.boxes import Tensor

SMALL_MAP = 20
"""Largest side of a map, in cells, for which the products are faster without strides."""
FEWEST_CHANNELS = {1: 256, 2: 128}
"""Fewest input channels for which the products are faster, by stride."""
SIDES = [[0, 0], [1, 1], [1, 1], [0, 0]]
"""One zero on each side of a map, as Darknet pads a 3 x 3 kernel."""


def products_are_faster(inputs: Tensor, stride: int) -> bool:
    """Whether `convolve` beats TensorFlow's own gradient for these inputs (B, h, w, channels)."""
    if keras.backend.backend() != "tensorflow" or keras.backend.standardize_dtype(inputs.dtype) != "bfloat16":
        return False
    height, width, channels = inputs.shape[1:]
    if height is None or width is None or channels < FEWEST_CHANNELS.get(stride, channels + 1):
        return False
    fits = max(height, width) <= SMALL_MAP if stride == 1 else height % 2 == width % 2 == 0
    return fits and accelerator() == "cpu"


def convolve(inputs: Tensor, kernel: Tensor, stride: int) -> Tensor:
    """Convolution of (B, h, w, channels) with (3, 3, channels, filters), one zero on each side, on TensorFlow.

    Args:
        inputs: maps; with a stride of 2, of even height and width.
        kernel: kernel of the inputs' precision.
        stride: 1 or 2, in both directions.
    """
    import tensorflow as tf

    @tf.custom_gradient
    def run(inputs: Tensor, kernel: Tensor) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, Tensor]]]:
        # Without strides "SAME" is the same padding, and saves an operation.
        source, padding = (inputs, "SAME") if stride == 1 else (tf.pad(inputs, SIDES), "VALID")

        def gradient(slopes: Tensor) -> tuple[Tensor, Tensor]:
            onto_source = tf.raw_ops.Conv2DBackpropInput(
                input_sizes=tf.shape(source),
                filter=kernel,
                out_backprop=slopes,
                strides=[1, stride, stride, 1],
                padding=padding,
            )
            onto_inputs = onto_source if stride == 1 else onto_source[:, 1:-1, 1:-1]
            return onto_inputs, _kernel_gradient(inputs, slopes, stride)

        return tf.nn.conv2d(source, kernel, stride, padding), gradient

    return run(inputs, kernel)


def _kernel_gradient(inputs: Tensor, slopes: Tensor, stride: int) -> Tensor:
    """Sum, for each of the nine cells of the kernel, of the products of what it saw and the slopes of the output."""
    import tensorflow as tf

    channels, filters = inputs.shape[-1], slopes.shape[-1]
    rows = tf.reshape(slopes, (-1, filters))
    seen = _seen(inputs) if stride == 1 else _seen_in_twos(inputs)
    products = [tf.matmul(tf.reshape(each, (-1, channels)), rows, transpose_a=True) for each in seen]
    return tf.reshape(tf.stack(products), (3, 3, channels, filters))


def _seen(inputs: Tensor) -> Iterator[Tensor]:
    """Inputs that each cell of the kernel meets without strides: nine times (B, h, w, channels)."""
    import tensorflow as tf

    height, width = inputs.shape[1:3]
    padded = tf.pad(inputs, SIDES)
    for row in range(3):
        for column in range(3):
            yield padded[:, row : row + height, column : column + width]


def _seen_in_twos(inputs: Tensor) -> Iterator[Tensor]:
    """Inputs that each cell of the kernel meets with a stride of 2: nine times (B, h / 2, w / 2, channels).

    The middle cell of an axis meets the even places, the last one the odd places, the first one the odd places one step
    before. Slices of the reshaped map are four times as fast to copy as slices with strides.
    """
    import tensorflow as tf

    height, width, channels = inputs.shape[1] // 2, inputs.shape[2] // 2, inputs.shape[3]
    pairs = tf.reshape(inputs, (-1, height, 2, width, 2 * channels))
    phases: dict[tuple[int, int], Tensor] = {}
    for down in (0, 1):
        for right in (0, 1):
            phase = pairs[:, :, down, :, right * channels : (right + 1) * channels]
            phases[down, right] = tf.pad(phase, [[0, 0], [down, 0], [right, 0], [0, 0]])
    places = ((1, 0), (0, 0), (1, 1))  # phase, and first place of the padded phase, of each cell of an axis
    for down, top in places:
        for right, left in places:
            yield phases[down, right][:, top : top + height, left : left + width]
