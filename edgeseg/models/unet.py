"""U-Net (Ronneberger, Fischer, Brox 2015): the compact one of three levels, the paper's four, or on another encoder."""

from __future__ import annotations

from typing import Any

from edgeseg.core.geometry import Size
from edgeseg.models.features import Features, encode
from edgeseg.models.layers import convolution, resized, scaled, transposed, upsampling
from edgeseg.models.light_decoder import light_decoder
from edgeseg.models.options import NetworkOptions
from edgeseg.tf import keras

FIRST_FILTERS = 64  # doubled at each level
DECODER_FILTERS = {16: 256, 8: 128, 4: 64, 2: 32, 1: 16}  # by stride, on encoders other than U-Net's own

# Layers


def double_convolution(x: Any, filters: int, batch_norm: bool, name: str) -> Any:
    """Two 3x3 convolutions; unlike the paper's they are padded, so that masks have the picture's size."""
    x = convolution(x, filters, 3, batch_norm, f"{name}_conv1")
    return convolution(x, filters, 3, batch_norm, f"{name}_conv2")


def double_convolutions(image: Any, options: NetworkOptions) -> Features:
    """U-Net's own encoder: 64 filters, doubled at each of three (256 and 512 at the bottom) or more levels."""
    x, skips = image, {}
    for level in range(1, options.levels + 1):
        filters = scaled(FIRST_FILTERS * 2 ** (level - 1), options.width)
        x = double_convolution(x, filters, options.batch_norm, f"down{level}")
        skips[2 ** (level - 1)] = x
        x = keras.layers.MaxPooling2D(name=f"pool{level}")(x)
    bottom = scaled(FIRST_FILTERS * 2**options.levels, options.width)
    x = double_convolution(x, bottom, options.batch_norm, "bottom")
    return Features(skips, skips, x)


def enlarged(x: Any, filters: int, name: str, options: NetworkOptions) -> Any:
    """Twice the size: a transposed convolution, or as many implementations have it, resize, 2x2 convolution, ReLU."""
    if options.upsampling == "transposed":
        return transposed(x, filters, 2, name, options)
    return convolution(resized(x, 2, name, options), filters, 2, options.batch_norm, name)


# Functional Model


def unet(input_size: Size, classes: int, options: NetworkOptions) -> Any:
    """U-Net from (N, H, W, 3) normalised pixels to (N, H, W, classes) float32 logits.

    With a score stride of 4 the decoder's last two levels are left out, and scores are enlarged as an FCN's. On
    encoders other than its own these levels have few channels, and the last none of the picture's detail.
    """
    image = keras.Input((*input_size, 3), name="image")
    features = encode(image, options)
    x = keras.layers.Dropout(options.dropout, name="bottom_dropout")(features.deepest)
    decoder = light_decoder if options.decoder == "light" else published_decoder
    x = decoder(features, x, options)
    if options.score_stride == 1:
        logits = keras.layers.Conv2D(classes, 1, name="logits", dtype="float32")(x)
    else:
        scores = keras.layers.Conv2D(classes, 1, name="score_decoded")(x)
        logits = upsampling(scores, classes, options.score_stride, "logits", options, dtype="float32")
    return keras.Model(image, logits, name="unet")


def published_decoder(features: Features, x: Any, options: NetworkOptions) -> Any:
    """Enlarge, join the skip, and two 3x3 convolutions: from the deepest features `x` to the score stride."""
    for level in range(options.stride.bit_length() - 1, options.score_stride.bit_length() - 1, -1):
        stride = 2 ** (level - 1)
        skip = features.skips.get(stride)  # keras.applications begin at stride 2
        first = FIRST_FILTERS * stride if options.encoder == "unet" else DECODER_FILTERS[stride]
        filters = scaled(first, options.width)
        x = enlarged(x, filters, f"up{level}", options)
        if skip is not None:
            x = keras.layers.Concatenate(name=f"skip{level}")([skip, x])
        x = double_convolution(x, filters, options.batch_norm, f"up{level}")
    return x
