"""The model that comes with edgeseg works right after the installation, and on nothing but what it was trained on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgeseg.commands.main import cli
from edgeseg.core.errors import UsageError
from edgeseg.data.argument import open_dataset
from edgeseg.evaluation.evaluate import evaluate
from edgeseg.evaluation.predictors import load_predictor
from edgeseg.runtime.commands.camera import camera
from edgeseg.runtime.engines.model_file import BUNDLED_MODEL, model_for
from edgeseg.runtime.sources.addresses import parse_source

LARGEST_BYTES = 3_000_000


@pytest.mark.usefixtures("patience")
def test_it_is_small_and_right_on_scenes_that_it_has_not_seen() -> None:
    """Trained to 0.877 on 100 of these."""
    assert BUNDLED_MODEL.stat().st_size < LARGEST_BYTES
    dataset = open_dataset("scenes:train=0,val=0,test=20,size=320x192")
    with load_predictor(BUNDLED_MODEL) as predictor:
        scores = evaluate(predictor, dataset.split("test"), dataset.classes)
    assert scores.miou > 0.8
    assert min(iou for iou in scores.iou.values() if iou is not None) > 0.6


@pytest.mark.usefixtures("process")
def test_the_camera_needs_no_other_model_for_drawn_scenes(tmp_path: Path) -> None:
    summary = tmp_path / "summary.json"
    command = ["scenes://?frames=3&size=1280x720", "--every-frame", "--summary", str(summary), "--quiet"]
    result = CliRunner().invoke(camera, command, standalone_mode=False)
    assert result.exception is None, result.exception
    assert json.loads(summary.read_text())["frames"]["processed"] == 3


@pytest.mark.usefixtures("process")
def test_the_benchmark_needs_no_other_model_either(tmp_path: Path) -> None:
    document = tmp_path / "result.json"
    command = [
        "benchmark",
        "--source",
        "scenes://?size=320x180",
        "--seconds",
        "0.5",
        "--rounds",
        "1",
        "--json",
        str(document),
    ]
    result = CliRunner().invoke(cli, command, standalone_mode=False)
    assert result.exception is None, result.exception
    assert "scenes.onnx" in document.read_text()


@pytest.mark.parametrize("uri", ["v4l2:///dev/video0", "csi://0", "rtsp://camera/1"])
def test_no_vehicle_drives_by_it(uri: str) -> None:
    with pytest.raises(UsageError, match=r"no --model for .*knows nothing but scenes"):
        model_for(None, parse_source(uri))
