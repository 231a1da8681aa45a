"""A drive recorded by a camera and run again: what is kept, what is compared, which budgets break."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeseg.core.errors import DataError, UsageError
from edgeseg.core.geometry import Size
from edgeseg.core.spec import ModelSpec
from edgeseg.runtime.engines.choose import load_engine
from edgeseg.runtime.engines.settings import EngineSettings
from edgeseg.runtime.measure.budgets import draft, read_budgets
from edgeseg.runtime.measure.replay import replay as run_again
from edgeseg.runtime.sinks.base import Playback
from edgeseg.runtime.sinks.kinds.recording import Recording
from edgeseg.runtime.sinks.open import open_sink

WriteModel = Callable[..., Path]


def camera(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "edgeseg.runtime", *map(str, arguments)]


def replay(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgeseg", "replay", *map(str, arguments), "--backend", "onnxruntime-cpu"]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)


@pytest.fixture
def recorded(pictures: Path, write_model: WriteModel, tmp_path: Path) -> tuple[Path, Path]:
    """A recording of a folder of pictures, and its model."""
    folder, model = tmp_path / "drive", write_model()
    done = subprocess.run(
        camera(pictures, "--every-frame", "--model", model, "--backend", "onnxruntime-cpu", "--record", folder),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder, model


def test_a_recording_holds_the_very_frames_and_masks(recorded: tuple[Path, Path], pictures: Path) -> None:
    folder, _ = recorded
    recording = Recording.read(folder)
    originals = sorted(pictures.iterdir(), key=lambda path: int(path.stem.removeprefix("frame")))
    assert len(recording) == len(originals) > 2
    for frame, original in zip(recording, originals, strict=True):
        np.testing.assert_array_equal(frame.picture(), cv2.imread(str(original)))
        assert frame.class_map().shape == recording.spec.input_size
        assert frame.record["status"] == "ok"
        assert frame.record["ms"]["inference"] > 0
        assert frame.record["captured_monotonic"] > 0


def test_the_same_model_makes_the_same_masks_and_keeps_drafted_budgets(recorded: tuple[Path, Path]) -> None:
    folder, model = recorded
    first = replay(folder, "--model", model, "--write-budgets", "--json", folder / "figures.json")
    assert first.returncode == 0, first.stderr
    figures = json.loads((folder / "figures.json").read_text())
    assert figures["masks"]["equal_pixels"] == 1.0
    assert figures["masks"]["mean_iou"] == 1.0
    assert figures["backend"] == "onnxruntime-cpu"
    assert figures["device"]
    assert figures["fps"] == pytest.approx(1e3 / figures["frame"]["mean"], rel=0.01)
    assert figures["inference"]["mean"] > 0
    assert figures["recorded"]["inference"]["mean"] > 0
    assert (folder / "budgets.toml").exists()
    roomy = folder / "roomy.toml"
    roomy.write_text("[masks]\nequal_pixels = 0.999\n[inference]\nmean = 10_000\nmax = 10_000\n")
    kept = replay(folder, "--model", model, "--budgets", roomy)
    assert (kept.returncode, "3 budgets, all kept" in kept.stdout) == (0, True)


def test_broken_budgets_end_with_1_and_are_named(recorded: tuple[Path, Path]) -> None:
    folder, model = recorded
    (folder / "budgets.toml").write_text("[inference]\nmean = 0.000001\nmax = 10_000\n")
    slow = replay(folder, "--model", model)
    assert slow.returncode == 1
    assert "BROKEN inference.mean" in slow.stdout
    assert "inference.max" not in slow.stdout
    mask = next((folder / "masks").iterdir())
    class_map = cv2.imread(str(mask), cv2.IMREAD_UNCHANGED)
    assert class_map is not None
    cv2.imwrite(str(mask), 1 - np.minimum(class_map, 1))
    (folder / "budgets.toml").write_text("[masks]\nworst_frame = 0.99\n")
    other = replay(folder, "--model", model)
    assert other.returncode == 1
    assert "BROKEN masks.worst_frame" in other.stdout
    assert mask.name in other.stdout


def test_a_share_of_equal_pixels_can_be_demanded_without_a_file(recorded: tuple[Path, Path]) -> None:
    folder, model = recorded
    (folder / "budgets.toml").write_text("[masks]\nequal_pixels = 0.5\n")
    mask = next((folder / "masks").iterdir())
    class_map = cv2.imread(str(mask), cv2.IMREAD_UNCHANGED)
    assert class_map is not None
    class_map[0, 0] = (class_map[0, 0] + 1) % 3
    cv2.imwrite(str(mask), class_map)
    demanded = {share: replay(folder, "--model", model, "--equal-pixels", share) for share in (0.999, 1)}
    assert [done.returncode for done in demanded.values()] == [0, 1]
    assert "1 budgets, all kept" in demanded[0.999].stdout
    assert "BROKEN masks.equal_pixels" in demanded[1].stdout


def test_a_camera_that_is_killed_leaves_a_recording_that_replays(
    pictures: Path, write_model: WriteModel, tmp_path: Path
) -> None:
    folder, model = tmp_path / "drive", write_model()
    process = subprocess.Popen(
        camera(pictures, "--loop", "--source-rate", 50, "--model", model, "--backend", "onnxruntime-cpu", "--quiet",
               "--record", folder)
    )  # fmt: skip
    records = folder / "records.jsonl"
    end = time.monotonic() + 60
    while not records.exists() or records.read_text().count("\n") < 10:
        assert time.monotonic() < end
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = replay(folder, "--model", model)
    assert done.returncode == 0, done.stderr
    assert "100.0000% of the pixels as recorded" in done.stdout


def test_a_drive_whose_outputs_were_smoothed_replays_as_itself(write_model: WriteModel, tmp_path: Path) -> None:
    folder, model, flickering = tmp_path / "drive", write_model(), tmp_path / "flickering"
    flickering.mkdir()
    random = np.random.default_rng(0)
    for index in range(6):
        cv2.imwrite(str(flickering / f"{index}.png"), random.integers(0, 256, (72, 128, 3), np.uint8))
    smooth = ("--report", "road", "--road-class-name", "red", "--road-smooth", 5)
    options = ("--every-frame", "--model", model, "--backend", "onnxruntime-cpu", "--record", folder)
    done = subprocess.run(camera(flickering, *options, *smooth), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "100.0000% of the pixels as recorded" in replay(folder, "--model", model, "--equal-pixels", "1").stdout


def test_a_recording_without_a_frame_is_in_nobody_s_way(
    recorded: tuple[Path, Path], colour_spec: ModelSpec, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    for _ in range(2):  # a start that was stopped before the first frame, and the next one
        with contextlib.closing(
            open_sink(f"record://{empty}", colour_spec, Size(72, 128), Playback(10.0, keep_time=False))
        ) as sink:
            sink.start()
    with pytest.raises(UsageError, match="holds no frame; record some seconds"):
        Recording.read(empty)
    folder, model = recorded
    (folder / "records.jsonl").unlink()  # as after a kill within the first frame
    done = replay(folder, "--model", model)
    assert (done.returncode, "holds no frame; record some seconds" in done.stderr) == (2, True)
    with pytest.raises(UsageError, match="cannot be written"):
        open_sink(f"record://{model}/drive", colour_spec, Size(72, 128), Playback(10.0, keep_time=False)).start()


def test_a_stop_before_the_first_frame_ends_with_one_frame(recorded: tuple[Path, Path]) -> None:
    folder, model = recorded
    stop = threading.Event()
    stop.set()
    with load_engine(model, EngineSettings("onnxruntime-cpu")) as engine:
        figures = run_again(Recording.read(folder), engine, stop)
    assert figures["frames"] == 1
    assert figures["masks"]["equal_pixels"] == 1


def test_what_cannot_be_replayed_is_said_in_one_line(
    recorded: tuple[Path, Path], write_model: WriteModel, pictures: Path, tmp_path: Path
) -> None:
    folder, model = recorded
    again = subprocess.run(camera(pictures, "--model", model, "--record", folder), capture_output=True, text=True)
    assert (again.returncode, "is not empty" in again.stderr) == (2, True)
    for where, reason in ((tmp_path / "none", "holds no recording"), (pictures, "holds no recording")):
        done = replay(where, "--model", model)
        assert (done.returncode, reason in done.stderr, done.stderr.count("\n")) == (2, True, 1)
    next((folder / "frames").iterdir()).write_bytes(b"half")
    damaged = replay(folder, "--model", model)
    assert (damaged.returncode, "the recording is damaged" in damaged.stderr) == (3, True)
    assert damaged.stderr.count("\n") <= 2  # the progress bar's line
    whole = (folder / "records.jsonl").read_text()
    record = json.loads(whole.splitlines()[0])
    for line in (
        "{half a li", "[]", "3", '{"frame": 1e3, "ms": {}}', json.dumps({**record, "frame": -1}),
        json.dumps({**record, "frame": 2**70}), json.dumps({**record, "ms": None}), json.dumps({"frame": 1}),
        json.dumps({**record, "ms": {"frame": math.nan}}), json.dumps({**record, "ms": {"frame": "3"}}),
    ):  # fmt: skip
        (folder / "records.jsonl").write_text(f"{whole}{line}\n")
        with pytest.raises(DataError, match=r"line \d+: no record; the recording is damaged"):
            Recording.read(folder)
    (folder / "records.jsonl").write_text(whole)
    head = json.loads((folder / "recording.json").read_text())
    (folder / "recording.json").write_text(json.dumps({**head, "spec": {**head["spec"], "classes": 3}}))
    with pytest.raises(DataError, match="the recording is damaged"):
        Recording.read(folder)


def test_a_mask_of_another_size_is_a_damaged_recording(recorded: tuple[Path, Path]) -> None:
    folder, model = recorded
    first = min((folder / "masks").iterdir())
    first.write_bytes(cv2.imencode(".png", np.zeros((3, 4), np.uint8))[1].tobytes())
    with (
        load_engine(model, EngineSettings("onnxruntime-cpu")) as engine,
        pytest.raises(DataError, match="4x3 pixels; expected the model's 64x32: the recording is damaged"),
    ):
        run_again(Recording.read(folder), engine, threading.Event())


@pytest.mark.parametrize(
    ("text", "reason"),
    [("[inference]\nmaen = 3", "did you mean mean"), ("[masks]\nequal_pixels = 'all'", "a number"),
     ("[frames]\nmean = 3", r"\[frames\].*expected one of"), ("mean = 3", r"\[mean\]"), ("[", "not TOML")],
)  # fmt: skip
def test_budgets_that_make_no_sense_are_said(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "budgets.toml").write_text(text)
    with pytest.raises(UsageError, match=reason):
        read_budgets(tmp_path / "budgets.toml")


def test_drafted_budgets_allow_what_was_measured_and_are_read_back(tmp_path: Path) -> None:
    times = {"mean": 10.0, "p99": 12.0, "max": 20.0}
    masks = {"equal_pixels": 0.999, "worst_frame": 0.99, "mean_iou": 0.97}
    (tmp_path / "budgets.toml").write_text(draft({"masks": masks, "frame": times, "inference": times}))
    limits = {each.name: each for each in read_budgets(tmp_path / "budgets.toml")}
    assert limits["masks.worst_frame"].limit == pytest.approx(0.9799)
    assert not limits["masks.worst_frame"].broken_by(0.99)
    assert limits["masks.worst_frame"].broken_by(0.97)
    assert not limits["inference.max"].broken_by(20.0)
    assert limits["inference.max"].broken_by(26.0)


def test_rejected_frames_come_onto_a_sheet_with_what_was_seen(recorded: tuple[Path, Path], tmp_path: Path) -> None:
    folder, _ = recorded
    lines = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
    for index in (2, 5, 6, 7, 8):
        lines[index] |= {"status": "stale", "reason": "corrupt", "seen": ["corrupt", "implausible"]}
    (folder / "records.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = replay(folder, "--rejected", tmp_path / "sheet.png")
    assert (done.returncode, f"rejected: 5 of {len(lines)} frames" in done.stdout) == (0, True), done.stderr
    sheet = np.asarray(cv2.imread(str(tmp_path / "sheet.png")))
    shown = Recording.read(folder)
    for place, index in enumerate((2, 5, 6, 7, 8)):
        picture = [each.picture() for each in shown][index]
        height = round(picture.shape[0] * 320 / picture.shape[1])
        top, left = place // 4 * (height + 28), place % 4 * 324
        expected = cv2.resize(picture, (320, height), interpolation=cv2.INTER_AREA)
        assert np.array_equal(sheet[top : top + height, left : left + 320], expected)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [([], "neither --model nor --rejected"), (["--rejected", "sheet.txt"], "ends in .png or .jpg")],
)
def test_a_replay_of_nothing_or_to_nowhere_is_refused(
    recorded: tuple[Path, Path], arguments: list[str], said: str
) -> None:
    done = replay(recorded[0], *arguments)
    assert (done.returncode, said in done.stderr, done.stderr.count("\n")) == (2, True, 1), done.stderr
