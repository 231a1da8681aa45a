"""What of a foreign model's spec is guessed is said at each start and stands on overlays, until it is confirmed."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

import edgeseg.runtime
from edgeseg.commands.main import cli
from edgeseg.core.errors import ModelError
from edgeseg.core.spec import ModelSpec
from edgeseg.export.foreign.draft import draft_spec
from edgeseg.export.inspection import inspect_onnx
from edgeseg.runtime.commands.camera import camera
from tests.helpers.foreign_graphs import SIZE, Foreign, node

SAID = "nobody has confirmed its colour_order, mean, scale, classes"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = Foreign(5, [node("Identity", "scores", "y")], [1, 5, *SIZE]).write(tmp_path / "foreign.onnx")
    spec_path(path).write_text(draft_spec(inspect_onnx(path)).spec.to_json())
    return path


def spec_path(model: Path) -> Path:
    return model.with_name(f"{model.name}.spec.json")


def confirm(model: Path) -> None:
    document = json.loads(spec_path(model).read_text())
    assert document["guessed"] == ["colour_order", "mean", "scale", "classes"]
    del document["guessed"]
    spec_path(model).write_text(json.dumps(document))


def has_caption(picture: Any) -> bool:
    """Whether the lowest rows are dark but for yellow writing."""
    rows = picture[-4:].reshape(-1, 3).astype(int)
    return bool(np.median(rows) < 70)


@pytest.mark.parametrize("confirmed", [False, True])
@pytest.mark.usefixtures("process")
def test_every_start_says_it_and_every_overlay_shows_it(
    model: Path, tmp_path: Path, pictures: Path, confirmed: bool
) -> None:
    if confirmed:
        confirm(model)
    video, out = tmp_path / "overlay.mkv", tmp_path / "out"
    for command, arguments in (
        (camera, [pictures, "--model", model, "--every-frame", "--output", video, "--no-legend"]),
        (cli, ["predict", model, pictures, "--out", out]),
        (cli, ["benchmark", model, "--source", pictures, "--seconds", 0.2]),
    ):
        done = CliRunner().invoke(command, [str(each) for each in arguments], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        assert (SAID in done.output) is not confirmed, done.output
    read, frame = cv2.VideoCapture(str(video)).read()
    overlays = sorted(out.glob("overlays/*.jpg"))
    assert read
    assert overlays
    for picture in (frame, *(cv2.imread(str(each)) for each in overlays)):
        assert has_caption(picture) is not confirmed


@pytest.mark.usefixtures("process")
def test_a_program_of_one_s_own_is_warned(model: Path, pictures: Path) -> None:
    with pytest.warns(UserWarning, match=SAID):
        masks = [each.class_map for each in edgeseg.runtime.stream(str(pictures), model, every_frame=True)]
    assert masks
    confirm(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in edgeseg.runtime.stream(str(pictures), model, every_frame=True):
            pass


def test_a_misspelt_guess_is_refused(model: Path) -> None:
    document = json.loads(spec_path(model).read_text())
    with pytest.raises(ModelError, match="did you mean colour_order"):
        ModelSpec.from_json(json.dumps({**document, "guessed": ["color_order"]}))
    with pytest.raises(ModelError, match="expected a list"):
        ModelSpec.from_json(json.dumps({**document, "guessed": "mean"}))
