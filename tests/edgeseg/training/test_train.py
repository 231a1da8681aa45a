"""Training: the run directory, and what happens when a run ends otherwise than planned."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rich.console import Console

import edgeseg.training.losses
import edgeseg.training.train
from edgeseg.core.errors import DataError, ModelError, UsageError
from edgeseg.core.geometry import Crop, Size
from edgeseg.core.spec import ModelSpec
from edgeseg.data.argument import open_dataset
from edgeseg.data.feeding.pipeline import TrainingBatches
from edgeseg.data.wrappers import RememberedSample
from edgeseg.evaluation.evaluate import evaluate, load_predictor
from edgeseg.models.build import load_model
from edgeseg.tf import tf
from edgeseg.training.losses import SegmentationLoss
from edgeseg.training.run_directory import Epoch, RunDirectory, checkpoints_in
from edgeseg.training.settings import TrainSettings
from edgeseg.training.tensorboard import BoardWriter
from edgeseg.training.train import TrainResult, _kept_samples, train
from tests.helpers.places import ROOT
from tests.helpers.training import PATIENCE_S, tiny_settings, write_camvid

STEPS_PER_EPOCH = 2
LEARNS: dict[str, Any] = {"epochs": 12, "learning_rate": 1e-2, "batch_norm": "on"}


@pytest.fixture(scope="module")
def camvid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_camvid(tmp_path_factory.mktemp("data") / "camvid")


def quiet() -> Console:
    return Console(file=io.StringIO())


def history(run: Path) -> list[Epoch]:
    return RunDirectory(run).read_history(until_step=10**9)


@pytest.fixture(scope="module")
def finished(camvid: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainResult, str]:
    out = tmp_path_factory.mktemp("runs") / "finished"
    console = quiet()
    result = train(tiny_settings(camvid, **LEARNS), out, console=console)
    return out, result, console.file.getvalue()  # type: ignore[attr-defined]


def test_a_run_directory_is_complete(finished: tuple[Path, TrainResult, str], camvid: Path) -> None:
    run, result, shown = finished
    assert {path.name for path in run.iterdir()} == {
        "model.keras",
        "checkpoints",
        "spec.json",
        "config.toml",
        "history.csv",
        "curves.png",
        "preview.png",
        "confusion.png",
        "worst.png",
        "scores.json",
        "report.html",
        "tensorboard",
    }
    assert TrainSettings.read(run / "config.toml") == tiny_settings(camvid, **LEARNS)
    epochs = history(run)
    assert [epoch.step for epoch in epochs] == list(range(2, 25, 2))
    assert result.steps == 24
    assert result.miou == max(epoch.miou for epoch in epochs)
    assert not result.stopped
    warned = [line for line in shown.splitlines() if line.startswith("warning: ")]
    assert len(warned) == 8  # of CamVid's classes only three are drawn
    lines = shown.splitlines()[len(warned) :]
    assert len(lines) == 12  # no terminal: one plain line an epoch
    assert all(line.startswith(f"epoch {i}/12") for i, line in enumerate(lines, start=1))
    for name in ("curves.png", "preview.png", "confusion.png", "worst.png"):
        assert np.std(np.asarray(cv2.imread(str(run / name)))) > 10


def test_the_loss_falls_and_the_network_learns(finished: tuple[Path, TrainResult, str]) -> None:
    epochs = history(finished[0])
    assert epochs[-1].loss < epochs[0].loss / 2
    assert finished[1].miou > 0.5
    assert epochs[-1].learning_rate == pytest.approx(0, abs=1e-6)


def test_the_kept_model_reaches_what_its_spec_says(finished: tuple[Path, TrainResult, str], camvid: Path) -> None:
    run, result, _ = finished
    spec = ModelSpec.read(run / "spec.json")
    assert spec.input_size == Size(64, 64)
    assert spec.trained_on == f"camvid:{camvid}"
    assert spec.metrics["miou"] == result.miou
    assert set(spec.versions) == {"edgeseg", "tensorflow", "keras"}
    dataset = open_dataset(f"camvid:{camvid}")
    with load_predictor(run) as predictor:
        assert predictor.spec == spec
        scores = evaluate(predictor, dataset.split("val"), dataset.classes)
    assert scores.miou == pytest.approx(result.miou, abs=1e-9)
    assert scores.iou["Bicyclist"] is None


def test_tensorboard_reads_the_scalars(finished: tuple[Path, TrainResult, str]) -> None:
    (file,) = (finished[0] / "tensorboard").iterdir()
    values = [
        (event.step, value.tag, tf.make_ndarray(value.tensor), value.metadata.plugin_data.plugin_name)
        for event in tf.compat.v1.train.summary_iterator(str(file))
        for value in event.summary.value
    ]
    last = history(finished[0])[-1]
    step, _, miou, plugin = next(value for value in reversed(values) if value[1] == "miou")
    assert (step, plugin) == (last.step, "scalars")
    assert float(miou) == pytest.approx(last.miou, rel=1e-6)
    last_step = {tag: (value, plugin) for at, tag, value, plugin in values if at == last.step}
    assert last_step["iou/Road"][1] == "scalars"
    assert "iou/Bicyclist" not in last_step  # it does not occur
    (width, height, encoded), plugin = last_step["prediction/002"]
    picture = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert (plugin, int(height), int(width)) == ("images", *picture.shape[:2])
    assert picture.shape == (192, 3 * 256, 3)


def test_a_finished_run_is_not_overwritten(finished: tuple[Path, TrainResult, str], camvid: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished[0].rglob("*")}
    with pytest.raises(UsageError, match="exists and is not empty"):
        train(tiny_settings(camvid), finished[0])
    with pytest.raises(UsageError, match=r"was trained with dropout: 0\.2, not 0\.5; batch: 4, not 2"):
        train(tiny_settings(camvid, **LEARNS, batch=2, dropout=0.5), finished[0], resume=True)
    assert {path: path.stat().st_mtime_ns for path in finished[0].rglob("*")} == before


def test_resuming_a_finished_run_adds_nothing(finished: tuple[Path, TrainResult, str], camvid: Path) -> None:
    again = train(tiny_settings(camvid, **LEARNS), finished[0], resume=True, console=quiet())
    assert (again.steps, again.epochs, again.miou) == (24, 12, finished[1].miou)


@pytest.mark.parametrize(
    ("changes", "error", "expected"),
    [
        ({"size": Size(64, 70)}, UsageError, "use 96x64"),
        ({"model": "fcn9"}, UsageError, "did you mean fcn8"),
        ({"data": "camvid:/nowhere"}, DataError, "no such folder"),
        ({"batch": 9}, UsageError, "batch 9 with 8 training images"),
    ],
)
def test_bad_settings_leave_nothing_behind(
    changes: dict[str, Any], error: type[Exception], expected: str, camvid: Path, tmp_path: Path
) -> None:
    with pytest.raises(error, match=expected):
        train(tiny_settings(camvid, **changes), tmp_path / "run", console=quiet())
    assert not (tmp_path / "run").exists()


def test_a_place_that_cannot_be_written_is_refused_first(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"file/run cannot be written \(Not a directory\)"):
        train(tiny_settings(Path("/no/data")), tmp_path / "file" / "run")
    with pytest.raises(UsageError, match="holds no run to resume"):
        train(tiny_settings(Path("/no/data")), tmp_path / "absent", resume=True)
    with pytest.raises(UsageError, match="exists and is not empty"):
        train(tiny_settings(Path("/no/data")), tmp_path / "file")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_loss_that_is_no_number_stops_and_keeps_the_best(
    camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = tf.Variable(0)
    real = edgeseg.training.losses.cross_entropy

    def fails_in_the_second_epoch(*arguments: Any) -> Any:
        return tf.where(calls.assign_add(1) > STEPS_PER_EPOCH + 1, float("nan"), real(*arguments))

    monkeypatch.setattr(edgeseg.training.losses, "cross_entropy", fails_in_the_second_epoch)
    with pytest.raises(ModelError, match=r"is nan at step 4.*rate \(0\.003\).*in a new run.*model\.keras") as caught:
        train(tiny_settings(camvid, epochs=3), tmp_path / "run", console=quiet())
    assert "\n" not in str(caught.value)
    named = set(re.findall(r"\d{3}\.png", str(caught.value)))
    trained_before = np.random.default_rng((tiny_settings(camvid).seed, 1)).permutation(8)[:4]
    assert named == {f"{index:03}.png" for index in range(8)} - {f"{index:03}.png" for index in trained_before}
    assert [path.name for path in checkpoints_in(tmp_path / "run" / "checkpoints")] == ["ckpt-2"]  # the last good one
    assert [epoch.epoch for epoch in history(tmp_path / "run")] == [1]
    weights = load_predictor(tmp_path / "run").predict([np.zeros((64, 64, 3), np.uint8)])
    assert weights[0].shape == (64, 64)


PROGRAM = """
import sys
from pathlib import Path
from tests.helpers.training import tiny_settings
from edgeseg.training.train import train
result = train(tiny_settings(Path(sys.argv[1]), epochs=int(sys.argv[3])), Path(sys.argv[2]))
print("result", result.stopped, result.steps)
"""


def start(camvid: Path, out: Path, epochs: int) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(camvid), str(out), str(epochs)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_epochs(process: subprocess.Popen[str], out: Path, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        if (out / "history.csv").exists() and len((out / "history.csv").read_text().splitlines()) > count:
            return
        time.sleep(0.01)
    process.kill()
    raise AssertionError(f"no epoch {count}: {process.communicate()}")


def test_a_killed_run_resumes_and_ends_as_if_it_had_not_been(camvid: Path, tmp_path: Path) -> None:
    epochs = 5
    whole = train(tiny_settings(camvid, epochs=epochs), tmp_path / "whole", console=quiet())
    process = start(camvid, tmp_path / "killed", epochs)
    wait_for_epochs(process, tmp_path / "killed", 2)
    process.kill()
    process.communicate()
    assert len(history(tmp_path / "killed")) < epochs
    resumed = train(tiny_settings(camvid, epochs=epochs), tmp_path / "killed", resume=True, console=quiet())
    assert resumed.steps == whole.steps == epochs * STEPS_PER_EPOCH
    assert [epoch.epoch for epoch in history(tmp_path / "killed")] == list(range(1, epochs + 1))
    np.testing.assert_allclose(
        [epoch.loss for epoch in history(tmp_path / "killed")],
        [epoch.loss for epoch in history(tmp_path / "whole")],
        rtol=0.01,  # sums on several threads may differ in the last bits, and training enlarges that
    )


def test_sigterm_ends_a_run_cleanly_and_says_how_to_go_on(camvid: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = start(camvid, out, 5000)
    wait_for_epochs(process, out, 1)
    process.send_signal(signal.SIGTERM)
    shown, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors
    assert errors == ""  # nor a word of TensorFlow's
    assert "go on with --resume --out" in shown
    steps = int(shown.split()[-1])
    assert f"result True {steps}" in shown
    assert list((out / "checkpoints").glob(f"ckpt-{steps}.index"))
    assert (out / "preview.png").exists()
    assert load_predictor(out).spec.metrics["miou"] > 0


def test_mixed_precision_keeps_a_float32_model(camvid: Path, tmp_path: Path) -> None:
    result = train(
        tiny_settings(camvid, epochs=1, precision="mixed_bfloat16", batch_norm="on"), tmp_path / "run", console=quiet()
    )
    assert result.epochs == 1
    model = load_model(tmp_path / "run" / "model.keras")
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    means = [variable.numpy() for variable in model.variables if variable.path.endswith("moving_mean")]
    assert all(mean.any() for mean in means)  # trained weights, not those it was built with


def test_settings_reach_the_samples_the_loss_and_the_optimizer(
    camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    def noted(kind: Any) -> Any:
        def make(*arguments: Any) -> Any:
            seen[kind.__name__] = kind(*arguments)
            return seen[kind.__name__]

        return make

    for kind in (SegmentationLoss, TrainingBatches):
        monkeypatch.setattr(edgeseg.training.train, kind.__name__, noted(kind))
    settings = tiny_settings(
        camvid, epochs=1, fit="pad", crop=Crop(0.0, 0.25, 1.0, 0.5), loss="focal+dice", focal_gamma=1.5,
        hard_pixels=0.5, class_balance="log",
    )  # fmt: skip
    train(settings, tmp_path / "run", console=quiet())
    loss, batches = seen["SegmentationLoss"], seen["TrainingBatches"]
    assert loss.weights[3] < loss.weights[10] == pytest.approx(1 / np.log(1.1))  # road is there, cyclists are not
    assert (loss.names, loss.focal_gamma, loss.hard_pixels) == (("focal", "dice"), 1.5, 0.5)
    assert (batches.samples.fit, batches.samples.crop) == (settings.fit, settings.crop)
    assert batches.augmentation == settings.augmentation


def test_where_the_memory_runs_out_the_batch_is_worked_on_in_parts(
    camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For real: from 2 pictures on, the loss asks for more than a processor can address.

    By NumPy, since TensorFlow's own allocator tries each time for 10 s.
    """
    real = edgeseg.training.losses.cross_entropy

    def large(pixels: Any, total: Any) -> Any:
        wanted = 2**49 if pixels.ids.shape[0] > most else 1
        return real(pixels, total) + tf.numpy_function(lambda n: np.zeros(n, np.float32)[0], [wanted], tf.float32)

    monkeypatch.setattr(edgeseg.training.losses, "cross_entropy", large)
    most, console = 1, quiet()
    result = train(tiny_settings(camvid, epochs=2), tmp_path / "run", console=console)
    assert (result.steps, result.epochs) == (4, 2)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert shown.count("each step works on them in 4 parts") == 1
    most = 0
    with pytest.raises(UsageError, match=r"memory does not suffice for batch 4 at 64x64.*lower --batch"):
        train(tiny_settings(camvid), tmp_path / "other", console=quiet())


def test_tensorboard_never_ends_a_training(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said: list[str] = []
    with BoardWriter(tmp_path / "file", said.append) as board:
        board.write({"loss": 1.0}, 1)
        board.write({"loss": 1.0}, 2)
    (line,) = said
    assert "going on without TensorBoard" in line
    assert "\n" not in line


def test_the_cache_is_one_budget(camvid: Path) -> None:
    dataset = open_dataset(f"camvid:{camvid}")  # 8 train pictures take 216 KiB, 3 of val 81 KiB
    for cache_kib, train_kept, val_kept in (
        (1024, True, True),
        (260, True, False),
        (100, False, True),
        (10, False, False),
    ):
        samples, val = _kept_samples(tiny_settings(camvid), dataset, (0, 0, 0), cache_kib * 1024)
        assert samples.keeps == train_kept
        assert isinstance(val[0], RememberedSample) == val_kept


def test_tensorflow_loads_with_a_closed_standard_error() -> None:
    program = "import os; os.close(2); import edgeseg.tf; print('loaded')"
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert (done.returncode, done.stdout) == (0, "loaded\n")
    command = f"{sys.executable} -c \"import edgeseg.tf; print('loaded')\" 2>&-"
    done = subprocess.run(command, shell=True, stdout=subprocess.PIPE, text=True)
    assert (done.returncode, done.stdout) == (0, "loaded\n")


def test_minutes_end_a_run_with_its_learning_rate_at_nothing_and_count_on_when_it_goes_on(
    finished: tuple[Path, Any], camvid: Path, tmp_path: Path
) -> None:
    first = history(finished[0])[0].seconds  # with TensorFlow's tracing, on this machine
    minutes = max(0.15, 4 * first / 60)
    settings = tiny_settings(camvid, minutes=minutes, epochs=1, checkpoint_minutes=0.01)
    result = train(settings, tmp_path / "run", console=quiet())
    epochs = history(tmp_path / "run")
    assert len(epochs) > 1  # --epochs does not count
    assert epochs[-1].step == result.steps
    hitch = max(epoch.seconds for epoch in epochs[1:])  # of a machine that others use
    assert sum(epoch.seconds for epoch in epochs) < minutes * 60 + 1 + hitch
    assert epochs[-1].learning_rate < 0.5 * settings.learning_rate  # its exact course: test_schedule.py
    again = train(settings, tmp_path / "run", resume=True, console=quiet())
    # The minutes are used up, but where the last validation took less time than was kept for it.
    assert again.steps - result.steps in (0, 1)


def test_steps_end_a_run_within_an_epoch_and_count_on_when_it_goes_on(camvid: Path, tmp_path: Path) -> None:
    settings, run = tiny_settings(camvid, steps=5, epochs=1), tmp_path / "run"
    shown = io.StringIO()
    result = train(settings, run, console=Console(file=shown, width=200))
    before = history(run)
    assert [(epoch.epoch, epoch.step) for epoch in before] == [(1, 2), (2, 4), (3, 5)]
    assert result.steps == 5
    assert before[-1].learning_rate == pytest.approx(0, abs=1e-9)
    assert shown.getvalue().splitlines()[-1].startswith("epoch 3/3  step 5 ")
    for path in (run / "checkpoints").glob("ckpt-5.*"):
        path.unlink()
    assert train(settings, run, resume=True, console=quiet()).steps == 5
    assert [each.loss for each in history(run)] == pytest.approx([each.loss for each in before], rel=0.01)


def test_validated_by_steps_a_run_saves_no_checkpoint_for_each_short_epoch(camvid: Path, tmp_path: Path) -> None:
    train(tiny_settings(camvid, epochs=3, validate_every=0), tmp_path / "run", console=quiet())
    assert [epoch.step for epoch in history(tmp_path / "run")] == [6]  # 500 steps are more than there are
    assert [path.name for path in checkpoints_in(tmp_path / "run" / "checkpoints")] == ["ckpt-6"]


def test_a_run_ends_early_where_nothing_gets_better(camvid: Path, tmp_path: Path) -> None:
    console = quiet()
    settings = tiny_settings(camvid, epochs=50, patience=2, learning_rate=1e-9, ema=0.99)
    result = train(settings, tmp_path / "run", console=console)
    scores = [epoch.miou for epoch in history(tmp_path / "run")]
    assert result.epochs == len(scores) == scores.index(max(scores)) + 3 < 50
    assert "ended early, as --patience 2 asks" in console.file.getvalue()  # type: ignore[attr-defined]
    assert train(settings, tmp_path / "run", resume=True, console=quiet()).steps <= result.steps + STEPS_PER_EPOCH


def test_no_gpu_where_one_is_required(camvid: Path, tmp_path: Path) -> None:
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU")
    with pytest.raises(UsageError, match="finds no GPU, and --require-gpu was given"):
        train(tiny_settings(camvid), tmp_path / "run", console=quiet(), require_gpu=True)
    assert not (tmp_path / "run").exists()
