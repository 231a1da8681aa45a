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
from onnx.numpy_helper import to_array

from edgeseg.core.errors import ModelError
from edgeseg.core.geometry import Size
from edgeseg.export.camera_graph import camera_graph, with_camera
from edgeseg.export.network import onnx_from_keras
from edgeseg.export.quantise import Quantiser
from edgeseg.export.selection import Quantised, quantise
from edgeseg.export.tensorrt_check import check_tensorrt, library_at_hand
from edgeseg.export.tensorrt_rules import check_rules
from edgeseg.models.build import build_model, seed_weights
from tests.helpers.colour_model import COLOUR_SPEC

SPEC = dataclasses.replace(COLOUR_SPEC, input_size=Size(64, 64))
RANDOM = np.random.default_rng(2)
FRAMES = [RANDOM.normal(size=(1, 3, 64, 64)).astype(np.float32) for _ in range(6)]


@pytest.fixture(scope="module")
def network() -> onnx.ModelProto:
    seed_weights(0)  # with some weights int8 changes no pixel of so small a network
    return onnx_from_keras(build_model("unet", SPEC.input_size, 3, width=0.0625), SPEC)


@pytest.fixture(scope="module")
def quantiser(network: onnx.ModelProto) -> Quantiser:
    return Quantiser(network, FRAMES, "percentile", "tensorrt")


def zero_points(model: onnx.ModelProto) -> list[Any]:
    arrays = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert nodes
    return [arrays[node.input[2]] for node in nodes]


def test_the_form_is_the_one_that_tensorrt_takes(quantiser: Quantiser, tmp_path: Path) -> None:
    graph = camera_graph(quantiser.quantise(), with_camera(SPEC, None))
    onnx.checker.check_model(graph, full_check=True)
    assert all(zero.dtype == np.int8 and not zero.any() for zero in zero_points(graph))
    assert any(zero.size > 1 for zero in zero_points(graph)), "weights per channel"
    assert not any(check_rules(graph).values())
    producer = {output: node.op_type for node in graph.graph.node for output in node.output}
    for node in graph.graph.node:
        kinds = {producer.get(name) for name in node.input[:2]}
        quantised = node.name in quantiser.layers
        assert (node.op_type != "Conv") or (kinds == {"DequantizeLinear"}) == quantised
        assert (node.op_type != "ConvTranspose") or producer.get(node.input[1]) is None
    if library_at_hand():
        onnx.save(graph, str(tmp_path / "int8.onnx"))
        assert check_tensorrt(tmp_path / "int8.onnx", {}, 3).accepted


def test_only_the_convolution_that_reads_the_picture_is_left_out(
    network: onnx.ModelProto, quantiser: Quantiser
) -> None:
    convolutions = [node.name for node in network.graph.node if node.op_type == "Conv"]
    assert quantiser.layers == convolutions[1:]


@pytest.mark.parametrize("form", ["tensorrt", "cpu"])
@pytest.mark.parametrize("architecture", ["fcn8", "unet"])
def test_onnx_runtime_computes_every_quantised_convolution_in_int8(
    architecture: str, form: str, tmp_path: Path
) -> None:
    """Also those that share what they read: a pair that does not fuse is slower than no pair."""
    network = onnx_from_keras(build_model(architecture, SPEC.input_size, 3, width=0.0625), SPEC)
    quantiser = Quantiser(network, FRAMES, "percentile", form)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 4
    providers = ["CPUExecutionProvider"]
    onnxruntime.InferenceSession(quantiser.quantise().SerializeToString(), options, providers=providers)
    operators = Counter(node.op_type for node in onnx.load(str(tmp_path / "optimised.onnx")).graph.node)
    assert (operators["QLinearConv"], operators["Conv"]) == (len(quantiser.layers), 1)


def test_a_convolution_s_result_is_rounded_once(network: onnx.ModelProto, quantiser: Quantiser) -> None:
    """What is quantised before an activation and after it has one range, and none of it is spent on negative values."""
    model = quantiser.quantise()
    values = {each.name: float(array) for each in model.graph.initializer if not (array := to_array(each)).ndim}
    scales = {
        node.input[0]: values[node.input[1]] for node in model.graph.node if node.input[1:] and node.input[1] in values
    }
    pairs = [(node.input[0], node.output[0]) for node in network.graph.node if node.op_type == "Relu"]
    both = [(scales[before], scales[after]) for before, after in pairs if {before, after} <= scales.keys()]
    assert len(both) > 3
    assert all(before == after for before, after in both)


def test_onnx_runtime_s_own_form_is_told_from_it(network: onnx.ModelProto) -> None:
    own = Quantiser(network, FRAMES, "percentile", "cpu").quantise()
    assert any(zero.dtype == np.uint8 for zero in zero_points(own))
    assert all(check_rules(own).values())


def test_the_costliest_layers_stay_in_float_until_the_masks_hold(
    network: onnx.ModelProto, quantiser: Quantiser
) -> None:
    def results(aim: float, budget: int, tell: Callable[[str], None] = lambda _: None) -> Iterator[Quantised]:
        return quantise(network, quantiser, FRAMES, aim, budget, tell)

    plain = next(results(0.0, 0))
    assert plain.left_in_float == []
    assert plain.equal_pixels < 1
    told: list[str] = []
    result = next(results(plain.equal_pixels + 0.5 * (1 - plain.equal_pixels), len(quantiser.layers), told.append))
    assert result.equal_pixels >= plain.equal_pixels + 0.5 * (1 - plain.equal_pixels)
    assert result.left_in_float == list(result.costs)[: len(result.left_in_float)]
    assert list(result.costs.values()) == sorted(result.costs.values(), reverse=True)
    assert told[0].startswith("ranking")
    assert any("conv" in layer and not layer.startswith("Conv__") for layer in result.costs), "named as in the model"
    with pytest.raises(ModelError, match=r"0 layers left in float; expected 100.00%: raise --int8-budget"):
        next(results(1.0, 0))


def test_who_is_not_content_gets_more_layers_in_float_up_to_the_budget(
    network: onnx.ModelProto, quantiser: Quantiser
) -> None:
    counts = [len(each.left_in_float) for each in quantise(network, quantiser, FRAMES, 0.0, 3, lambda _: None)]
    assert counts == [0, 1, 2, 3]


def test_ranges_that_cannot_be_measured_are_said(network: onnx.ModelProto) -> None:
    with pytest.raises(ModelError, match=r"int8's ranges cannot be measured \(.*not finite\).* use fp16"):
        Quantiser(network, [np.full((1, 3, 64, 64), np.nan, np.float32)], "percentile", "tensorrt")
