"""Going on with a run: what was lost, damaged or changed in between, and where a stop or a fault may fall."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

import edgeseg.training.epoch_end
import edgeseg.training.train
from edgeseg.commands.main import cli
from edgeseg.core.errors import DataError, EdgesegError, ModelError, UsageError
from edgeseg.core.geometry import Size
from edgeseg.data.argument import open_dataset
from edgeseg.data.feeding.pipeline import FittedSamples
from edgeseg.evaluation.evaluate import evaluate, load_predictor
from edgeseg.models.build import load_model
from edgeseg.tf import tf
from edgeseg.training.run_directory import RunDirectory, checkpoints_in
from edgeseg.training.settings import TrainSettings
from edgeseg.training.step import TrainStep
from edgeseg.training.train import TrainResult, train
from tests.helpers.training import tiny_settings, write_camvid


@pytest.fixture(scope="module")
def camvid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_camvid(tmp_path_factory.mktemp("data") / "camvid", val=2)


@pytest.fixture(scope="module")
def finished(camvid: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 2 epochs of 2 steps; tests work on copies."""
    out = tmp_path_factory.mktemp("runs") / "run"
    train(tiny_settings(camvid), out, console=Console(file=io.StringIO()))
    return out


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def go_on(settings: TrainSettings, out: Path, resume: bool = True) -> tuple[TrainResult, str]:
    shown = io.StringIO()
    return train(settings, out, resume, Console(file=shown, width=400)), shown.getvalue()


def steps(run: Path) -> list[int]:
    return [epoch.step for epoch in RunDirectory(run).read_history(until_step=10**9)]


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(run: Path, camvid: Path) -> None:
    for path in (run / "checkpoints").glob("ckpt-4.*"):
        path.write_bytes(path.read_bytes()[:100])
    result, shown = go_on(tiny_settings(camvid), run)
    assert re.search(r"ckpt-4 is damaged.*going on from step 2\n", shown)
    assert (result.steps, steps(run)) == (4, [2, 4])
    for path in (run / "checkpoints").glob("ckpt-*"):
        path.write_bytes(b"")
    with pytest.raises(ModelError, match=r"ckpt-4 is damaged.*no other checkpoint can be read") as caught:
        go_on(tiny_settings(camvid), run)
    assert "\n" not in str(caught.value)


def test_a_lost_list_of_checkpoints_loses_no_run(run: Path, camvid: Path) -> None:
    (run / "checkpoints" / "checkpoint").unlink()
    before = (run / "model.keras").read_bytes()
    assert go_on(tiny_settings(camvid), run)[0].steps == 4
    assert (run / "model.keras").read_bytes() == before
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(UsageError, match=r"history\.csv and model\.keras, but no checkpoint"):
        go_on(tiny_settings(camvid), run)
    assert (run / "model.keras").read_bytes() == before


def test_resume_needs_nothing_typed_again(run: Path) -> None:
    runner = CliRunner()
    done = runner.invoke(cli, ["train", "--resume", "--out", str(run), "--cache-mb", "1"], standalone_mode=False)
    assert done.exception is None
    assert "the best of 2 epochs" in done.output
    assert TrainSettings.read(run / "config.toml").cache_mb == 1
    done = runner.invoke(cli, ["train", "--resume", "--out", str(run), "--batch", "8"], standalone_mode=False)
    assert "was trained with batch: 4, not 8;" in str(done.exception)  # and no other difference


def test_changed_data_is_noticed(run: Path, camvid: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(camvid, tmp_path / "camvid"))
    settings = tiny_settings(data)
    go_on(settings, tmp_path / "other", resume=False)
    for folder in ("train", "trainannot"):
        (data / folder / "000.png").rename(data / folder / "100.png")
    with pytest.raises(UsageError, match="as many, but by other names"):
        go_on(settings, tmp_path / "other")
    for folder in ("train", "trainannot"):
        (data / folder / "100.png").unlink()
    with pytest.raises(UsageError, match=r"trained on 8 and validated on 2 pictures.*it has 7 and 2"):
        go_on(settings, tmp_path / "other")


@pytest.mark.parametrize("name", ["model.keras", "spec.json"])
def test_a_damaged_model_is_said_before_training_goes_on(name: str, run: Path, camvid: Path) -> None:
    (run / name).write_bytes(b"x")
    before = (run / "config.toml").stat().st_mtime_ns
    with pytest.raises(ModelError, match=name):
        go_on(tiny_settings(camvid), run)
    assert (run / "config.toml").stat().st_mtime_ns == before


def test_a_fault_in_validation_costs_no_epoch(camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: Any) -> None:
        raise DataError("the disk is gone")

    out, settings = tmp_path / "run", tiny_settings(camvid, epochs=1)
    with monkeypatch.context() as patch:
        patch.setattr(edgeseg.training.epoch_end, "evaluate", fails)
        with pytest.raises(DataError, match="the disk is gone"):
            go_on(settings, out, resume=False)
    assert [path.name for path in checkpoints_in(out / "checkpoints")] == ["ckpt-2"]
    monkeypatch.setattr(edgeseg.training.train, "TrainStep", lambda *_, **__: fails)  # nothing is trained again
    assert go_on(settings, out)[0].epochs == 1


def test_a_stop_is_honoured_within_validation(camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, done = evaluate, []

    def asked_to_stop(predictor: Any, samples: Any, classes: Any, on_progress: Callable[[int], None]) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        scores = real(predictor, samples, classes, on_progress)
        done.append(scores)
        return scores

    monkeypatch.setattr(edgeseg.training.epoch_end, "evaluate", asked_to_stop)
    result, shown = go_on(tiny_settings(camvid, epochs=1), tmp_path / "run", resume=False)
    assert (result.stopped, result.steps, result.epochs, done) == (True, 2, 0, [])
    assert "stopped at step 2 of 2; go on with --resume --out" in shown


def test_a_stop_is_honoured_while_the_labels_are_read(
    camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = FittedSamples.class_counts

    def asked_to_stop(self: Any, classes: int, on_progress: Callable[[int], None], seen: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        real(self, classes, on_progress, seen)
        raise AssertionError("the request was not seen")

    monkeypatch.setattr(FittedSamples, "class_counts", asked_to_stop)
    result, shown = go_on(tiny_settings(camvid), tmp_path / "run", resume=False)
    assert (result.stopped, result.steps) == (True, 0)
    assert "nothing was written" in shown
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("balance", ["log", "none"])
@pytest.mark.parametrize("split", ["train", "val"])
def test_masks_without_a_label_are_refused_and_leave_nothing(split: str, balance: str, tmp_path: Path) -> None:
    data = write_camvid(tmp_path / "camvid", train=4, val=1)
    for mask in (data / f"{split}annot").iterdir():
        cv2.imwrite(str(mask), np.full((72, 96), 11, np.uint8))
    with pytest.raises(DataError, match="no pixel is labelled in"):
        go_on(tiny_settings(data, class_balance=balance), tmp_path / "run", resume=False)
    assert not (tmp_path / "run").exists()


def test_a_broken_val_picture_is_found_before_training(tmp_path: Path) -> None:
    data = write_camvid(tmp_path / "camvid", train=4, val=2)
    (data / "val" / "001.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"001\.png"):
        go_on(tiny_settings(data), tmp_path / "run", resume=False)
    assert not (tmp_path / "run").exists()


def test_a_run_that_ended_before_its_first_checkpoint_blocks_nothing(tmp_path: Path) -> None:
    data = write_camvid(tmp_path / "camvid", train=4, val=1)
    good = (data / "train" / "000.png").read_bytes()
    (data / "train" / "000.png").write_bytes(good[: len(good) // 2])
    settings = tiny_settings(data, epochs=1, class_balance="none", cache_mb=0)
    with pytest.raises(DataError, match=r"000\.png"):
        go_on(settings, tmp_path / "run", resume=False)
    assert (tmp_path / "run" / "config.toml").exists()
    (data / "train" / "000.png").write_bytes(good)
    assert go_on(settings, tmp_path / "run", resume=False)[0].epochs == 1
    with pytest.raises(UsageError, match="not empty"):
        go_on(settings, tmp_path / "run", resume=False)


def test_a_checkpoint_that_does_not_fit_says_why_and_what_is_left(
    camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any, **named: Any) -> None:
        raise tf.errors.UnknownError(
            None,
            None,
            "{{function_node __SaveV2}} /run/ckpt-2_temp/part-0; No space left on device [Op:SaveV2]",
        )

    monkeypatch.setattr(tf.train.CheckpointManager, "save", full)
    with pytest.raises(UsageError, match=r"cannot be written \(No space left on device\); there is no checkpoint yet"):
        go_on(tiny_settings(camvid), tmp_path / "run", resume=False)


def test_half_checkpoints_are_cleared_away(run: Path, camvid: Path) -> None:
    (run / "checkpoints" / "ckpt-6_temp").mkdir()
    go_on(tiny_settings(camvid), run)
    assert not (run / "checkpoints" / "ckpt-6_temp").exists()


def test_places_that_cannot_be_used_are_one_line(camvid: Path, tmp_path: Path) -> None:
    long = "n" * 300
    for resume in (False, True):
        with pytest.raises(UsageError, match="File name too long"):
            go_on(tiny_settings(camvid), tmp_path / long, resume)
    with pytest.raises(DataError, match="File name too long"):
        go_on(tiny_settings(Path(f"/tmp/{long}")), tmp_path / "run", resume=False)
    with pytest.raises(EdgesegError, match="File name too long"):
        load_predictor(tmp_path / long)


def test_data_with_other_classes_is_refused_by_their_names(run: Path, camvid: Path) -> None:
    """The run's settings and pictures are the same, its classes were others."""
    spec = json.loads((run / "spec.json").read_text())
    spec["classes"] = [{**each, "name": f"old {each['name']}"} for each in spec["classes"][:-1]]
    (run / "spec.json").write_text(json.dumps(spec))
    with pytest.raises(ModelError, match=r"was trained on 10 classes \(old Sky, .*the data now has 11 \(Sky, "):
        go_on(tiny_settings(camvid), run)


def test_average_and_float16_s_scale_are_resumed_exactly(camvid: Path, tmp_path: Path) -> None:
    """Stopped after the first of two epochs and resumed: the same weights, average and scale as without the stop."""
    small = {"width": 0.01, "size": Size(32, 32), "batch_norm": "on", "dropout": 0.0}
    settings = tiny_settings(camvid, ema=0.9, precision="mixed_float16", **small)
    go_on(settings, tmp_path / "whole", resume=False)
    go_on(settings, tmp_path / "parts", resume=False)
    for path in (tmp_path / "parts" / "checkpoints").glob("ckpt-4.*"):
        path.unlink()
    go_on(settings, tmp_path / "parts")
    ends = [tf.train.load_checkpoint(str(tmp_path / name / "checkpoints" / "ckpt-4")) for name in ("whole", "parts")]
    names = [name for name in ends[0].get_variable_to_shape_map() if "seconds" not in name and "OBJECT" not in name]
    assert any(name.startswith("average/") for name in names)
    assert any(name.startswith("loss_scale/") for name in names)
    for name in names:
        one, other = (np.asarray(end.get_tensor(name)) for end in ends)
        if one.dtype.kind in "fi":
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5, err_msg=name)


def test_a_run_on_windows_validated_now_and_then_keeps_a_whole_model_and_goes_on(
    camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    class Noted(TrainStep):
        def __call__(self, frames: Any, class_maps: Any, learning_rate: Any) -> Any:
            assert frames.shape[1:3] == class_maps.shape[1:3] == self.model.input_shape[1:3] == (32, 64)
            seen.append([path.name for path in checkpoints_in(out / "checkpoints")])
            return super().__call__(frames, class_maps, learning_rate)

    monkeypatch.setattr(edgeseg.training.train, "TrainStep", Noted)
    settings = tiny_settings(camvid, train_size=Size(32, 64), epochs=3, validate_every=2)
    out, seen = tmp_path / "run", list[list[str]]()
    result, _ = go_on(settings, out, resume=False)
    assert seen == [[], [], ["ckpt-2"], ["ckpt-2"], ["ckpt-4", "ckpt-2"], ["ckpt-4", "ckpt-2"]]
    before = RunDirectory(out).read_history()
    assert [(epoch.epoch, epoch.step) for epoch in before] == [(2, 4), (3, 6)]
    with load_predictor(out) as predictor:
        dataset = open_dataset(settings.data)
        assert predictor.spec.input_size == load_model(out / "model.keras").input_shape[1:3] == (64, 64)
        assert evaluate(predictor, dataset.split("val"), dataset.classes).miou == pytest.approx(result.miou, abs=1e-9)
    for path in (out / "checkpoints").glob("ckpt-6.*"):
        path.unlink()
    again = go_on(settings, out)[0]
    assert (again.steps, again.epochs, len(seen)) == (6, 3, 8)
    losses = [[epoch.loss for epoch in each] for each in (before, RunDirectory(out).read_history())]
    assert losses[0] == pytest.approx(losses[1], rel=0.01)
    with pytest.raises(UsageError, match="was trained with train_size: 64x32, not None"):
        go_on(replace(settings, train_size=None), out)


def test_a_full_disk_names_itself_and_keeps_the_checkpoint_before(camvid: Path, tmp_path: Path) -> None:
    """For real: files may not grow beyond what all but a checkpoint takes."""
    out = tmp_path / "run"
    program = (
        "import resource, signal, sys; from edgeseg.commands.main import main;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)); main()"
    )
    small = ("--preset", "scratch", "--size", "64x64", "--width", "0.0625", "--batch", "4", "--epochs", "1")
    done = subprocess.run(
        [sys.executable, "-c", program, "train", "--data", f"camvid:{camvid}", *small, "--out", str(out)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith(f"edgeseg: {out / 'checkpoints'} cannot be written (")
    assert line.endswith("there is no checkpoint yet; free the disk")
