"""`edgeseg data pack`: what it writes, and what is left when it is stopped, killed or out of space."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg.commands.main import cli
from edgeseg.core.errors import DataError, EdgesegError, UsageError
from edgeseg.core.geometry import Crop, Size, place
from edgeseg.core.labels import ClassMap
from edgeseg.data.argument import open_dataset
from edgeseg.data.base import Dataset, Sample
from edgeseg.data.feeding.fit import fit_class_map, fit_image
from edgeseg.data.tools.pack import write_pack
from edgeseg.data.tools.pack_settings import PackSettings
from tests.helpers.small_disk import small_disk
from tests.helpers.training import ArraySample, write_camvid

LARGE = "scenes:train=400,val=8,test=0"  # at their own size, 512x256, 0.5 MB each


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    return write_camvid(tmp_path / "camvid", train=5, val=2)


def pack(data: object, out: Path, *options: object) -> Result:
    command = ["data", "pack", str(data), "--out", str(out), *map(str, options)]
    return CliRunner().invoke(cli, command, standalone_mode=False)


def start(data: object, out: Path, *options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edgeseg", "data", "pack", str(data), "--out", str(out), *map(str, options)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def equal(one: Sample, other: Sample) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one.read(), other.read(), strict=True))


@pytest.mark.parametrize("encoding", ["raw", "png", "jpeg"])
def test_a_pack_has_the_samples_of_its_source_in_order(camvid: Path, tmp_path: Path, encoding: str) -> None:
    out = tmp_path / "new" / "pack"
    done = pack(f"camvid:{camvid}", out, "--encoding", encoding, "--quality", 90)
    assert done.exception is None
    assert "7 samples" in done.output
    shards = ["train-00000-of-00001.tfrecord", "val-00000-of-00001.tfrecord"]
    assert sorted(os.listdir(out)) == sorted(["dataset.json", "index.json", *shards])
    source, packed = open_dataset(f"camvid:{camvid}"), open_dataset(f"tfrecord:{out}")
    assert (packed.classes, packed.splits) == (source.classes, source.splits)
    for split in source.splits:
        for own, other in zip(source.split(split), packed.split(split), strict=True):
            assert Path(own.name).stem == Path(other.name).name
            assert np.array_equal(own.read_class_map(), other.read_class_map())
            difference = np.abs(own.read_image().astype(int) - other.read_image())
            assert difference.max() == 0 if encoding != "jpeg" else 0 < difference.mean() < 8
    spec = json.loads((out / "dataset.json").read_text())
    assert spec["classes"][3] == {"id": 3, "name": "Road", "colour": [128, 64, 128]}
    assert (spec["encoding"], spec["source"], spec["splits"]["val"]["samples"]) == (encoding, f"camvid:{camvid}", 2)
    assert spec["splits"]["val"]["shards"][0]["bytes"] == (out / shards[1]).stat().st_size


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_pictures_are_brought_to_size_as_training_brings_them(camvid: Path, tmp_path: Path, fit: str) -> None:
    done = pack(f"camvid:{camvid}", tmp_path / "pack", "--size", "40x20", "--fit", fit, "--crop", "8,9,48,36")
    assert done.exception is None
    placement = place(Size(72, 96), Size(20, 40), fit, Crop(8 / 96, 9 / 72, 48 / 96, 36 / 72))
    source, packed = (open_dataset(each).split("val") for each in (f"camvid:{camvid}", f"tfrecord:{tmp_path / 'pack'}"))
    for own, other in zip(source, packed, strict=True):
        image, class_map = own.read()
        assert np.array_equal(other.read_image(), fit_image(image, placement, (104, 117, 124)))
        assert np.array_equal(other.read_class_map(), fit_class_map(class_map, placement, 255))


def test_a_crop_alone_keeps_its_pixels(camvid: Path, tmp_path: Path) -> None:
    assert pack(f"camvid:{camvid}", tmp_path / "pack", "--crop", "8,9,48,36", "--split", "val").exception is None
    packed = open_dataset(f"tfrecord:{tmp_path / 'pack'}")
    assert packed.splits == ("val",)
    whole = open_dataset(f"camvid:{camvid}").split("val")[1].read_image()
    assert np.array_equal(packed.split("val")[1].read_image(), whole[9:45, 8:56])


@pytest.mark.usefixtures("tensorflow")
def test_a_crop_is_not_cut_again(camvid: Path, tmp_path: Path) -> None:
    assert pack(f"camvid:{camvid}", tmp_path / "pack", "--crop", "8,9,48,36").exception is None
    data = f"tfrecord:{tmp_path / 'pack'}?classes=Road;rest=*"
    commands = (
        ["data", "pack", data, "--out", tmp_path / "again", "--crop", "0,0,20,20"],
        ["data", "preview", data, "--out", tmp_path / "p.png", "--crop", "0,0,20,20"],
        ["train", "--data", data, "--out", tmp_path / "run", "--crop", "0,0,20,20", "--size", "64x32"],
    )
    for command in commands:
        failed = CliRunner().invoke(cli, [str(part) for part in command], standalone_mode=False).exception
        assert isinstance(failed, UsageError), failed
        assert "packed with the crop [0.0833, 0.125, 0.5, 0.5]" in str(failed)
    assert pack(data, tmp_path / "again").exception is None
    assert open_dataset(f"tfrecord:{tmp_path / 'again'}").crop == Crop(8 / 96, 9 / 72, 48 / 96, 36 / 72)


def test_shards_have_their_size_and_merged_classes_are_packed(tmp_path: Path) -> None:
    data = "scenes:train=7,val=1,test=0,size=512x256?classes=road;rest=*"
    assert pack(data, tmp_path / "pack", "--shard-mb", 1, "--split", "train").exception is None
    shards = sorted(tmp_path.glob("pack/*.tfrecord"))
    assert [path.name for path in shards] == [f"train-{number:05}-of-00007.tfrecord" for number in range(7)]
    packed = open_dataset(f"tfrecord:{tmp_path / 'pack'}")
    assert packed.classes.names == ("road", "rest")
    assert equal(packed.split("train")[6], open_dataset(data).split("train")[6])
    assert pack(data, tmp_path / "two", "--shard-mb", 2, "--split", "train").exception is None
    assert len(sorted(tmp_path.glob("two/*.tfrecord"))) == 3
    assert all(path.stat().st_size <= 2e6 for path in tmp_path.glob("two/*.tfrecord"))


class Arrays(Dataset):
    """What a test gives it; void is 7."""

    classes = ClassMap(("a", "b", "c"), ((1, 1, 1), (2, 2, 2), (3, 3, 3)), ignore_index=7)
    splits = ("train",)

    def __init__(self, seeds: list[tuple[int, int, int]]) -> None:
        self.listed = []
        for number, (height, width, seed) in enumerate(seeds):
            random = np.random.default_rng(seed)
            ids = random.choice(np.array([0, 1, 2, 7], np.uint8), (height, width))
            picture = random.integers(0, 256, (height, width, 3), np.uint8)
            self.listed.append(ArraySample(picture, ids, self.classes, f"städte/{number} a.b"))

    def _samples(self, split: str) -> list[ArraySample]:
        return self.listed


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(0, 99)), min_size=1, max_size=4),
    st.sampled_from(["raw", "png"]),
)
@settings(max_examples=15, deadline=None)
def test_raw_and_png_packs_give_back_the_very_arrays(
    tmp_path_factory: pytest.TempPathFactory, seeds: list[tuple[int, int, int]], encoding: str
) -> None:
    source, out = Arrays(seeds), tmp_path_factory.mktemp("pack")
    write_pack(source, out / "pack", PackSettings(encoding=encoding), "arrays")
    packed = open_dataset(f"tfrecord:{out / 'pack'}")
    assert packed.classes == source.classes
    assert all(equal(a, b) for a, b in zip(source.split("train"), packed.split("train"), strict=True))


def test_a_place_that_is_taken_is_refused_and_only_a_pack_is_replaced(camvid: Path, tmp_path: Path) -> None:
    out = tmp_path / "pack"
    data = f"camvid:{camvid}"
    assert pack(data, out).exception is None
    before = {path: path.read_bytes() for path in out.iterdir()}
    for place_, options, expected in (
        (out, (), "holds a pack; .*--overwrite"),
        (camvid, ("--overwrite",), "something else than a pack"),
        (camvid / "train" / "000.png", ("--overwrite",), "is a file"),
    ):
        with pytest.raises(UsageError, match=expected):
            raise pack(data, place_, *options).exception or AssertionError
    (out / "notes.txt").write_text("mine")
    assert "notes.txt" in str(pack(data, out, "--overwrite").exception)
    (out / "notes.txt").unlink()
    assert {path: path.read_bytes() for path in out.iterdir()} == before
    assert pack(f"tfrecord:{out}", out, "--overwrite", "--size", "32x24", "--split", "val").exception is None
    assert sorted(os.listdir(out)) == ["dataset.json", "index.json", "val-00000-of-00001.tfrecord"]
    assert open_dataset(f"tfrecord:{out}").split("val")[0].read_image().shape == (24, 32, 3)
    assert sorted(os.listdir(tmp_path)) == ["camvid", "pack"]


def test_wrong_settings_are_said(camvid: Path, tmp_path: Path) -> None:
    for options, expected in (
        (("--fit", "pad"), "fit pad without a size"),
        (("--fit", "squeeze", "--size", "8x8"), "squeeze"),
        (("--split", "tset"), "did you mean test|this data set has"),
        (("--crop", "0,0,999,9"), "outside the picture"),
    ):
        with pytest.raises(EdgesegError, match=expected):
            raise pack(f"camvid:{camvid}", tmp_path / "pack", *options).exception or AssertionError
    assert os.listdir(tmp_path) == ["camvid"]


def test_a_sample_that_cannot_be_read_is_named_and_nothing_is_left(camvid: Path, tmp_path: Path) -> None:
    (camvid / "val" / "001.png").write_bytes(b"")
    error = pack(f"camvid:{camvid}", tmp_path / "pack").exception
    assert isinstance(error, DataError)
    assert "val/001.png" in str(error)
    assert os.listdir(tmp_path) == ["camvid"]


class Stubborn(Arrays):
    """Raises what a user's own class may raise."""

    def _samples(self, split: str) -> list[ArraySample]:
        class Lost(ArraySample):
            def _image(self) -> np.ndarray:
                raise OSError(5, "Input/output error", "/mnt/usb/a.png")

        first = self.listed[0]
        return [Lost(first.image, first.class_map, self.classes, "the lost one")]


def test_a_fault_of_the_source_is_not_taken_for_one_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the lost one: cannot be read"):
        write_pack(Stubborn([(2, 2, 1)]), tmp_path / "pack", PackSettings(), "x")
    assert os.listdir(tmp_path) == []


def test_a_full_disk_is_one_line_and_keeps_the_old_pack(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, 20):
        assert pack("scenes:train=4,val=4,test=0", disk / "pack", "--split", "train").exception is None
        before = {path: path.read_bytes() for path in (disk / "pack").iterdir()}
        process = start(LARGE, disk / "pack", "--shard-mb", 2, "--overwrite", "--split", "train")
        _, said = process.communicate(timeout=60)
        assert process.returncode == 2
        assert len(said.splitlines()) == 1
        assert f"{disk / 'pack'}: cannot be written (No space left on device)" in said
        assert os.listdir(disk) == ["pack"]
        assert {path: path.read_bytes() for path in (disk / "pack").iterdir()} == before


def test_a_file_size_limit_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (3000000, 3000000))\n"
        "from edgeseg.commands.main import main; main()"
    )
    command = [sys.executable, "-c", program, "data", "pack", LARGE, "--split", "train", "--out", tmp_path / "pack"]
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "cannot be written (File too large)" in done.stderr
    assert os.listdir(tmp_path) == []


def wait_for_shards(folder: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while len(list(folder.glob("*.partial"))) < 3:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    process = start(LARGE, tmp_path / "pack", "--shard-mb", 1, "--split", "train")
    wait_for_shards(tmp_path / ".pack.partial", process)
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said.strip()) == (130, "edgeseg: stopped")
    assert os.listdir(tmp_path) == []


def test_a_killed_run_leaves_nothing_that_looks_finished_and_the_next_one_cleans_up(
    camvid: Path, tmp_path: Path
) -> None:
    out = tmp_path / "pack"
    process = start(LARGE, out, "--shard-mb", 1, "--split", "train")
    wait_for_shards(tmp_path / ".pack.partial", process)
    process.kill()
    process.communicate()
    assert not out.exists()
    for left in (out, tmp_path / ".pack.partial"):
        with pytest.raises(DataError):
            open_dataset(f"tfrecord:{left}")
    assert pack(f"camvid:{camvid}", out).exception is None
    assert sorted(os.listdir(tmp_path)) == ["camvid", "pack"]
    assert len(open_dataset(f"tfrecord:{out}").split("train")) == 5


def test_a_picture_too_large_for_jpeg_is_said(tmp_path: Path) -> None:
    wide = np.zeros((1, 70_000, 3), np.uint8)
    source = Arrays([(1, 1, 1)])
    source.listed = [ArraySample(wide, wide[..., 0], source.classes, "wide")]
    assert cv2.imencode(".png", wide)[0]
    with pytest.raises(DataError, match="wide: 70000x1 pixels cannot be written as JPEG"):
        write_pack(source, tmp_path / "pack", PackSettings(encoding="jpeg"), "x")
