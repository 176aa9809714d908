"""What the networks are made of: Darknet's convolution, and a factory that numbers them in file order."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from yolo.ops.boxes import Tensor

LEAK = 0.1
"""Slope of Darknet's leaky ReLU below zero."""
BATCH_NORM_EPSILON = 1e-5
BATCH_NORM_MOMENTUM = 0.97
HEAD_DEVIATION = 0.01
"""Standard deviation of a head's first weights: all slots begin near their prior."""


@keras.saving.register_keras_serializable(package="yolo")
class BatchNorm(keras.layers.BatchNormalization):
    """Keras' batch norm over the channels; in training on TensorFlow as its one fused operation.

    Keras computes moments and normalizes in several passes there, which was slower
    on a CPU (docs/BENCHMARKS.md). The weights are the same.
    """

    def call(self, inputs: Tensor, training: bool | None = None, mask: Any = None) -> Tensor:
        if not (training and self.trainable and keras.backend.backend() == "tensorflow"):
            return super().call(inputs, training=training, mask=mask)
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
        # The operation counts n - 1 values of n, other backends n: one law for all.
        count = ops.cast(tf.size(inputs) / tf.shape(inputs)[-1], "float32")
        variance *= (count - 1.0) / count
        for average, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            average.assign(average * self.momentum + value * (1.0 - self.momentum))
        return outputs


@keras.saving.register_keras_serializable(package="yolo")
class Convolution(keras.layers.Layer):
    """A [convolutional] section of Darknet: convolution, batch norm or bias, activation.

    Takes (B, h, w, channels), gives (B, h / strides, w / strides, filters). Stride 2 pads all
    four sides as Darknet does; Keras' "same" would pad the far ones alone.

    Args:
        filters: channels that come out.
        kernel_size: side of the kernel.
        strides: 1 or 2.
        head: a linear output with a bias in place of batch norm and leaky ReLU.
        bias: (filters,) initial bias of a head.
        seed: of the initial weights.
        **options: those of any Keras layer.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        strides: int = 1,
        *,
        head: bool = False,
        bias: Any = None,
        seed: int | None = None,
        **options: Any,
    ):
        super().__init__(**options)
        initializers = keras.initializers
        self.convolution = keras.layers.Conv2D(
            filters,
            kernel_size,
            strides,
            padding="same" if strides == 1 else "valid",
            use_bias=head,
            kernel_initializer=(
                initializers.RandomNormal(stddev=HEAD_DEVIATION, seed=seed)
                if head
                else initializers.HeNormal(seed=seed)
            ),
            bias_initializer="zeros" if bias is None else initializers.Constant(bias),
            dtype=self.dtype_policy,
            name="convolution",
        )
        self.padding = keras.layers.ZeroPadding2D(kernel_size // 2, dtype=self.dtype_policy) if strides > 1 else None
        self.batch_norm = (
            None
            if head
            else BatchNorm(
                momentum=BATCH_NORM_MOMENTUM,
                epsilon=BATCH_NORM_EPSILON,
                dtype=self.dtype_policy,
                name="batch_norm",
            )
        )

    def build(self, input_shape: Any) -> None:
        self.convolution.build(input_shape)
        if self.batch_norm is not None:
            self.batch_norm.build((*input_shape[:-1], self.convolution.filters))
        self.built = True

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        outputs = self.convolution(inputs if self.padding is None else self.padding(inputs))
        if self.batch_norm is None:
            return outputs
        return ops.leaky_relu(self.batch_norm(outputs, training=training), negative_slope=LEAK)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self.padding is not None:
            input_shape = self.padding.compute_output_shape(input_shape)
        return self.convolution.compute_output_shape(input_shape)


class Convolutions:
    """Makes a network's convolutions, named conv_0, conv_1, ... in the order of Darknet's weight files.

    Each draws its first weights from its own number and the seed, so that equal seeds make
    equal networks whatever else was made before.
    """

    def __init__(self, seed: int):
        self.seed = seed
        self.count = 0

    def __call__(
        self, inputs: Tensor, filters: int, kernel_size: int, strides: int = 1, *, head_bias: Any = None
    ) -> Tensor:
        """Apply the next one; ``head_bias`` (filters,) makes it a linear output."""
        layer = Convolution(
            filters,
            kernel_size,
            strides,
            head=head_bias is not None,
            bias=head_bias,
            seed=self.seed * 1009 + self.count,
            name=f"conv_{self.count}",
        )
        self.count += 1
        return layer(inputs)
