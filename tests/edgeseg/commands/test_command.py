"""The `edgeseg` command as its user runs it: in a process of its own."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgeseg.commands.main import main
from tests.helpers.training import PATIENCE_S

TINY = ("--model", "fcn8", "--size", "64x32", "--width", 0.0625, "--batch-norm", "off", "--epochs", 1, "--batch", 4)
DATA = "scenes:train=8,val=4,test=4,size=128x64"


def call(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgeseg", *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, cwd=cwd)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("command") / "run"
    done = call("train", "--data", DATA, *TINY, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "mean IoU" in done.stdout
    return out


def test_train_export_evaluate_and_benchmark_fit_together(run: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    exported = call("export", run, "--onnx", model, "--camera-size", "128x64")
    assert exported.returncode == 0, exported.stderr
    assert exported.stdout.count("one ConvTranspose") == 3, exported.stdout
    scores = []
    for what in (run, run / "model.keras", model):
        out = tmp_path / "scores.json"
        data = () if what == model else ("--data", DATA)  # a model knows what it was trained on
        done = call("evaluate", what, *data, "--split", "test", "--json", out)
        assert done.returncode == 0, done.stderr
        scores.append(json.loads(out.read_text()))
    measured_of = [each.pop("about") for each in scores]
    assert [Path(of["model"]) for of in measured_of] == [run, run / "model.keras", model]
    assert measured_of[0]["sha256"] == measured_of[1]["sha256"] != measured_of[2]["sha256"]
    means = {"miou", "frequency_weighted_iou", "pixel_accuracy", "boundary_f1"}
    assert scores[0].keys() == means | {"iou", "boundary_f1_of_class", "confusion", "pictures", "images", "intervals"}
    assert scores[0]["images"] == 4
    assert len(scores[0]["iou"]) == 8
    assert scores[0] == scores[1]
    # The camera graph resizes without rounding to whole grey levels, so a few pixels may differ.
    assert scores[2]["miou"] == pytest.approx(scores[0]["miou"], abs=0.005)
    measured = tmp_path / "benchmark.json"
    drive = "scenes://?size=128x64&frames=10"
    done = call("benchmark", model, "--source", drive, "--seconds", 1, "--json", measured)
    assert done.returncode == 0, done.stderr
    assert "ms/frame" in done.stdout.splitlines()[0]
    assert json.loads(measured.read_text())["summary"]["frames"]["processed"] > 0


def test_a_crop_in_pixels_is_kept_as_shares_and_used_by_the_export(tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = call("train", "--data", DATA, *TINY, "--out", out, "--crop", "0,16,128,48")
    assert done.returncode == 0, done.stderr
    assert json.loads((out / "spec.json").read_text())["crop"] == [0.0, 0.25, 1.0, 0.75]
    exported = call("export", out, "--onnx", tmp_path / "m.onnx", "--camera-size", "640x360", "--no-tensorrt-check")
    assert exported.returncode == 0, exported.stderr


def test_what_is_wrong_is_said_in_one_line_and_earlier_results_stay(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process, since TensorFlow's import takes seconds; the program's last line is what its user would see."""
    before = sorted((path, path.stat().st_mtime_ns) for path in run.rglob("*"))
    half = tmp_path / "half.onnx"
    half.write_bytes(b"\x08\x08half")
    file = tmp_path / "file"
    file.touch()
    out = tmp_path / "out"
    for code, said, arguments in (
        (2, "did you mean camvid", ("train", "--data", "camvd:x", "--out", out)),
        (3, "no such folder", ("train", "--data", f"camvid:{tmp_path}/none", "--out", out)),
        (2, "use 576x160", ("train", "--data", DATA, "--size", "570x160", "--out", out)),
        (2, "multiples of 8", ("train", "--data", DATA, "--model", "unet", "--size", "100x100", "--out", out)),
        (2, "did you mean fcn8", ("train", "--data", DATA, "--model", "fcn", "--out", out)),
        (2, "is not empty", ("train", "--data", DATA, "--out", run)),
        (2, "cannot be written", ("train", "--data", DATA, "--out", file / "run")),
        (2, "WIDTHxHEIGHT", ("train", "--data", DATA, "--size", "576", "--out", out)),
        (4, "expected a run directory", ("export", tmp_path / "none", "--onnx", tmp_path / "m.onnx")),
        (2, "cannot be written", ("export", run, "--onnx", file / "m.onnx")),
        (2, "--camera-size", ("export", run, "--onnx", tmp_path / "m.onnx", "--crop", "0,0,10,10")),
        (4, "cannot load", ("evaluate", half, "--data", DATA)),
        (3, "did you mean test", ("evaluate", run, "--data", DATA, "--split", "tset")),
        (4, "cannot load", ("benchmark", half)),
        (3, "no such file", ("benchmark", half, "--source", tmp_path / "none.mp4")),
        (2, "no demo made", ("demo", "--out", run)),
    ):
        monkeypatch.setattr(sys, "argv", ["edgeseg", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert (end.value.code, said in line) == (code, True), line
    assert sorted((path, path.stat().st_mtime_ns) for path in run.rglob("*")) == before
    assert not out.exists()
    assert not (tmp_path / "m.onnx").exists()


def test_help_answers_without_loading_what_only_work_needs() -> None:
    program = (
        "import sys; sys.argv = ['edgeseg', '--help']\n"
        "from edgeseg.commands.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'tensorflow', 'keras', 'onnx', 'onnxruntime', 'cv2', 'matplotlib', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    for module in ("edgeseg.commands.main", "edgeseg.runtime.commands.camera"):
        done = subprocess.run(
            [sys.executable, "-c", program.replace("edgeseg.commands.main", module)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


def test_a_killed_export_leaves_the_earlier_file_whole(run: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"an earlier model")
    process = subprocess.Popen(
        [sys.executable, "-m", "edgeseg", "export", str(run), "--onnx", str(model)],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("comparing"):
            time.sleep(0.02)
            process.kill()
            break
    process.wait()
    process.stderr.close()
    assert model.read_bytes() == b"an earlier model" or process.returncode == 0
