"""Foreign models: a network alone gives the masks of the camera graph around the same network."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper

from edgeseg.commands.main import cli
from edgeseg.core.errors import ModelError
from edgeseg.core.geometry import Size
from edgeseg.core.spec import ModelSpec
from edgeseg.runtime.commands.camera import camera
from edgeseg.runtime.engines.choose import open_engine
from edgeseg.runtime.engines.class_map_reader import index_of_greatest
from tests.helpers.colour_model import COLOUR_SPEC, VIDEO_SIZE, numbered_frame, write_colour_model
from tests.helpers.foreign_models import foreign_model, noise

RGB_SPEC = dataclasses.replace(
    COLOUR_SPEC, colour_order="rgb", mean=(123.7, 116.3, 103.5), scale=(0.0171, 0.0175, 0.0174)
)


@pytest.mark.parametrize("spec", [COLOUR_SPEC, RGB_SPEC], ids=["bgr", "rgb"])
@pytest.mark.parametrize(
    "form",
    [
        {},
        {"layout": "nhwc"},
        {"gives": "probabilities"},
        {"gives": "class_map"},
        {"batch": "N"},
    ],
    ids=str,
)
@pytest.mark.parametrize("camera_size", [None, VIDEO_SIZE], ids=["network-size", "camera-size"])
def test_the_masks_are_those_of_a_camera_graph(
    tmp_path: Path, spec: ModelSpec, form: dict[str, Any], camera_size: Size | None
) -> None:
    own = write_colour_model(tmp_path / "own.onnx", camera_size, **{f: getattr(spec, f) for f in CHANGES})
    path = foreign_model(tmp_path / "foreign.onnx", dataclasses.replace(spec, camera_size=camera_size), **form)
    frame = noise(camera_size or spec.input_size)
    with open_engine(own) as ours, open_engine(path, spec=path.with_suffix(".json")) as theirs:
        assert theirs.frame_size == ours.frame_size
        wanted, result = ours.run(frame), theirs.run(frame)
    assert len(np.unique(wanted.class_map)) == 3
    np.testing.assert_array_equal(result.class_map, wanted.class_map)
    assert result.class_map.dtype == np.uint8
    assert result.preprocess_ms > 0 < result.inference_ms


CHANGES = ("colour_order", "mean", "scale")


def test_half_floats_go_in_and_out(tmp_path: Path) -> None:
    path = foreign_model(tmp_path / "half.onnx", COLOUR_SPEC, kind=TensorProto.FLOAT16)
    with open_engine(path, spec=path.with_suffix(".json")) as engine:
        class_map = engine.run(numbered_frame(0, COLOUR_SPEC.input_size)).class_map
    assert [int(class_map[16, x]) for x in (5, 30, 55)] == [0, 1, 2]


@pytest.mark.parametrize("gives", ["logits", "class_map"])
def test_an_output_at_a_fraction_of_the_size_is_enlarged(tmp_path: Path, gives: str) -> None:
    path = foreign_model(tmp_path / "quarter.onnx", COLOUR_SPEC, gives=gives, shrink=4)
    with open_engine(path, spec=path.with_suffix(".json")) as engine:
        class_map = engine.run(numbered_frame(0, COLOUR_SPEC.input_size)).class_map
    assert class_map.shape == COLOUR_SPEC.input_size
    assert [int(class_map[16, x]) for x in (5, 30, 55)] == [0, 1, 2]


def test_one_channel_is_the_second_of_two_classes(tmp_path: Path) -> None:
    classes = dataclasses.replace(COLOUR_SPEC.classes, names=("rest", "road"), colours=((0, 0, 0), (0, 255, 0)))
    spec = dataclasses.replace(COLOUR_SPEC, classes=classes)
    node = helper.make_node("ReduceMean", ["image"], ["score"], axes=[1], keepdims=1)
    shape = [1, 1, *spec.input_size]
    graph = helper.make_graph(
        [node],
        "bright",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, *spec.input_size])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, shape)],
    )
    path = tmp_path / "bright.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    path.with_name("bright.onnx.spec.json").write_text(spec.to_json())  # beside the file it needs no option
    frame = np.full((*spec.input_size, 3), 90, np.uint8)
    frame[:, 32:] = 110  # the mean is 100
    with open_engine(path) as engine:
        np.testing.assert_array_equal(engine.run(frame).class_map[0], [0] * 32 + [1] * 32)


def test_the_index_of_the_greatest_is_numpy_s() -> None:
    scores = np.random.default_rng(0).integers(0, 4, (19, 30, 40)).astype(np.float32)  # many are equal
    np.testing.assert_array_equal(index_of_greatest(scores), np.argmax(scores, 0))


def test_what_does_not_fit_the_spec_is_said(tmp_path: Path) -> None:
    path = foreign_model(tmp_path / "foreign.onnx", COLOUR_SPEC)
    spec = path.with_suffix(".json")
    whole = json.loads(spec.read_text())

    def said(**changes: object) -> str:
        spec.write_text(json.dumps({**whole, **changes}))
        with pytest.raises(ModelError) as caught, open_engine(path, spec=spec) as engine:
            engine.run(numbered_frame(0, engine.frame_size))
        assert "\n" not in str(caught.value)
        return str(caught.value)

    tensors = whole["tensors"]
    assert "no output 'logit'; expected one of auxiliary" in said(tensors={**tensors, "output": "logit"})
    assert "did you mean output" in said(tensors={**tensors, "outputs": "x"})
    assert "did you mean nhwc" in said(tensors={**tensors, "layout": "NHWC "})
    assert "expected a camera graph" in said(tensors={**tensors, "layout": "nhwc"})
    assert "spec's 2 classes" in said(classes=whole["classes"][:2])
    assert "give it the camera_size" in said(fit="pad")
    assert "one class id a pixel" in said(tensors={**tensors, "gives": "class_map"})
    spec.unlink()
    with pytest.raises(ModelError, match="--write-spec"):
        open_engine(path)


@pytest.mark.usefixtures("process")
def test_every_command_takes_a_foreign_model(tmp_path: Path, pictures: Path) -> None:
    path = foreign_model(tmp_path / "foreign.onnx", RGB_SPEC, layout="nhwc")
    own = write_colour_model(tmp_path / "own.onnx", None, **{f: getattr(RGB_SPEC, f) for f in CHANGES})
    foreign = ["--spec", path.with_suffix(".json")]
    masks = {}
    for model, options in ((path, foreign), (own, [])):
        out, seen = tmp_path / f"out-{model.stem}", tmp_path / f"seen-{model.stem}"
        for command, arguments in (
            (camera, [pictures, "--model", model, "--every-frame", "--quiet", "--output", f"{seen}/", *options]),
            (cli, ["predict", model, pictures, "--out", out, *options]),
            (cli, ["benchmark", model, "--source", pictures, "--seconds", 0.2, *options]),
        ):
            done = CliRunner().invoke(command, [str(each) for each in arguments], catch_exceptions=False)
            assert done.exit_code == 0, done.output
        files = [*sorted(seen.rglob("*.png")), *sorted(out.glob("masks/*.png"))]
        masks[model] = [cv2.imread(str(each), cv2.IMREAD_UNCHANGED) for each in files]
    assert len(masks[own]) == 24
    for given, wanted in zip(masks[path], masks[own], strict=True):
        np.testing.assert_array_equal(given, wanted)
