import dataclasses
import json
from pathlib import Path

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
        ({"scale": [1, 2, float("nan")]}, "three finite numbers"),
        ({"input_size": "576"}, "WIDTHxHEIGHT"),
        ({"input_size": [64, 64]}, "WIDTHxHEIGHT"),
        ({"input_size": 160}, "WIDTHxHEIGHT"),
        ({"crop": [0, 0, 2, 1]}, "within 0 to 1"),
        ({"crop": [0, 0, 1, "x"]}, "not a complete model spec"),
        ({"classes": []}, "expected 1 to 255"),
        ({"classes": [{"name": "road"}]}, "not a complete model spec"),
        ({"ignore_index": 1}, "ignore index 1"),
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
