"""Options: what goes together, what is decided by weights, and JSON both ways."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from edgeseg.core.errors import ModelError, UsageError
from edgeseg.core.geometry import Size
from edgeseg.core.spec import ModelSpec
from edgeseg.models.listing import networks
from edgeseg.models.options import NetworkOptions, check_input_size
from edgeseg.models.registry import ENCODERS
from edgeseg.training.settings import TrainSettings
from tests.helpers.networks import spec_of


@pytest.mark.parametrize("options", networks()[0], ids=lambda options: options.name)
def test_options_pass_through_the_spec_s_json(options: NetworkOptions) -> None:
    changed = dataclasses.replace(options, dropout=0.5, batch_norm=False, pretrained=True)
    read = ModelSpec.from_json(spec_of(changed).to_json())
    assert NetworkOptions.from_spec(read) == changed


def test_a_spec_from_before_these_options_loads() -> None:
    spec = dataclasses.replace(spec_of(NetworkOptions()), options={"width": 0.1875, "dropout": 0.0})
    before = NetworkOptions("fcn8", "vgg16", width=0.1875, dropout=0.0, upsampling_kernel="dense")
    assert NetworkOptions.from_spec(spec) == before


def test_a_spec_with_an_unknown_option_is_refused() -> None:
    spec = dataclasses.replace(spec_of(NetworkOptions()), options={"widht": 1})
    with pytest.raises(ModelError, match=r"unknown option 'widht' \(did you mean width\?\)"):
        NetworkOptions.from_spec(spec)
    foreign = dataclasses.replace(spec_of(NetworkOptions()), architecture="foreign")
    with pytest.raises(ModelError, match="expected a network of edgeseg train"):
        NetworkOptions.from_spec(foreign)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"encoder": "mobilenet_v4"}, r"encoder 'mobilenet_v4' is unknown \(did you mean mobilenet_v[23]\?\)"),
        ({"encoder": "unet"}, "fcn8 cannot have the encoder unet; it can have vgg16, compact"),
        ({"encoder": "resnet50", "width": 0.5}, "width 0.5; resnet50 is published at width 1 only"),
        ({"width": 5.0}, "width = 5.0; expected a number from 0 to 4"),
        ({"width": float("nan")}, "width = nan"),
        ({"dropout": 1.0}, "dropout = 1.0; expected a number from 0 to 0.99"),
        ({"decoder": "wdie"}, "did you mean wide"),
        ({"levels": 4}, "levels 4 belong to the encoder unet"),
        ({"score_stride": 2}, "score stride 2 belongs to unet"),
        ({"architecture": "unet", "score_stride": 3}, "score stride 3; expected 1, 2, 4, 8"),
        ({"architecture": "unet", "levels": 2, "score_stride": 4}, "the encoder's stride is 4: expected a smaller one"),
        ({"decoder": "light"}, "decoder light belongs to unet; fcn8 has published and wide"),
        ({"architecture": "unet", "decoder_width": 32}, "decoder width 32 belongs to the decoder light"),
        ({"architecture": "unet", "decoder": "wide"}, "decoder wide belongs to an FCN"),
        ({"architecture": "unet", "skip_scales": True}, "skip scales belong to an FCN"),
        ({"pretrained": True, "batch_norm": True}, "the published weights of vgg16 are for no batch norm"),
        ({"upsampling": "nearest", "freeze_upsampling": True}, "no bilinear kernels to freeze"),
    ],
)
def test_what_does_not_go_together_is_refused(values: dict[str, Any], expected: str) -> None:
    with pytest.raises(UsageError, match=expected) as caught:
        NetworkOptions(**values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "size", "expected"),
    [
        ({"architecture": "unet", "levels": 4}, Size(24, 32), "multiples of 16; 32x24 is not: use 32x32"),
        ({"architecture": "unet", "encoder": "compact"}, Size(64, 80), "unet-compact takes .* 32; 80x64 .*: use 96x64"),
    ],
)
def test_sizes_follow_the_encoder_s_stride(values: dict[str, Any], size: Size, expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        check_input_size(NetworkOptions(**values), size)


def test_raw_vgg_weights_decide_pixels_batch_norm_and_skip_scales() -> None:
    scratch = TrainSettings().network()
    assert (scratch.width, scratch.batch_norm, scratch.skip_scales) == (0.25, True, False)
    assert max(scratch.preprocessing.scale) < 0.02
    raw = TrainSettings(weights="imagenet").network()
    assert (raw.width, raw.batch_norm, raw.skip_scales, raw.preprocessing.scale) == (1.0, False, True, (1, 1, 1))
    assert not TrainSettings(weights="imagenet", decoder="wide").network().skip_scales
    assert not TrainSettings(weights="imagenet", skip_scales="none").network().skip_scales
    assert TrainSettings(weights="x.h5", encoder="mobilenet_v2", width=0.4).network().batch_norm


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"encoder": "compact", "weights": "imagenet"}, "compact has no published weights; use none, or --init RUN"),
        ({"encoder": "mobilenet_v3", "weights": "imagenet", "width": 0.5}, "has ImageNet weights at width 0.75, 1"),
        ({"weights": "imagenet", "batch_norm": "on"}, "leave batch_norm at auto"),
        ({"weights": "imagenet", "init": "run"}, "weights imagenet and init run are both given"),
    ],
)
def test_weights_that_are_not_published_are_refused(values: dict[str, Any], expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        TrainSettings(**values).network()


def test_a_run_to_start_from_decides_what_is_left_open(tmp_path: Path) -> None:
    before = NetworkOptions("fcn8", "compact", width=0.5, decoder="wide", batch_norm=False)
    (tmp_path / "spec.json").write_text(spec_of(before).to_json())
    given: dict[str, Any] = {"init": str(tmp_path)}
    assert TrainSettings(**given).network() == before
    assert TrainSettings(**given, batch_norm="on", width=1.0).network() == dataclasses.replace(
        before, batch_norm=True, width=1.0
    )
    with pytest.raises(ModelError, match="is fcn8 on compact, this run unet on compact; start with --model fcn8"):
        TrainSettings(**given, model="unet").network()
    with pytest.raises(ModelError, match="this run fcn8 on resnet50"):
        TrainSettings(**given, encoder="resnet50").network()
    with pytest.raises(ModelError, match="cannot be read"):
        TrainSettings(init=str(tmp_path / "none")).network()


def test_left_out_widths_are_named() -> None:
    assert {each.architecture for each in networks(width=0.5, score_stride=4)[0]} == {"unet"}
    found, left_out = networks(width=0.5)
    lite = [f"efficientnet_lite{number}" for number in range(3)]
    assert left_out == ["efficientnet_v2_b0", *lite, "resnet50"]
    assert {options.encoder for options in found} == set(ENCODERS) - set(left_out)
