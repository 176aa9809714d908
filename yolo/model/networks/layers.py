"""Keras layers for Darknet's sections, and a factory that numbers convolutions in the order of the weights file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from yolo.model.backend.kernel_gradient import convolve, products_are_faster
from yolo.model.backend.replicas import moments_over_replicas, replicas
from yolo.ops.boxes import Tensor

LEAK = 0.1
"""Slope of Darknet's leaky ReLU below zero."""
BATCH_NORM_EPSILON = 1e-6
"""Epsilon of the Darknet program on a CPU and of OpenCV: 1e-5 would shift the full network's outputs by 2e-4."""
BATCH_NORM_MOMENTUM = 0.9
"""Momentum of the running statistics; with 0.97 they lagged behind the weights early in training (docs/RECIPES.md)."""
HEAD_DEVIATION = 0.01
"""Standard deviation of a head's initial weights; small, so that all slots start near their prior."""


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda x: x,
    "leaky": lambda x: ops.leaky_relu(x, negative_slope=LEAK),
    "relu": ops.relu,
    "relu6": ops.relu6,
    "logistic": ops.sigmoid,
    "mish": lambda x: x * ops.tanh(ops.softplus(x)),
    "swish": ops.silu,
}
"""Activation functions by Darknet's names."""


def leaky_from_output(x: Tensor) -> Tensor:
    """Leaky ReLU for training whose gradient, on TensorFlow, is computed from its output: the input is not kept.

    Input and output share their sign, so the output suffices for the gradient; this saves a third of the activation
    memory.
    """
    if keras.backend.backend() != "tensorflow":
        return ACTIVATIONS["leaky"](x)
    import tensorflow as tf

    @tf.custom_gradient
    def leaky(x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        outputs = tf.nn.leaky_relu(x, LEAK)
        return outputs, lambda slope: tf.raw_ops.LeakyReluGrad(gradients=slope, features=outputs, alpha=LEAK)

    return leaky(x)


@keras.saving.register_keras_serializable(package="yolo")
class BatchNorm(keras.layers.BatchNormalization):
    """Batch normalization over the channels; on TensorFlow, training uses its fused operation.

    Keras computes moments and normalization in several passes there, which is slower on a CPU (docs/BENCHMARKS.md). The
    weights are the same. Statistics are float32 in every precision, and are those of the whole batch if several
    replicas share it, as on JAX.
    """

    def call(self, inputs: Tensor, training: bool | None = None, mask: Any = None) -> Tensor:
        if not (training and self.trainable and keras.backend.backend() == "tensorflow"):
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance = self._fused(inputs) if replicas() == 1 else self._shared(inputs)
        for average, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            average.assign(average * self.momentum + value * (1.0 - self.momentum))
        return outputs

    def _fused(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        import tensorflow as tf

        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=ops.cast(self.gamma, "float32"),
            offset=ops.cast(self.beta, "float32"),
            mean=[],
            variance=[],
            epsilon=self.epsilon,
            is_training=True,
        )
        # FusedBatchNormV3 returns the unbiased variance (n - 1); rescale to the biased one of other backends.
        count = ops.cast(tf.size(inputs) / tf.shape(inputs)[-1], "float32")
        return outputs, mean, variance * (count - 1.0) / count

    def _shared(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, variance = moments_over_replicas(inputs)
        wide = ops.cast(inputs, "float32")
        gamma, beta = ops.cast(self.gamma, "float32"), ops.cast(self.beta, "float32")
        outputs = ops.batch_normalization(wide, mean, variance, -1, offset=beta, scale=gamma, epsilon=self.epsilon)
        return ops.cast(outputs, inputs.dtype), mean, variance


@keras.saving.register_keras_serializable(package="yolo")
class Convolution(keras.layers.Layer):
    """Convolution with batch norm or bias, and activation: Darknet's [convolutional] section.

    Maps (B, h, w, channels) to (B, h / strides, w / strides, filters). With strides, all four sides are padded, as in
    Darknet; Keras' "same" would pad only the far ones.

    Args:
        filters: number of output channels.
        kernel_size: side of the kernel.
        strides: one number, or (vertical, horizontal).
        padding: zeros on each side; None: half the kernel.
        groups: number of groups into which the channels are split.
        depthwise: one filter per channel: as many groups as channels and filters.
        activation: one of `ACTIVATIONS`.
        batch_norm: use batch norm instead of a bias.
        head_bias: (filters,) initial bias of a head; its initial kernel is then small too.
        seed: seed of the initial weights.
        **options: options of any Keras layer.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        strides: int | tuple[int, int] = 1,
        *,
        padding: int | None = None,
        groups: int = 1,
        depthwise: bool = False,
        activation: str = "leaky",
        batch_norm: bool = True,
        head_bias: Any = None,
        seed: int | None = None,
        **options: Any,
    ):
        super().__init__(**options)
        self.filters, self.activation = filters, activation
        side = kernel_size // 2 if padding is None else padding
        # Without strides both paddings agree, and Keras' "same" saves an operation.
        same = strides in (1, (1, 1)) and kernel_size == 2 * side + 1
        self.padding = None if same or not side else keras.layers.ZeroPadding2D(side, dtype=self.dtype_policy)
        first_bias = "zeros" if head_bias is None else keras.initializers.Constant(head_bias)
        common = {
            "kernel_size": kernel_size,
            "strides": strides,
            "padding": "same" if same else "valid",
            "use_bias": not batch_norm,
            "bias_initializer": first_bias,
            "dtype": self.dtype_policy,
            "name": "convolution",
        }
        kernel = _depthwise_initializer(filters, seed) if depthwise else _initializer(seed, head=head_bias is not None)
        self.convolution = (
            keras.layers.DepthwiseConv2D(**common, depthwise_initializer=kernel)
            if depthwise
            else keras.layers.Conv2D(filters, groups=groups, **common, kernel_initializer=kernel)
        )
        self.batch_norm = _make_batch_norm(first_bias, self.dtype_policy) if batch_norm else None
        # Stride of the one kind of convolution that `convolve` knows, 0 of others.
        vertical, horizontal = self.convolution.strides
        known = (kernel_size, side, groups) == (3, 1, 1) and vertical == horizontal and batch_norm and not depthwise
        self.stride_of_square = vertical if known else 0

    def build(self, input_shape: Any) -> None:
        # Keras rejects a map smaller than the kernel, so give it the padded shape.
        self.convolution.build(input_shape if self.padding is None else self.padding.compute_output_shape(input_shape))
        if self.batch_norm is not None:
            self.batch_norm.build((*input_shape[:-1], self.filters))
        self.built = True

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        outputs = self._convolve(inputs, training)
        if self.batch_norm is not None:
            outputs = self.batch_norm(outputs, training=training)
        if training and self.activation == "leaky":
            return leaky_from_output(outputs)
        return ACTIVATIONS[self.activation](outputs)

    def _convolve(self, inputs: Tensor, training: bool | None) -> Tensor:
        if training and self.stride_of_square and products_are_faster(inputs, self.stride_of_square):
            return convolve(inputs, ops.cast(self.convolution.kernel, inputs.dtype), self.stride_of_square)
        return self.convolution(inputs if self.padding is None else self.padding(inputs))

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self.padding is not None:
            input_shape = self.padding.compute_output_shape(input_shape)
        return self.convolution.compute_output_shape(input_shape)


def _make_batch_norm(beta: Any, policy: Any) -> BatchNorm:
    return BatchNorm(
        momentum=BATCH_NORM_MOMENTUM, epsilon=BATCH_NORM_EPSILON, beta_initializer=beta, dtype=policy, name="batch_norm"
    )


def _initializer(seed: int | None, *, head: bool) -> keras.Initializer:
    initializers = keras.initializers
    return initializers.RandomNormal(stddev=HEAD_DEVIATION, seed=seed) if head else initializers.HeNormal(seed=seed)


def _depthwise_initializer(channels: int, seed: int | None) -> keras.Initializer:
    # Keras counts all channels as the fan-in of a filter, which has only one.
    return keras.initializers.VarianceScaling(2.0 * channels, "fan_in", "truncated_normal", seed=seed)


class Convolutions:
    """Factory of a network's convolutions, named conv_0, conv_1, ... in the order of Darknet's weights files.

    Each draws its initial weights from its number and the seed, so that equal seeds give equal networks whatever else
    was built before.
    """

    def __init__(self, seed: int):
        self.seed = seed
        self.layers: list[Convolution] = []

    def __call__(
        self, inputs: Tensor, filters: int, kernel_size: int, strides: int | tuple[int, int] = 1, **options: Any
    ) -> Tensor:
        """Apply the next convolution; ``options`` are those of `Convolution`."""
        count = len(self.layers)
        if options.get("head_bias") is not None:
            options["dtype"] = "float32"  # its output goes into exp, which needs float32
        layer = Convolution(
            filters, kernel_size, strides, **options, seed=self.seed * 1009 + count, name=f"conv_{count}"
        )
        self.layers.append(layer)
        return layer(inputs)

    def head(self, inputs: Tensor, bias: Any) -> Tensor:
        """Apply the next convolution as a head: linear, 1 x 1, with an initial bias (filters,)."""
        return self(inputs, len(bias), 1, activation="linear", batch_norm=False, head_bias=bias)


@keras.saving.register_keras_serializable(package="yolo")
class MaxPool(keras.layers.Layer):
    """Max pooling with Darknet's padding ([maxpool]): half of it, rounded down, before the map, the rest after.

    Args:
        size: side of the window.
        strides: (vertical, horizontal).
        padding: total padding of each axis.
        **options: options of any Keras layer.
    """

    def __init__(self, size: int, strides: tuple[int, int], padding: int, **options: Any):
        super().__init__(**options)
        self.size, self.strides, self.padding = size, strides, padding

    def call(self, inputs: Tensor) -> Tensor:
        before = self.padding // 2
        sides = (before, self.padding - before)
        # Padding must never be the maximum.
        outside = ops.pad(inputs, ((0, 0), sides, sides, (0, 0)), constant_values=-float("inf"))
        return ops.max_pool(outside if self.padding else inputs, self.size, self.strides, padding="valid")

    def compute_output_shape(self, input_shape: Any) -> Any:
        height, width = (
            None if length is None else (length + self.padding - self.size) // stride + 1
            for length, stride in zip(input_shape[1:3], self.strides, strict=True)
        )
        return (input_shape[0], height, width, input_shape[3])


@keras.saving.register_keras_serializable(package="yolo")
class Reorganize(keras.layers.Layer):
    """Space-to-depth in Darknet's order ([reorg]; YOLOv2, section 2): blocks of cells become channels.

    Darknet reads its channels-first input as if it had fewer channels and larger sides, gathers blocks of that, and
    reads the result as a smaller map with more channels. Published YOLOv2 weights were trained with that order.

    Args:
        stride: side of a block.
        **options: options of any Keras layer.
    """

    def __init__(self, stride: int, **options: Any):
        super().__init__(**options)
        self.stride = stride

    def call(self, inputs: Tensor) -> Tensor:
        channels, s = inputs.shape[3], self.stride
        height, width = ops.shape(inputs)[1:3]  # known only when it runs, if the canvas may be any
        x = ops.transpose(inputs, (0, 3, 1, 2))
        x = ops.reshape(x, (-1, channels // (s * s), height, s, width, s))
        x = ops.transpose(x, (0, 3, 5, 1, 2, 4))
        x = ops.reshape(x, (-1, channels * s * s, height // s, width // s))
        return ops.transpose(x, (0, 2, 3, 1))

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, height, width, channels = input_shape
        s = self.stride
        rows, columns = (None if side is None else side // s for side in (height, width))
        return (batch, rows, columns, channels * s * s)
