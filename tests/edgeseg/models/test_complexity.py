"""Parameters as published, and operations against a hand-worked case and TensorFlow's own profiler."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgeseg.commands.main import cli
from edgeseg.core.geometry import Size
from edgeseg.models.build import build_model
from edgeseg.models.complexity import flops
from edgeseg.models.depthwise import DepthwiseConv2DTranspose
from edgeseg.models.options import NetworkOptions
from edgeseg.tf import keras, tf


def test_operations_of_a_hand_worked_network() -> None:
    image = keras.Input((8, 6, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same")(image)  # 4x3 pixels of 4 filters of 3x3x3 taps
    x = keras.layers.DepthwiseConv2D(5, padding="same")(x)  # 4x3 pixels of 4 channels of 5x5 taps
    x = keras.layers.Conv2DTranspose(2, 4, strides=2, padding="same")(x)  # 4x3 pixels into 4x4 taps of 4x2 channels
    x = DepthwiseConv2DTranspose(4, 2)(x)  # 8x6 pixels into 4x4 taps of 2 channels
    macs = 4 * 3 * (4 * 27) + 4 * 3 * (4 * 25) + 4 * 3 * (16 * 8) + 8 * 6 * (16 * 2)
    assert flops(keras.Model(image, x)) == 2 * macs


@pytest.mark.parametrize("encoder", ["compact", "mobilenet_v2"])
def test_operations_are_what_tensorflow_s_profiler_counts(encoder: str) -> None:
    """The profiler also counts additions and activations, and sees that batch norm is not free: some per cent more."""
    model = build_model("fcn8", Size(64, 64), 3, encoder=encoder, width=0.5)
    function = tf.function(lambda x: model(x, training=False)).get_concrete_function(tf.TensorSpec((1, 64, 64, 3)))
    options = tf.compat.v1.profiler.ProfileOptionBuilder(
        tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    ).with_empty_output()
    profile = tf.compat.v1.profiler.profile(function.graph, options=options.build())
    assert 0.85 < flops(model) / profile.total_float_ops <= 1.02


@pytest.mark.parametrize(
    ("options", "classes", "expected"),
    [
        (NetworkOptions("unet", width=1, batch_norm=False, upsampling="nearest"), 20, 7_698_580),
        (NetworkOptions("unet", width=1, batch_norm=False), 20, 9_762_516),
    ],
)
def test_the_compact_u_net_is_the_founding_post_s(options: NetworkOptions, classes: int, expected: int) -> None:
    assert build_model(options, Size(256, 256), classes).count_params() == expected


def test_the_full_u_net_doubles_to_1024_filters() -> None:
    model = build_model("unet", Size(64, 64), 2, width=0.0625, levels=4)
    assert [model.get_layer(f"{name}_conv2").filters for name in ("down1", "down4", "bottom", "up4", "up1")] == [
        *(4, 32, 64),
        *(32, 4),
    ]


def test_fcn8_on_vgg16_has_the_published_number_of_parameters() -> None:
    model = build_model("fcn8", Size(32, 32), 21, width=1, batch_norm=False, upsampling_kernel="dense")
    upsampling = sum(x.count_params() for x in model.layers if isinstance(x, keras.layers.Conv2DTranspose))
    assert model.count_params() == 134_489_759
    assert model.count_params() - upsampling == 134_362_751
    del model
    keras.backend.clear_session()


def test_compact_is_small() -> None:
    assert 2.5e6 < build_model("fcn8", Size(64, 64), 11, encoder="compact").count_params() < 3.5e6


def test_the_table_counts_and_times(tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    arguments = ["models", "--size", "64x64", "--model", "fcn8", "--encoder", "compact", "--width", "0.25"]
    result = CliRunner().invoke(cli, [*arguments, "--latency", "--json", str(path)], catch_exceptions=False)
    assert result.exit_code == 0
    document = json.loads(path.read_text())
    (line,) = document["models"]
    model = build_model("fcn8", Size(64, 64), 11, encoder="compact", width=0.25)
    assert (line["parameters"], line["gflops"]) == (model.count_params(), flops(model) / 1e9)
    assert 0.01 < line["latency_ms"] < 1000
    assert f"{model.count_params():,}" in result.output


def test_a_size_that_a_network_cannot_take_is_said_before_work() -> None:
    result = CliRunner().invoke(cli, ["models", "--size", "100x64"])
    assert "takes sizes that are multiples of 32; 100x64 is not: use 128x64" in str(result.exception)
