"""`edgeseg predict`: what is written, under which names, and what happens when something is wrong."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from edgeseg.commands.main import cli
from edgeseg.core.errors import DataError, EdgesegError, ModelError, UsageError
from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap
from edgeseg.core.spec import ModelSpec
from edgeseg.data.formats.coco import Coco
from edgeseg.data.reading.pictures import read_image
from edgeseg.drawing.overlay import colourise
from edgeseg.evaluation.predict import find_pictures
from edgeseg.models.build import build_model
from tests.helpers.colour_model import COLOURS, numbered_frame
from tests.helpers.training import write_camvid

WriteModel = Callable[..., Path]
MASK = np.zeros((144, 256), np.uint8)
MASK[:, 85:] = 1
MASK[:, 170:] = 2


def predict(model: Path, *arguments: object) -> Result:
    command = ["predict", str(model), *map(str, arguments)]
    return CliRunner().invoke(cli, command, standalone_mode=False)


def tree(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def mask_of(path: Path) -> np.ndarray:
    mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert mask is not None
    return np.asarray(mask)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Two folders with a picture of the same name each, larger than the network and the camera graph."""
    folder = tmp_path / "large"
    for name in ("a/1.png", "b/1.jpg"):
        (folder / name).parent.mkdir(parents=True)
        cv2.imwrite(str(folder / name), numbered_frame(0, Size(144, 256)))
    return folder


def test_masks_have_the_pictures_size_and_no_name_is_lost(write_model: WriteModel, large: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = predict(write_model(), large, large / "a" / "1.png", "--out", out, "--colour")
    assert (result.exception, result.return_value) == (None, 0)
    assert tree(out) == [
        "classes.json",
        "colour/a/1.png",
        "colour/b/1.png",
        "contact.png",
        "masks/a/1.png",
        "masks/b/1.png",
        "overlays/a/1.jpg",
        "overlays/b/1.jpg",
    ]
    for name in ("a/1.png", "b/1.png"):
        mask = mask_of(out / "masks" / name)
        assert mask.shape == (144, 256)
        assert (mask == MASK).mean() > 0.98  # the network has 64 columns for 256
        np.testing.assert_array_equal(mask_of(out / "colour" / name), colourise(mask, COLOURS))
    overlaid = read_image(out / "overlays" / "a" / "1.jpg").astype(int)
    expected = (numbered_frame(0, Size(144, 256)).astype(int) + colourise(MASK, COLOURS)) / 2
    assert np.abs(overlaid - expected).mean() < 6
    classes = json.loads((out / "classes.json").read_text())["classes"]
    assert [each["name"] for each in classes] == list(COLOURS.names)


def test_what_the_network_never_saw_is_void_and_stays_uncoloured(write_model: WriteModel, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "square.png"), numbered_frame(0, Size(144, 144)))
    out = tmp_path / "out"
    assert predict(write_model(None, fit="crop"), tmp_path / "square.png", "--out", out).exception is None
    mask = mask_of(out / "masks" / "square.png")
    assert mask.shape == (144, 144)
    assert set(np.unique(mask)) <= {0, 1, 2, 255}


def test_coco_is_read_back_as_the_masks(write_model: WriteModel, large: Path, tmp_path: Path) -> None:
    out, labels = tmp_path / "out", tmp_path / "labels.json"
    assert predict(write_model(), large, "--out", out, "--coco", labels).exception is None
    dataset = Coco(str(labels), images=str(large))
    assert dataset.classes.names == COLOURS.names
    samples = [sample for split in dataset.splits for sample in dataset.split(split)]
    assert len(samples) == 2
    for sample in samples:
        folder = sample.image.parent.name  # type: ignore[attr-defined]
        agreement = (sample.read_class_map() == mask_of(out / "masks" / folder / "1.png")).mean()
        assert agreement >= 0.99


def test_a_bad_picture_is_named_and_the_others_are_done(write_model: WriteModel, large: Path, tmp_path: Path) -> None:
    whole = (large / "a" / "1.png").read_bytes()
    (large / "broken.png").write_bytes(whole[: len(whole) // 2])
    out = tmp_path / "out"
    result = predict(write_model(), large, "--out", out, "--coco", tmp_path / "labels.json")
    assert (result.exception, result.return_value) == (None, 3)
    assert "broken.png: damaged (cut short in chunk IDAT" in result.output
    assert "2 of 3 pictures" in result.output
    assert [name for name in tree(out) if name.startswith("masks")] == ["masks/a/1.png", "masks/b/1.png"]
    assert len(json.loads((tmp_path / "labels.json").read_text())["images"]) == 2
    only_bad = predict(write_model(), large / "broken.png", "--out", tmp_path / "none")
    assert only_bad.return_value == 3
    assert tree(tmp_path / "none") == ["classes.json"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_leaves_whole_files(write_model: WriteModel, tmp_path: Path, number: signal.Signals) -> None:
    folder, out, labels = tmp_path / "many", tmp_path / "out", tmp_path / "labels.json"
    folder.mkdir()
    for index in range(300):
        cv2.imwrite(str(folder / f"{index}.jpg"), numbered_frame(index, Size(480, 640)))
    command = [sys.executable, "-m", "edgeseg", "predict", str(write_model()), str(folder), "--out", str(out)]
    process = subprocess.Popen([*command, "--coco", str(labels)], stderr=subprocess.PIPE, text=True)
    while not (out / "masks").is_dir() or len(list((out / "masks").iterdir())) < 3:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.strip() == "stopped before the last picture; what is written is whole"
    masks = sorted((out / "masks").iterdir())
    assert 3 <= len(masks) < 300
    assert all(mask_of(path).shape == (480, 640) for path in masks)
    assert len(json.loads(labels.read_text())["images"]) == len(masks)
    assert (out / "contact.png").is_file()


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(write_model: WriteModel, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    cv2.imwrite(str(tmp_path / "noise.png"), random.integers(0, 255, (480, 640, 3), dtype=np.uint8))
    out = tmp_path / "out"
    command = f"ulimit -f 64; exec {sys.executable} -m edgeseg predict {write_model()} {tmp_path}/noise.png --out {out}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert all("partial" not in name for name in tree(out))


def test_sources_are_files_folders_and_globs_each_picture_once(large: Path) -> None:
    (large / "notes.txt").touch()
    (large / "a" / ".hidden.png").touch()
    both = [large / "a" / "1.png", large / "b" / "1.jpg"]
    assert find_pictures([str(large)]) == both
    assert find_pictures([str(large / "*" / "1.*"), str(large)]) == both
    assert find_pictures([str(both[1]), str(large)]) == both[::-1]
    for wrong in ("nowhere.png", str(large / "*.png"), str(large / "a" / "x")):
        with pytest.raises(DataError, match="no picture there"):
            find_pictures([str(large), wrong])


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        (("--size", "128x64"), UsageError, "whose graph is fixed; give the run it came from"),
        (("--flip",), UsageError, "flip with an ONNX file"),
        (("--out", "."), UsageError, "is not empty"),
        (("--coco", "."), UsageError, "is a folder"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(
    arguments: tuple[str, ...], kind: type[EdgesegError], said: str, write_model: WriteModel, large: Path
) -> None:
    out = large / "out"
    error = predict(write_model(), large, "--out", out, *arguments).exception
    assert isinstance(error, kind)
    assert said in str(error)
    assert not out.exists()


def test_a_run_predicts_at_another_size(tmp_path: Path) -> None:
    camvid = write_camvid(tmp_path / "camvid", train=1, val=1)
    run = tmp_path / "run"
    run.mkdir()
    build_model("unet", Size(32, 32), len(COLOURS), width=0.0625).save(run / "model.keras")
    spec = ModelSpec("t", "unet", "unet", Size(32, 32), "bgr", (0, 0, 0), (0.01, 0.01, 0.01), COLOURS)
    (run / "spec.json").write_text(spec.to_json())
    done = predict(run, camvid / "val", "--out", tmp_path / "out", "--size", "64x48", "--flip")
    assert (done.exception, done.return_value) == (None, 0)
    assert mask_of(tmp_path / "out" / "masks" / "000.png").shape == (72, 96)
    (run / "model.keras").write_bytes(b"PK")
    assert isinstance(predict(run, camvid / "val", "--out", tmp_path / "other").exception, ModelError)
    assert not (tmp_path / "other").exists()


def test_a_network_with_more_classes_than_its_spec_is_refused(write_model: WriteModel, large: Path) -> None:
    two = ClassMap(COLOURS.names[:2], COLOURS.colours[:2])
    error = predict(write_model(classes=two), large, "--out", large / "out").exception
    assert isinstance(error, ModelError)
    assert "gives class id 2, but its spec names 2 classes" in str(error)
    assert not list((large / "out").rglob("*.png"))
