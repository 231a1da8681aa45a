"""The proof that transposed convolutions stay what they are."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import onnx
import pytest

from edgeseg.core.errors import ModelError
from edgeseg.core.geometry import Size
from edgeseg.export.network import onnx_from_keras
from edgeseg.export.onnx_file import OnnxFile
from edgeseg.export.upsampling import check_upsampling, deviation_from_bilinear, table, write_grouped
from edgeseg.models.bilinear import bilinear_kernel
from edgeseg.models.build import build_model
from edgeseg.models.depthwise import DepthwiseConv2DTranspose
from edgeseg.models.options import NetworkOptions
from edgeseg.tf import keras
from tests.helpers.colour_model import COLOUR_SPEC

SIZE = Size(64, 64)
SPEC = dataclasses.replace(COLOUR_SPEC, input_size=SIZE)


@pytest.fixture(scope="module")
def model() -> Any:
    return build_model("fcn8", SIZE, 3, width=0.0625, upsampling_kernel="dense")


def with_stand_in(network: onnx.ModelProto, operator: str) -> onnx.ModelProto:
    network.graph.node.append(onnx.helper.make_node(operator, ["logits"], ["more"], name="stand_in"))
    return network


def test_the_table_says_what_each_one_is(model: Any) -> None:
    rows = check_upsampling(model, onnx_from_keras(model, SPEC))
    assert [(row.name, row.kernel, row.stride, row.padding) for row in rows] == [
        ("up_fc7", (4, 4), (2, 2), (1, 1, 1, 1)),
        ("up_pool4", (4, 4), (2, 2), (1, 1, 1, 1)),
        ("logits", (16, 16), (8, 8), (4, 4, 4, 4)),
    ]
    assert {(row.form, row.groups, row.deviation) for row in rows} == {("diagonal", 1, 0.0)}
    assert [line.split()[0] for line in table(rows)] == ["upsampling", "up_fc7", "up_pool4", "logits"]


def test_the_deviation_is_the_distance_from_bilinear() -> None:
    bilinear = bilinear_kernel(4)[:, :, None, None]
    square = bilinear * np.eye(3, dtype=np.float32)
    assert deviation_from_bilinear(square) == 0
    square[1, 2, 0, 1] += 0.25
    assert deviation_from_bilinear(square) == pytest.approx(0.25)
    mixing = np.random.default_rng(0).normal(size=(2, 5)).astype(np.float32)
    rectangular = bilinear * mixing
    assert deviation_from_bilinear(rectangular) == pytest.approx(0, abs=1e-6)
    rectangular[0, 0, 1, 3] += 0.5
    assert 0.4 < deviation_from_bilinear(rectangular) <= 0.5
    assert deviation_from_bilinear(np.ones((2, 4, 1, 1), np.float32)) == float("inf")


def test_grouped_is_the_same_function_for_diagonal_kernels(model: Any) -> None:
    dense = onnx_from_keras(model, SPEC)
    grouped = onnx.ModelProto.FromString(dense.SerializeToString())
    rows = write_grouped(grouped, check_upsampling(model, grouped), {"diagonal"})
    assert [row.groups for row in rows] == [3, 3, 3]
    onnx.checker.check_model(grouped, full_check=True)
    assert grouped.ByteSize() < dense.ByteSize()
    pixels = np.random.default_rng(1).normal(size=(1, 3, *SIZE)).astype(np.float32)
    first, second = (OnnxFile(each).run(pixels)["logits"] for each in (dense, grouped))
    np.testing.assert_allclose(first, second, atol=1e-5)
    assert np.ptp(first) > 0


def test_a_trained_kernel_stays_dense() -> None:
    model = build_model("fcn8", SIZE, 3, width=0.0625, upsampling_kernel="dense")
    layer = model.get_layer("up_pool4")
    layer.set_weights([layer.get_weights()[0] + 0.01])
    network = onnx_from_keras(model, SPEC)
    rows = check_upsampling(model, network)
    assert [row.form for row in rows] == ["diagonal", "dense", "diagonal"]
    assert rows[1].deviation == pytest.approx(0.01, rel=1e-3)
    assert [row.groups for row in write_grouped(network, rows, {"diagonal", "per class"})] == [3, 1, 3]


def test_trained_kernels_of_each_class_are_grouped_and_no_others() -> None:
    options = NetworkOptions("unet", "efficientnet_lite0", decoder="light", decoder_width=16, score_stride=4)
    model = build_model(options, SIZE, 3)
    random = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, DepthwiseConv2DTranspose):
            layer.set_weights([random.normal(size=layer.kernel.shape)])
    network = onnx_from_keras(model, SPEC)
    rows = write_grouped(network, check_upsampling(model, network), {"per class"})
    assert [(row.name, row.form, row.groups, row.stride) for row in rows] == [
        *((f"up{level}", "per class", 16, (2, 2)) for level in (5, 4, 3)),
        ("logits", "per class", 3, (4, 4)),
    ]
    assert all(row.deviation > 0.1 for row in rows)
    onnx.checker.check_model(network, full_check=True)
    pixels = random.normal(size=(1, 3, *SIZE)).astype(np.float32)
    ours = OnnxFile(network).run(pixels)["logits"]
    theirs = np.asarray(model(pixels.transpose(0, 2, 3, 1))).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max())
    assert not {"Pad", "Slice", "Resize"} & {node.op_type for node in network.graph.node}


@pytest.mark.parametrize("operator", ["Resize", "Slice", "Pad", "Shape", "DepthToSpace"])
def test_what_came_in_a_transposed_convolution_s_place_is_refused(model: Any, operator: str) -> None:
    with pytest.raises(ModelError, match=f"holds {operator} inside the network"):
        check_upsampling(model, with_stand_in(onnx_from_keras(model, SPEC), operator))


def test_a_resize_that_the_model_asks_for_is_no_stand_in() -> None:
    image = keras.Input((*SIZE, 3))
    scores = keras.layers.Conv2D(3, 3, strides=2, padding="same")(image)
    model = keras.Model(image, keras.layers.UpSampling2D(2, interpolation="bilinear")(scores))
    network = onnx_from_keras(model, SPEC)
    assert "Resize" in {node.op_type for node in network.graph.node}
    assert check_upsampling(model, network) == []
