"""Would TensorRT take it: the rule table, and NVIDIA's own library where it can be installed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeseg.core.errors import ModelError
from edgeseg.core.geometry import Size
from edgeseg.export.camera_graph import camera_graph, with_camera
from edgeseg.export.network import onnx_from_keras
from edgeseg.export.precision.half import to_half
from edgeseg.export.tensorrt_check import Readiness, check_tensorrt, library_at_hand
from edgeseg.export.tensorrt_rules import check_rules
from edgeseg.export.tensorrt_versions import VERSIONS
from edgeseg.models.build import build_model
from tests.helpers.colour_model import COLOUR_SPEC, colour_network

needs_library = pytest.mark.skipif(
    not library_at_hand(), reason="neither tensorrt nor tensorrt_rtx is installed: NVIDIA has wheels for x86-64 Linux"
)
CLEAN: dict[str, list[str]] = {version.name: [] for version in VERSIONS}


def graph_of(network: onnx.ModelProto) -> onnx.ModelProto:
    spec = with_camera(COLOUR_SPEC, Size(72, 128))
    return camera_graph(network, spec, with_confidence=True)


def quantised(zero_point: int, kind: type = np.int8) -> onnx.ModelProto:
    """The colour network with its pixels quantised."""
    model = colour_network(COLOUR_SPEC)
    model.graph.node[0].input[0] = "dequantised"
    scale = numpy_helper.from_array(np.array(0.1, np.float32), "scale")
    zero: np.ndarray = np.array(zero_point, kind)
    model.graph.initializer.extend([scale, numpy_helper.from_array(zero, "zero")])
    for index, (operator, before, after) in enumerate(
        [("QuantizeLinear", "pixels", "quantised"), ("DequantizeLinear", "quantised", "dequantised")]
    ):
        model.graph.node.insert(index, helper.make_node(operator, [before, "scale", "zero"], [after], name=operator))
    return graph_of(model)


def unknown_operator() -> onnx.ModelProto:
    model = colour_network(COLOUR_SPEC)
    model.graph.node[0].output[0] = "before"
    model.graph.node.append(helper.make_node("Det", ["before"], ["logits"], name="last"))
    return graph_of(model)


def test_the_camera_graph_passes_the_rules_of_all() -> None:
    assert check_rules(graph_of(colour_network(COLOUR_SPEC))) == CLEAN
    assert check_rules(quantised(0)) == CLEAN


def test_the_rules_name_what_each_version_refuses() -> None:
    newer = graph_of(colour_network(COLOUR_SPEC))
    newer.opset_import[0].version, newer.ir_version = 20, 10
    faults = check_rules(newer)
    assert [len(each) for each in faults.values()] == [2, 0, 0, 0, 0]
    assert "--opset 17" in faults["TensorRT 8.6"][0]
    for model, fault in (
        (quantised(3), "zero point that is not 0"),
        (quantised(0, np.uint8), "not int8"),
        (unknown_operator(), "Det (last): no such operator"),
    ):
        assert all(any(fault in line for line in lines) for lines in check_rules(model).values()), fault


def test_the_rules_look_at_inputs_and_attributes() -> None:
    model = graph_of(colour_network(COLOUR_SPEC))
    resize = next(node for node in model.graph.node if node.op_type == "Resize")
    resize.attribute.append(helper.make_attribute("antialias", 1))
    model.graph.node[0].op_type = "Transpose"
    model.graph.input[0].type.tensor_type.shape.dim[1].Clear()
    faults = "; ".join(check_rules(model)["TensorRT 8.6"])
    for expected in ("antialias", "a Cast must come first", "free dimension"):
        assert expected in faults


def one_node(operator: str, opset: int = 20) -> onnx.ModelProto:
    node = helper.make_node(operator, ["x"], ["y"], name="it")
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 8, 8]) for name in ("x", "y")]
    graph = helper.make_graph([node], "one", tensors[:1], tensors[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


@pytest.mark.parametrize(
    ("operator", "since"),
    [
        ("Relu", "8.6"), ("IsInf", "8.6"), ("LayerNormalization", "8.6"), ("GroupNormalization", "8.6"),
        ("CastLike", "10.3"), ("DeformConv", "10.3"), ("Gelu", "10.3"), ("Hardmax", "10.3"), ("Mish", "10.3"),
        ("STFT", "10.13"), ("HannWindow", "10.13"), ("RMSNormalization", "10.16"), ("Attention", "10.16"),
        ("Swish", "11"), ("MaxUnpool", ""),
    ],
)  # fmt: skip
def test_each_version_knows_its_own_operators(operator: str, since: str) -> None:
    faults = check_rules(one_node(operator, 17))
    takes = [name.removeprefix("TensorRT ") for name, lines in faults.items() if not lines]
    every = ["8.6", "10.3", "10.13", "10.16", "11"]
    assert takes == (every[every.index(since) :] if since else [])


def converted(*kinds: int) -> onnx.ModelProto:
    """Float pixels, cast from one type to the next, uint8 at the end."""
    names = ["x", *(f"t{index}" for index in range(len(kinds) - 1)), "y"]
    nodes = [
        helper.make_node("Cast", [before], [after], name=after, to=kind)
        for before, after, kind in zip(names, names[1:], kinds, strict=False)
    ]
    ends = [("x", TensorProto.FLOAT), ("y", kinds[-1])]
    one, other = [helper.make_tensor_value_info(name, kind, [1, 4]) for name, kind in ends]
    graph = helper.make_graph(nodes, "casts", [one], [other])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


BYTES, FLOAT, INT32 = TensorProto.UINT8, TensorProto.FLOAT, TensorProto.INT32


@pytest.mark.parametrize(
    ("kinds", "fault"),
    [
        ((BYTES,), ""),
        ((INT32, FLOAT, BYTES), ""),
        ((TensorProto.FLOAT16, BYTES), ""),
        ((INT32, BYTES), "Cast (y): to uint8 from int32; cast to float32 before"),
        ((TensorProto.BOOL, BYTES), "to uint8 from bool"),
        ((BYTES, FLOAT), "Cast (t0): t0 is uint8 within the graph"),
    ],
)
def test_uint8_goes_in_and_out_by_float_alone(kinds: tuple[int, ...], fault: str) -> None:
    for lines in check_rules(converted(*kinds)).values():
        assert [fault in line for line in lines] == [True] * bool(fault), lines


def test_the_class_ids_of_a_foreign_network_are_no_false_pass() -> None:
    """Its own ArgMax, cast to bytes: int64 to uint8."""
    nodes = [
        helper.make_node("ArgMax", ["x"], ["ids"], name="argmax", axis=1),
        helper.make_node("Cast", ["ids"], ["y"], name="bytes", to=BYTES),
    ]
    one = helper.make_tensor_value_info("x", FLOAT, [1, 3, 8, 8])
    graph = helper.make_graph(nodes, "ids", [one], [helper.make_tensor_value_info("y", BYTES, [1, 1, 8, 8])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    assert all("to uint8 from int64" in "; ".join(lines) for lines in check_rules(model).values())


@pytest.mark.parametrize(
    ("kind", "refusing"),
    [
        (TensorProto.DOUBLE, []), (TensorProto.UINT8, []), (TensorProto.BFLOAT16, ["TensorRT 8.6"]),
        (TensorProto.INT16, [version.name for version in VERSIONS]),
    ],
)  # fmt: skip
def test_constants_are_taken_by_the_versions_that_read_their_type(kind: int, refusing: list[str]) -> None:
    model = one_node("Relu")
    model.opset_import[0].version = 17
    model.graph.initializer.append(helper.make_tensor("weights", kind, [2], [1, 2]))
    assert [name for name, lines in check_rules(model).items() if lines] == refusing


@needs_library
@pytest.mark.parametrize("architecture", ["fcn8", "unet"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_library_finds_one_deconvolution_a_convtranspose(tmp_path: Path, architecture: str, precision: str) -> None:
    spec = dataclasses.replace(COLOUR_SPEC, input_size=Size(64, 64))
    network = onnx_from_keras(build_model(architecture, spec.input_size, 3, width=0.0625), spec)
    if precision == "fp16":
        to_half(network)
    onnx.save(camera_graph(network, with_camera(spec, Size(72, 128))), str(tmp_path / "model.onnx"))
    readiness = check_tensorrt(tmp_path / "model.onnx", CLEAN, 3)
    assert readiness.accepted
    assert (readiness.layers["DECONVOLUTION"], readiness.layers["RESIZE"]) == (3, 1)
    assert readiness.engine_bytes > 10_000
    assert "accepted by TensorRT" in readiness.verdict
    with pytest.raises(ModelError, match="3 deconvolutions of the file's 4"):
        check_tensorrt(tmp_path / "model.onnx", CLEAN, 4)


@needs_library
def test_what_the_library_refuses_is_not_written(tmp_path: Path) -> None:
    onnx.save(quantised(3), str(tmp_path / "model.onnx"))
    with pytest.raises(ModelError, match=r"refuses the ONNX file \(.+\); nothing was written"):
        check_tensorrt(tmp_path / "model.onnx", CLEAN, 0)


def test_a_crash_of_the_library_takes_nothing_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tensorrt", "tensorrt_rtx"):
        (tmp_path / f"{name}.py").write_text("import os\nos.abort()\n")
    monkeypatch.syspath_prepend(tmp_path)
    readiness = check_tensorrt(tmp_path / "model.onnx", CLEAN, 0)
    assert readiness.accepted is None
    assert readiness.verdict.startswith(
        "passes the rules of TensorRT 8.6, 10.3, 10.13, 10.16 and 11; TensorRT could not be run"
    )


# As NVIDIA's modules, as far as the check uses them. A parser knows operators that are plugins only once these are
# registered; TensorRT's builder is null without a GPU, which pybind11 makes a TypeError.
LIBRARY = """
from enum import Enum
from types import SimpleNamespace
__version__ = "{version}"
registered = []
class ILogger:
    ERROR, INTERNAL_ERROR, WARNING = 1, 0, 2
class NetworkDefinitionCreationFlag(Enum):
    EXPLICIT_BATCH, STRONGLY_TYPED = 0, 1
    def __int__(self): return self.value
def init_libnvinfer_plugins(logger, namespace):
    registered.append(logger)
class Builder:
    def __init__(self, logger):
        if {without_gpu}:
            raise TypeError("pybind11::init(): factory function returned nullptr")
    def create_network(self, flags): return SimpleNamespace(num_layers=0)
    def create_builder_config(self): return None
    def build_serialized_network(self, network, config): return SimpleNamespace(nbytes=1000)
class OnnxParser:
    num_errors = 1
    def __init__(self, network, logger): self.known = bool(registered)
    def parse_from_file(self, path): return self.known
    def get_error(self, index): return SimpleNamespace(desc=lambda: "RoiAlign: no plugin of that name")
"""


def stand_in(folder: Path, name: str, version: str, without_gpu: bool = False) -> None:
    (folder / f"{name}.py").write_text(LIBRARY.format(version=version, without_gpu=without_gpu))


@pytest.mark.parametrize("without_gpu", [False, True])
def test_where_tensorrt_cannot_say_tensorrt_rtx_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without_gpu: bool
) -> None:
    stand_in(tmp_path, "tensorrt", "10.3.0", without_gpu)
    stand_in(tmp_path, "tensorrt_rtx", "1.7.1")
    monkeypatch.syspath_prepend(str(tmp_path))
    readiness = check_tensorrt(tmp_path / "model.onnx", CLEAN, 0)
    assert readiness.accepted
    assert readiness.library == ("TensorRT-RTX 1.7.1" if without_gpu else "TensorRT 10.3.0")


def test_where_none_can_say_both_reasons_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, version in (("tensorrt", "10.3.0"), ("tensorrt_rtx", "1.7.1")):
        stand_in(tmp_path, name, version, without_gpu=True)
    monkeypatch.syspath_prepend(str(tmp_path))
    readiness = check_tensorrt(tmp_path / "model.onnx", CLEAN, 0)
    assert readiness.accepted is None
    assert [text.partition(" could")[0] for text in readiness.warnings] == ["TensorRT", "TensorRT-RTX"]
    assert "factory function returned nullptr" in readiness.warnings[0]


def test_a_verdict_without_a_library_says_which_rules_hold() -> None:
    assert Readiness(CLEAN).verdict == "passes the rules of TensorRT 8.6, 10.3, 10.13, 10.16 and 11"
    assert Readiness({"TensorRT 8.6": ["opset"], "TensorRT 10.3": []}).verdict == "passes the rules of TensorRT 10.3"
    assert Readiness({"TensorRT 8.6": ["opset"]}).verdict == "passes the rules of no TensorRT"


@pytest.mark.parametrize(
    ("pads", "fault"),
    [
        ([0, 0, 1, 1], ""),
        ([1, 1, 2, 2], ""),
        ([0, -1, 0, 0], "must not be negative"),
        ([0, 1, 1, 1, 1, 1], "uneven ones are taken in two dimensions, not in 3"),
        ([1, 1, 1, 1, 1, 1], ""),
    ],
)
def test_uneven_padding_is_taken_in_two_dimensions(pads: list[int], fault: str) -> None:
    graph = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"], "conv", pads=pads)], "padded", [], [])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for lines in check_rules(model).values():
        assert [fault in line for line in lines] == [True] * bool(fault)


def test_tensorflow_s_padding_is_the_convolution_s_own() -> None:
    """Where ONNX Runtime and TensorRT read it: a Pad node would copy the largest feature maps."""
    spec = dataclasses.replace(COLOUR_SPEC, input_size=Size(64, 96))
    model = build_model("unet", spec.input_size, 3, encoder="efficientnet_lite0", decoder="light", score_stride=4)
    network = onnx_from_keras(model, spec)
    assert check_rules(camera_graph(network, with_camera(spec, None))) == CLEAN
    operators = [node.op_type for node in network.graph.node]
    assert set(operators) == {"Conv", "Clip", "Add", "Relu", "ConvTranspose"}
    uneven = []
    for node in network.graph.node:
        values = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        if node.op_type == "Conv" and values.get("pads", [])[:2] != values.get("pads", [])[2:]:
            uneven.append((values["kernel_shape"], values["strides"], values["pads"]))
        if node.op_type == "ConvTranspose":
            assert values["pads"][:2] == values["pads"][2:]  # ONNX Runtime leaves others to the CPU
    three, five = ([3, 3], [2, 2], [0, 0, 1, 1]), ([5, 5], [2, 2], [1, 1, 2, 2])
    assert uneven == [three, three, five, three, five]
