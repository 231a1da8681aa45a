import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from edgeseg.core.errors import ModelError
from edgeseg.core.geometry import Crop, Size
from edgeseg.core.spec import ModelSpec


def test_a_spec_comes_back_from_its_json(colour_spec: ModelSpec) -> None:
    full = dataclasses.replace(
        colour_spec,
        crop=Crop(0.0, 0.25, 1.0, 0.5),
        camera_size=Size(720, 1280),
        metrics={"miou": 0.5},
        options={"width": 0.25},
        versions={"edgeseg": "1"},
    )
    assert ModelSpec.from_json(full.to_json()) == full
    assert json.loads(full.to_json())["camera_size"] == "1280x720"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"presicion": "fp32"}, "did you mean precision"),
        ({"precision": "fp8"}, "expected one of fp32, fp16, int8"),
        ({"colour_order": "bgra"}, "colour_order"),
        ({"mean": [1, 2]}, "three finite numbers"),
        ({"scale": [1, 2, float("nan")]}, "NaN is no number"),
        ({"input_size": "576"}, "WIDTHxHEIGHT"),
        ({"input_size": [64, 64]}, "WIDTHxHEIGHT"),
        ({"input_size": 160}, "WIDTHxHEIGHT"),
        ({"crop": [0, 0, 2, 1]}, "within 0 to 1"),
        ({"crop": [0, 0, 1, "x"]}, "finite numbers"),
        ({"classes": []}, "expected 1 to 255"),
        ({"classes": [{"name": "road"}]}, "not a complete model spec"),
        ({"ignore_index": 1}, "ignore index 1"),
        ({"ignore_index": 255.5}, "a whole number"),
        ({"classes": [{"name": 1, "colour": [0, 0, 0]}]}, "expected a text"),
        ({"classes": [{"name": "\ud800", "colour": [0, 0, 0]}]}, "lone surrogate"),
        ({"classes": [{"name": "a\0b", "colour": [0, 0, 0]}]}, "a zero"),
        ({"classes": [{"name": "a", "colour": ["0", 0, 0]}]}, "a whole number"),
        ({"classes": [{"name": "a", "colour": [True, 0, 0]}]}, "a whole number"),
        ({"classes": {"a": 1}}, "a list"),
        ({"name": ["x"]}, "name is a list; expected a text"),
        ({"name": "\udcff"}, "lone surrogate"),
        ({"encoder": "x" * 2000}, "2000 characters"),
        ({"tensors": {"input": 7}}, "tensors.input is a int"),
        ({"versions": {"keras": 3}}, "versions of keras"),
        ({"versions": []}, "an object"),
        ({"versions": {"\udcff": "1"}}, "lone surrogate"),
        ({"metrics": {"\udcff": 1}}, "lone surrogate"),
        ({"metrics": {"miou": "high"}}, "metrics: miou is 'high'"),
        ({"metrics": {"miou": True}}, "metrics: miou is True"),
        ({"mean": ["1", 2, 3]}, "finite numbers"),
        ({"mean": "123"}, "a list"),
        ({"input_size": "99999x99999"}, "at most 67108864 pixels"),
        ({"options": "x"}, "an object"),
    ],
)
def test_a_spec_that_is_wrong_is_refused_with_its_place(
    colour_spec: ModelSpec, change: dict[str, object], said: str
) -> None:
    document = {**json.loads(colour_spec.to_json()), **change}
    with pytest.raises(ModelError, match=said) as caught:
        ModelSpec.from_json(json.dumps(document), "model.onnx")
    assert str(caught.value).startswith("model.onnx: ")


def test_what_is_no_spec_at_all_is_refused(tmp_path: Path) -> None:
    for text in ("", "[]", "{", "null"):
        with pytest.raises(ModelError):
            ModelSpec.from_json(text)
    with pytest.raises(ModelError, match=r"spec\.json"):
        ModelSpec.read(tmp_path / "spec.json")


def test_a_spec_that_was_made_in_python_is_checked_as_well(colour_spec: ModelSpec) -> None:
    for change, said in ({"metrics": {"miou": 10**400}}, "finite number"), ({"trained_on": Path("x")}, "a text"):
        with pytest.raises(ModelError, match=said):
            dataclasses.replace(colour_spec, **change)
    assert dataclasses.replace(colour_spec, metrics={"miou": np.float32(0.5)}).metrics


def test_a_deep_spec_is_one_line(colour_spec: ModelSpec, tmp_path: Path) -> None:
    path = tmp_path / "spec.json"
    path.write_text(colour_spec.to_json().replace('"options": {}', '"options": {"a": ' + "[" * 900 + "]" * 900 + "}"))
    with pytest.raises(ModelError, match="nested more than 64 deep"):
        ModelSpec.read(path)
