"""FCN-32s, FCN-16s and FCN-8s: scores at one to three strides (Long, Shelhamer, Darrell 2015)."""

from __future__ import annotations

from typing import Any

from edgeseg.core.geometry import Size
from edgeseg.models.features import Features, encode
from edgeseg.models.layers import upsampling
from edgeseg.models.options import NetworkOptions
from edgeseg.models.vgg import fully_connected
from edgeseg.tf import keras

SKIP_SCALES = {8: 1e-4, 16: 1e-2}  # of pool3 and pool4, in the published FCN-8s that is trained all at once
POOL_NAMES = {8: "pool3", 16: "pool4"}

# Layers


def score(x: Any, classes: int, name: str) -> Any:
    """1x1 convolution to class scores."""
    return keras.layers.Conv2D(classes, 1, kernel_initializer="he_normal", name=name)(x)


def deepest_scores(features: Features, classes: int, options: NetworkOptions) -> tuple[Any, str]:
    """Return class scores at stride 32, and the name of what they score: fc7 after VGG16, else the encoder's last."""
    if options.encoder == "vgg16":
        return score(fully_connected(features.deepest, options), classes, "score_fc7"), "fc7"
    x = keras.layers.Dropout(options.dropout, name="deepest_dropout")(features.deepest)
    return score(x, classes, "score_deepest"), "deepest"


def add_pool(x: Any, below: str, pool: Any, stride: int, classes: int, options: NetworkOptions) -> Any:
    """Enlarge scores twice and add a pool: its class scores, or with the wide decoder the pool itself.

    The wide decoder, as tutorials of 2017 have it, goes up to the pool's own channels: 512 and 256 on VGG16.
    """
    name = POOL_NAMES[stride]
    wide = options.decoder == "wide"
    x = upsampling(x, pool.shape[-1] if wide else classes, 2, f"up_{below}", options)
    if options.skip_scales:
        pool = keras.layers.Rescaling(SKIP_SCALES[stride], name=f"scale_{name}")(pool)
    return keras.layers.Add(name=f"add_{name}")([x, pool if wide else score(pool, classes, f"score_{name}")])


# Functional Models


def fcn8(input_size: Size, classes: int, options: NetworkOptions) -> Any:
    """FCN-8s from (N, H, W, 3) normalised pixels to (N, H, W, classes) float32 logits."""
    return _fcn(input_size, classes, options, strides=(16, 8))


def fcn16(input_size: Size, classes: int, options: NetworkOptions) -> Any:
    """FCN-16s: the last enlargement is 16 times."""
    return _fcn(input_size, classes, options, strides=(16,))


def fcn32(input_size: Size, classes: int, options: NetworkOptions) -> Any:
    """FCN-32s: no skips, one enlargement of 32 times."""
    return _fcn(input_size, classes, options, strides=())


def _fcn(input_size: Size, classes: int, options: NetworkOptions, strides: tuple[int, ...]) -> Any:
    image = keras.Input((*input_size, 3), name="image")
    features = encode(image, options)
    x, below = deepest_scores(features, classes, options)
    for stride in strides:
        x = add_pool(x, below, features.pools[stride], stride, classes, options)
        below = POOL_NAMES[stride]
    logits = upsampling(x, classes, strides[-1] if strides else 32, "logits", options, dtype="float32")
    return keras.Model(image, logits, name=options.architecture)
