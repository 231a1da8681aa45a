"""Convolutions of each channel by itself, where Keras's are slow to train or are not there."""

from __future__ import annotations

from typing import Any

from edgeseg.models.bilinear import bilinear_kernel
from edgeseg.tf import keras, tf


@keras.saving.register_keras_serializable(package="edgeseg")
class DepthwiseConv2D(keras.layers.DepthwiseConv2D):  # type: ignore[misc]
    """keras.layers.DepthwiseConv2D, whose gradients are computed in float32 where they are slow in bfloat16.

    On a CPU TensorFlow 2.21 has a quick bfloat16 kernel for 3x3 at stride 1 only: an EfficientNet-Lite0 took 610 CPU ms
    a step in its depthwise convolutions, and takes 227 so; all in float32 195.
    """

    def call(self, inputs: Any) -> Any:
        is_quick = self.compute_dtype != "bfloat16" or (max(self.strides) == 1 and max(self.kernel_size) <= 3)
        if is_quick or self.use_bias or self.activation is not keras.activations.linear:
            return super().call(inputs)
        padding, strides = self.padding.upper(), [1, *self.strides, 1]

        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def convolved(x: Any, kernel: Any) -> Any:
            def gradients(upstream: Any) -> tuple[Any, Any]:
                wide, upstream = tf.cast(x, tf.float32), tf.cast(upstream, tf.float32)
                of_x = tf.nn.depthwise_conv2d_backprop_input(
                    tf.shape(x), tf.cast(kernel, tf.float32), upstream, strides, padding
                )
                of_kernel = tf.nn.depthwise_conv2d_backprop_filter(wide, kernel.shape, upstream, strides, padding)
                return tf.cast(of_x, x.dtype), tf.cast(of_kernel, kernel.dtype)

            return tf.nn.depthwise_conv2d(x, kernel, strides, padding), gradients

        return convolved(inputs, tf.cast(self.kernel, inputs.dtype))


@keras.saving.register_keras_serializable(package="edgeseg")
class DepthwiseConv2DTranspose(keras.layers.Layer):  # type: ignore[misc]
    """A transposed convolution without bias that enlarges each channel by itself; Keras's has no groups.

    From (N, H, W, C) to (N, H * strides, W * strides, C); the kernels, one a channel, start bilinear.

    Computed as a dense transposed convolution whose kernel is 0 between different channels: TensorFlow's own depthwise
    one (the gradient of its depthwise convolution) is slower than that in bfloat16, and tf2onnx does not know it. The
    exported ConvTranspose is a grouped one (edgeseg.export.upsampling).

    Attributes:
        kernel: (k, k, C, 1), float32.
        kernel_size, strides: height and width.

    Example:
        DepthwiseConv2DTranspose(16, 8)(scores)
    """

    def __init__(self, kernel_size: int, strides: int, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.kernel_size, self.strides = (kernel_size, kernel_size), (strides, strides)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        def bilinear(shape: tuple[int, ...], dtype: Any = None) -> Any:
            kernel = keras.ops.convert_to_tensor(bilinear_kernel(shape[0])[:, :, None, None], dtype=dtype)
            return keras.ops.tile(kernel, (1, 1, *shape[2:]))

        shape = (*self.kernel_size, input_shape[-1], 1)
        self.kernel = self.add_weight(shape=shape, initializer=bilinear, name="kernel")

    def dense_kernel(self, kernel: Any) -> Any:
        """Return what a Conv2DTranspose would have for this kernel (k, k, C, 1): (k, k, C, C), 0 but for its own."""
        return kernel * keras.ops.eye(kernel.shape[2], dtype=kernel.dtype)

    def call(self, x: Any) -> Any:
        kernel = keras.ops.convert_to_tensor(self.kernel)
        return keras.ops.conv_transpose(x, self.dense_kernel(kernel), self.strides, padding="same")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, height, width, channels = input_shape
        down, right = self.strides
        return batch, height and height * down, width and width * right, channels

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kernel_size": self.kernel_size[0], "strides": self.strides[0]}
