"""`edgeseg inspect` on an own camera graph and on models from elsewhere, and the specs that it drafts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import TensorProto, helper, numpy_helper

from edgeseg.commands.main import cli
from edgeseg.core.errors import ModelError, UsageError
from edgeseg.core.geometry import Size
from edgeseg.core.json_text import parse_json
from edgeseg.core.spec import ModelSpec
from edgeseg.export.foreign.draft import draft_spec
from edgeseg.export.inspection import inspect_onnx
from edgeseg.runtime.engines.choose import open_engine
from tests.helpers.colour_model import COLOUR_SPEC, write_colour_model
from tests.helpers.foreign_models import foreign_model, noise


def inspect(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["inspect", *(str(each) for each in arguments)])


def test_an_own_file_shows_its_spec_and_its_nodes(tmp_path: Path) -> None:
    path = write_colour_model(tmp_path / "own.onnx", Size(72, 128), with_confidence=True, trained_on="camvid:CamVid")
    done = inspect(path, "--json", tmp_path / "found.json")
    assert done.exit_code == 0, done.output
    for text in (
        "frame uint8 [1, 72, 128, 3]",
        "confidence uint8 [1, 32, 64]",
        "fp32",
        "opset 17",
        "Resize 1",
        "classes: blue, green, red",
        "frames of 128x72, network 64x32",
        "trained on camvid:CamVid",
    ):
        assert text in done.output
    found = parse_json((tmp_path / "found.json").read_text(), "found.json", "finite numbers")
    assert found["operators"]["Conv"] == 1
    assert found["spec"]["classes"][0]["name"] == "blue"
    assert found["bytes"] == path.stat().st_size


def test_parameters_operations_and_transposed_convolutions_are_those_of_hand_counting(tmp_path: Path) -> None:
    shape = [1, 3, 8, 12]
    nodes = [
        helper.make_node("Conv", ["x", "w", "bias"], ["a"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("ConvTranspose", ["a", "up"], ["y"], name="up", strides=[2, 2], pads=[1] * 4, group=5),
    ]
    weights = {"w": (5, 3, 3, 3), "bias": (5,), "up": (5, 1, 4, 4)}
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5, 8, 12])],
        [numpy_helper.from_array(np.zeros(size, np.float32), name) for name, size in weights.items()],
    )
    path = tmp_path / "small.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    found = inspect_onnx(path)
    assert found.parameters == 5 * 3 * 9 + 5 + 5 * 16
    # 4x6 pixels out of the convolution; each of the same 4x6 meets the whole kernel of the transposed one
    assert found.gflops == pytest.approx(2 * 4 * 6 * (5 * 3 * 9 + 5 * 16) / 1e9)
    (up,) = found.transposed_convolutions
    assert (up.name, up.kernel, up.stride, up.padding) == ("up", (4, 4), (2, 2), (1, 1, 1, 1))
    assert (up.groups, up.channels) == (5, (5, 5))


def test_precision_is_that_of_the_graph(tmp_path: Path) -> None:
    half = foreign_model(tmp_path / "half.onnx", COLOUR_SPEC, kind=TensorProto.FLOAT16)
    assert inspect_onnx(half).precision == "fp16"
    model = onnx.load(str(half))
    model.graph.node.append(helper.make_node("QuantizeLinear", ["scores", "s"], ["q"]))
    onnx.save(model, str(half))
    assert inspect_onnx(half).precision == "int8"


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("gives", ["logits", "probabilities", "class_map"])
def test_a_drafted_spec_runs_once_its_guesses_are_corrected(tmp_path: Path, layout: str, gives: str) -> None:
    path = foreign_model(tmp_path / "foreign.onnx", COLOUR_SPEC, layout, gives)
    model = onnx.load(str(path))
    del model.graph.output[0]  # the auxiliary one: by its shape it could be the mask
    onnx.save(model, str(path))
    done = inspect(path, "--write-spec", tmp_path / "draft.json")
    assert done.exit_code == 0, done.output
    assert "nobody has confirmed its colour_order, mean, scale, classes" in done.output
    draft = ModelSpec.read(tmp_path / "draft.json")
    known = {name: getattr(COLOUR_SPEC, name) for name in ("mean", "scale", "classes")}
    right = dataclasses.replace(draft, colour_order="bgr", guessed=(), **known)
    (tmp_path / "right.json").write_text(right.to_json())
    own = write_colour_model(tmp_path / "own.onnx", None)
    with open_engine(path, "onnxruntime-cpu", spec=tmp_path / "right.json") as theirs, open_engine(own) as ours:
        frame = noise(COLOUR_SPEC.input_size)
        np.testing.assert_array_equal(theirs.run(frame).class_map, ours.run(frame).class_map)


def test_what_the_file_leaves_free_is_asked_for(tmp_path: Path) -> None:
    path = foreign_model(tmp_path / "free.onnx", COLOUR_SPEC, gives="class_map")
    model = onnx.load(str(path))
    del model.graph.output[0]
    for each in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[each].dim_param = "side"
    onnx.save(model, str(path))
    found = inspect_onnx(path)
    assert found.gflops is None
    with pytest.raises(UsageError, match="--size WIDTHxHEIGHT"):
        draft_spec(found)
    spec = draft_spec(found, Size(32, 64)).spec
    assert (spec.tensors.gives, len(spec.classes)) == ("class_map", 3)  # as many as the ArgMax has to choose among


def test_a_model_for_something_else_is_refused_as_mask_and_still_shown(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("GlobalAveragePool", ["x"], ["y"])],
        "mean",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 7, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 7, 1, 1])],
    )
    path = tmp_path / "mean.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    done = inspect(path)
    assert done.exit_code == 0
    assert "no edgeseg model spec" in done.output
    with pytest.raises(ModelError, match=r"expected float or uint8 pixels \[1, 3, H, W\]"):
        draft_spec(inspect_onnx(path))


@pytest.mark.parametrize(
    ("location", "said"), [("../secret", "outside its folder"), ("/etc/passwd", "outside"), ("gone", "copy that file")]
)
def test_external_weights_stay_in_the_model_s_folder(tmp_path: Path, location: str, said: str) -> None:
    path = write_colour_model(tmp_path / "own.onnx")
    model = onnx.load(str(path))
    weights = next(each for each in model.graph.initializer if each.name == "weights")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=location)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=said):
        inspect_onnx(path)


def test_no_onnx_file_is_said_in_one_line(tmp_path: Path) -> None:
    for content in (b"", b"no model", b"\x08\x08"):
        path = tmp_path / "file.onnx"
        path.write_bytes(content)
        with pytest.raises(ModelError, match="cannot load it") as caught:
            inspect_onnx(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="no such file"):
        inspect_onnx(tmp_path / "none.onnx")
