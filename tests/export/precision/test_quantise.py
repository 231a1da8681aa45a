"""int8: what is quantised, in which form, and what happens when too many pixels change."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto
from onnx.numpy_helper import to_array

from edgeseg.core.errors import ModelError
from edgeseg.core.geometry import Size
from edgeseg.export.camera_graph import camera_graph, with_camera
from edgeseg.export.network import onnx_from_keras
from edgeseg.export.onnx_file import OnnxFile
from edgeseg.export.precision.cpu_form import pool_before_relu
from edgeseg.export.precision.quantise import Quantiser
from edgeseg.export.precision.selection import Reduced, choose
from edgeseg.export.precision.sibling import float32_sibling
from edgeseg.export.tensorrt_check import check_tensorrt, library_at_hand
from edgeseg.export.tensorrt_rules import check_rules
from edgeseg.models.build import build_model, seed_weights
from tests.helpers.colour_model import COLOUR_SPEC

SPEC = dataclasses.replace(COLOUR_SPEC, input_size=Size(64, 64))
RANDOM = np.random.default_rng(2)
FRAMES = [RANDOM.normal(size=(1, 3, 64, 64)).astype(np.float32) for _ in range(6)]
NETWORKS: dict[str, dict[str, Any]] = {
    "unet": {"architecture": "unet", "width": 0.0625},
    "residual": {"architecture": "fcn8", "encoder": "compact", "width": 0.25},
    "inverted": {"architecture": "fcn8", "encoder": "mobilenet_v2", "width": 0.25},
    "pooled": {"architecture": "fcn8", "encoder": "vgg16", "width": 0.0625},
    "gated": {"architecture": "fcn8", "encoder": "efficientnet_v2_b0"},
}
_made: dict[str, onnx.ModelProto] = {}


def network_of(kind: str) -> onnx.ModelProto:
    if kind not in _made:
        seed_weights(0)  # with some weights int8 changes no pixel of so small a network
        options = dict(NETWORKS[kind])
        model = build_model(options.pop("architecture"), SPEC.input_size, 3, **options)
        _made[kind] = onnx_from_keras(model, SPEC)
    return _made[kind]


@pytest.fixture(scope="module")
def network() -> onnx.ModelProto:
    return network_of("unet")


@pytest.fixture(scope="module")
def quantiser(network: onnx.ModelProto) -> Quantiser:
    return Quantiser(network, FRAMES, "percentile", "tensorrt")


def of_type(model: onnx.ModelProto, *operators: str) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if node.op_type in operators]


def zero_points(model: onnx.ModelProto) -> list[Any]:
    arrays = {each.name: to_array(each) for each in model.graph.initializer}
    nodes = of_type(model, "QuantizeLinear", "DequantizeLinear")
    assert nodes
    return [arrays[node.input[2]] for node in nodes]


def producers(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    return {name: node for node in model.graph.node for name in node.output}


@pytest.mark.parametrize(("kind", "rest"), [("unet", "fp32"), ("residual", "fp16"), ("inverted", "fp16")])
def test_the_pairs_stand_where_tensorrt_wants_them(kind: str, rest: str, tmp_path: Path) -> None:
    network = network_of(kind)
    quantiser = Quantiser(network, FRAMES[:2], "percentile", "tensorrt", rest)
    graph = camera_graph(quantiser.reduced(), with_camera(SPEC, None))
    onnx.checker.check_model(graph, full_check=True)
    assert all(zero.dtype == np.int8 and not zero.any() for zero in zero_points(graph))
    assert any(zero.size > 1 for zero in zero_points(graph)), "weights per channel"
    assert not any(check_rules(graph).values())
    made_by = producers(graph)
    readers: dict[str, list[str]] = {}
    for node in graph.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node.op_type)
    for node in graph.graph.node:
        before = {made_by[name].op_type for name in node.input[:2] if name in made_by}
        if node.op_type == "Conv":
            assert (before == {"DequantizeLinear"}) == (node.output[0] in quantiser.layers), node.name
        if node.op_type == "Relu" and made_by[node.input[0]].output[0] in quantiser.layers:
            assert before == {"Conv"}, "no pair between a convolution and its activation"
        if node.op_type in ("Cast", "ConvTranspose"):
            assert "DequantizeLinear" not in before, "no cast behind a dequantised value"
        if node.op_type == "DequantizeLinear":
            assert set(readers[node.output[0]]) <= {"Conv", "Add"}
    if library_at_hand():
        onnx.save(graph, str(tmp_path / "int8.onnx"))
        assert check_tensorrt(tmp_path / "int8.onnx", {}, 3).accepted


def test_what_is_not_int8_is_fp16_but_for_the_kernels_around_it() -> None:
    quantiser = Quantiser(network_of("residual"), FRAMES[:2], "percentile", "tensorrt", "fp16")
    model = quantiser.reduced()
    made_by, kinds = producers(model), {each.name: each.data_type for each in model.graph.initializer}
    first = next(node for node in of_type(model, "Conv") if node.output[0] not in quantiser.layers)
    floats = [first, *of_type(model, "ConvTranspose")]
    assert {kinds[node.input[1]] for node in floats} == {TensorProto.FLOAT16}
    residual = [
        node
        for node in of_type(model, "Add")
        if sorted(made_by[name].op_type for name in node.input if name in made_by) == ["Conv", "DequantizeLinear"]
    ]
    wanted = [node.output[0] for node in of_type(network_of("residual"), "Add") if "_add/" in node.output[0]]
    assert [node.output[0] for node in residual] == wanted, "each residual Add is one kernel with its convolution"
    for node in residual:
        assert [each.op_type for each in of_type(model, "Relu", "Clip") if each.input[0] == node.output[0]] == ["Relu"]


def without_casts(model: onnx.ModelProto) -> list[tuple[str, list[str], list[str]]]:
    """What each node computes from what, whatever the types."""
    source = {node.output[0]: node.input[0] for node in of_type(model, "Cast")}

    def plain(name: str) -> str:
        while name in source:
            name = source[name]
        return name.removesuffix("_fp16")

    nodes = [node for node in model.graph.node if node.op_type != "Cast"]
    return [(node.op_type, [*map(plain, node.input)], [*map(plain, node.output)]) for node in nodes]


@pytest.mark.parametrize("kind", ["residual", "inverted"])
def test_both_rests_are_one_network(kind: str) -> None:
    """The file without float16 is one that ONNX Runtime can run: but for casts and rounded weights it is the same."""
    network = network_of(kind)
    quantisers = (Quantiser(network, FRAMES[:2], "percentile", "tensorrt", rest) for rest in ("fp32", "fp16"))
    whole, half = (each.reduced() for each in quantisers)
    assert without_casts(whole) == without_casts(half)
    wanted = {each.name: to_array(each) for each in whole.graph.initializer}
    for each in half.graph.initializer:
        np.testing.assert_allclose(to_array(each), wanted[each.name.removesuffix("_fp16")], rtol=2**-10, atol=1e-7)
    exact, mixed, plain = (OnnxFile(each).run(FRAMES[3])["logits"] for each in (whole, float32_sibling(half), network))
    error = np.sqrt(np.mean((exact - plain) ** 2))
    assert 0 < np.sqrt(np.mean((mixed - plain) ** 2)) < 1.5 * error, "float16 adds little to what int8 changes"


def test_values_beyond_float16_stay_float32_beside_int8(network: onnx.ModelProto) -> None:
    loud = onnx.ModelProto()
    loud.CopyFrom(network)
    kernels = {each.name: each for each in loud.graph.initializer}
    transposed = of_type(loud, "ConvTranspose")[-1]
    array = to_array(kernels[transposed.input[1]])
    kernels[transposed.input[1]].CopyFrom(onnx.numpy_helper.from_array(array * 1e6, transposed.input[1]))
    frames = [1e3 * each for each in FRAMES[:2]]
    quantiser = Quantiser(loud, frames, "percentile", "tensorrt", "fp16")
    assert all("beyond float16's 65504" in why for why in quantiser.beyond_half.values())
    model = quantiser.reduced()
    kinds = {each.name: each.data_type for each in model.graph.initializer}
    written = {node.output[0]: kinds[node.input[1]] for node in of_type(model, "ConvTranspose")}
    assert written[transposed.output[0]] == TensorProto.FLOAT
    assert np.isfinite(OnnxFile(float32_sibling(model)).run(frames[0])["logits"]).all()


def test_only_the_convolution_that_reads_the_picture_is_left_out(
    network: onnx.ModelProto, quantiser: Quantiser
) -> None:
    convolutions = [node.output[0] for node in of_type(network, "Conv")]
    assert quantiser.layers == convolutions[1:]


def optimised(model: onnx.ModelProto, tmp_path: Path) -> Counter[str]:
    """The operators that ONNX Runtime makes of a graph."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(str(tmp_path / "optimised.onnx")).graph.node)


@pytest.mark.parametrize("kind", list(NETWORKS))
def test_onnx_runtime_computes_every_quantised_convolution_in_int8(kind: str, tmp_path: Path) -> None:
    """Also those that share what they read, with a residual Add or a gate: a pair that does not fuse is slower."""
    quantiser = Quantiser(network_of(kind), FRAMES[:2], "percentile", "cpu")
    operators = optimised(quantiser.reduced(), tmp_path)
    assert (operators["QLinearConv"], operators["Conv"]) == (len(quantiser.layers), 1)
    if kind in ("residual", "inverted", "gated"):
        assert operators["QLinearAdd"] >= 4
    if kind == "gated":
        assert operators["QLinearSigmoid"] > 60
        assert operators["Sigmoid"] + operators["QuickGelu"] <= 1, "only the gate of the float convolution is float"


def test_a_convolution_s_result_is_rounded_once(network: onnx.ModelProto) -> None:
    """What is quantised before an activation and after it has one range, and none of it is spent on negative values."""
    model = Quantiser(network, FRAMES, "percentile", "cpu").reduced()
    values = {each.name: float(array) for each in model.graph.initializer if not (array := to_array(each)).ndim}
    scales = {
        node.input[0]: values[node.input[1]] for node in model.graph.node if node.input[1:] and node.input[1] in values
    }
    pairs = [(node.input[0], node.output[0]) for node in network.graph.node if node.op_type == "Relu"]
    both = [(scales[before], scales[after]) for before, after in pairs if {before, after} <= scales.keys()]
    assert len(both) > 3
    assert all(before == after for before, after in both)


def test_a_relu_behind_its_pool_gives_the_same_bits() -> None:
    network = network_of("pooled")
    swapped = onnx.ModelProto()
    swapped.CopyFrom(network)
    pool_before_relu(swapped.graph)
    onnx.checker.check_model(swapped, full_check=True)
    made_by = producers(swapped)
    assert [node for node in of_type(swapped, "MaxPool") if made_by[node.input[0]].op_type == "Conv"]
    for frame in FRAMES[:2]:
        np.testing.assert_array_equal(OnnxFile(swapped).run(frame)["logits"], OnnxFile(network).run(frame)["logits"])


def test_onnx_runtime_s_own_form_is_told_from_it(network: onnx.ModelProto) -> None:
    own = Quantiser(network, FRAMES, "percentile", "cpu").reduced()
    assert any(zero.dtype == np.uint8 for zero in zero_points(own))
    assert all(check_rules(own).values())


def test_the_costliest_layers_stay_in_float_until_the_masks_hold(
    network: onnx.ModelProto, quantiser: Quantiser
) -> None:
    def results(aim: float, budget: int, tell: Callable[[str], None] = lambda _: None) -> Iterator[Reduced]:
        return choose(network, quantiser, FRAMES, aim, budget, tell)

    plain = next(results(0.0, 0))
    assert plain.left_in_float == {}
    assert plain.equal_pixels < 1
    told: list[str] = []
    result = next(results(plain.equal_pixels + 0.5 * (1 - plain.equal_pixels), len(quantiser.layers), told.append))
    assert result.equal_pixels >= plain.equal_pixels + 0.5 * (1 - plain.equal_pixels)
    assert list(result.left_in_float) == list(result.costs)[: len(result.left_in_float)]
    assert list(result.costs.values()) == sorted(result.costs.values(), reverse=True)
    assert told[0].startswith("ranking")
    assert any("conv" in layer and not layer.startswith("Conv__") for layer in result.costs), "named as in the model"
    with pytest.raises(ModelError, match=r"0 layers left in float; expected 100.00%: raise --float-budget"):
        next(results(1.0, 0))


def test_who_is_not_content_gets_more_layers_in_float_up_to_the_budget(
    network: onnx.ModelProto, quantiser: Quantiser
) -> None:
    counts = [len(each.left_in_float) for each in choose(network, quantiser, FRAMES, 0.0, 3, lambda _: None)]
    assert counts == [0, 1, 2, 3]


def test_layers_that_the_user_names_stay_in_float(network: onnx.ModelProto) -> None:
    named = Quantiser(network, FRAMES[:1], "percentile", "cpu").titles
    layer, title = list(named.items())[2]
    quantiser = Quantiser(network, FRAMES[:1], "percentile", "tensorrt", keep_float=[title])
    made_by = producers(model := quantiser.reduced())
    floats = [node.output[0] for node in of_type(model, "Conv") if node.input[1] not in made_by]
    assert floats == [of_type(network, "Conv")[0].output[0], layer]
    assert layer not in quantiser.suspects()


def test_ranges_that_cannot_be_measured_are_said(network: onnx.ModelProto) -> None:
    with pytest.raises(ModelError, match=r"int8's ranges cannot be measured \(.*not finite\).* use fp16"):
        Quantiser(network, [np.full((1, 3, 64, 64), np.nan, np.float32)], "percentile", "tensorrt")
