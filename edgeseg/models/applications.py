"""Encoders of keras.applications: the library builds them, and its layer names stay, so that its weights fit.

U-Net on MobileNets joins the expanded features before each reduction, as TensorFlow's segmentation tutorial does.
Padding layers are replaced by convolutions and poolings that pad by themselves, which compute the same: a Pad of its
own in the exported graph would copy the largest feature maps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgeseg.models.batch_norm import MOMENTUM, BatchNormalization
from edgeseg.models.depthwise import DepthwiseConv2D
from edgeseg.models.features import Features
from edgeseg.models.options import NetworkOptions
from edgeseg.tf import keras


def mobilenet_v2(image: Any, options: NetworkOptions) -> Features:
    """MobileNetV2 (Sandler et al. 2018); input -1 to 1, RGB."""
    library = library_model("mobilenet_v2", tuple(image.shape[1:]), alpha=options.width)
    return _features(library, {2: "block_1_pad", 4: "block_3_pad", 8: "block_6_pad", 16: "block_13_pad"}, image)


def mobilenet_v3(image: Any, options: NetworkOptions) -> Features:
    """MobileNetV3-Large (Howard et al. 2019); input -1 to 1, RGB."""
    library = library_model("mobilenet_v3", tuple(image.shape[1:]), alpha=options.width)
    blocks = {2: 1, 4: 3, 8: 6, 16: 12}
    return _features(
        library, {stride: f"expanded_conv_{block}_depthwise_pad" for stride, block in blocks.items()}, image
    )


def efficientnet_v2_b0(image: Any, options: NetworkOptions) -> Features:
    """EfficientNetV2-B0 (Tan, Le 2021); input normalised by ImageNet's mean and deviation, RGB."""
    library = library_model("efficientnet_v2_b0", tuple(image.shape[1:]))
    layers = {2: "block2a_expand_conv", 4: "block3a_expand_conv", 8: "block4a_dwconv2", 16: "block6a_dwconv2"}
    return _features(library, layers, image)


def resnet50(image: Any, options: NetworkOptions) -> Features:
    """ResNet-50 (He et al. 2016); input BGR less ImageNet's mean."""
    library = library_model("resnet50", tuple(image.shape[1:]))
    layers = {2: "pool1_pad", 4: "conv3_block1_1_conv", 8: "conv4_block1_1_conv", 16: "conv5_block1_1_conv"}
    return _features(library, layers, image)


def _features(library: Any, reducing: Mapping[int, str], image: Any) -> Features:
    """Return what goes into the layers that reduce further, by stride, and the last features."""
    model = keras.models.clone_model(library, input_tensors=image, clone_function=_padded_by_itself)
    skips = {stride: model.get_layer(name).input for stride, name in reducing.items()}
    return Features(skips, skips, model.output)


def _padded_by_itself(layer: Any) -> Any:
    """Return a layer's copy; together, those around a ZeroPadding2D compute the same without it.

    Inputs are even here. For stride 2, `same` then pads as the MobileNets' own layers do; ResNet's pooling window,
    which is centred on every second pixel, is a pooling at every pixel of which every second is taken.
    """
    config = layer.get_config()
    if isinstance(layer, keras.layers.BatchNormalization):
        return BatchNormalization.from_config({**config, "momentum": MOMENTUM})
    if layer.name == "pool1_pad":
        return keras.layers.MaxPooling2D(3, strides=1, padding="same", name=layer.name)
    if layer.name == "pool1_pool":
        return keras.layers.MaxPooling2D(1, strides=2, name=layer.name)
    if isinstance(layer, keras.layers.ZeroPadding2D) and layer.name != "conv1_pad":
        return keras.layers.Identity(name=layer.name)
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return DepthwiseConv2D.from_config({**config, "padding": "same"})
    return type(layer).from_config(config)


def library_model(
    encoder: str,
    shape: tuple[int, int, int] = (224, 224, 3),
    weights: str | None = None,
    top: bool = False,
    alpha: float = 1,
) -> Any:
    """Return the keras.applications model of an encoder; its input is preprocessed already.

    Args:
        encoder: a key of ENCODERS.
        shape: of the input: height, width, 3.
        weights: None, or `imagenet`: downloaded, or from the library's cache.
        top: with the classifier of 1000 classes.
        alpha: the width multiplier of the MobileNets.
    """
    arguments: dict[str, Any] = {"include_top": top, "weights": weights, "input_shape": shape}
    applications = keras.applications
    if encoder == "mobilenet_v2":
        return applications.MobileNetV2(alpha=alpha, **arguments)
    if encoder == "mobilenet_v3":
        return applications.MobileNetV3Large(alpha=alpha, include_preprocessing=False, **arguments)
    if encoder == "efficientnet_v2_b0":
        return applications.EfficientNetV2B0(include_preprocessing=False, **arguments)
    return {"resnet50": applications.ResNet50, "vgg16": applications.VGG16}[encoder](**arguments)
