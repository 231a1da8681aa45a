"""`edgeseg.data.tools.write_masks` and `edgeseg data formats`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from edgeseg.commands.main import cli
from edgeseg.core.errors import DataError, EdgesegError, UsageError
from edgeseg.core.labels import ClassMap
from edgeseg.data.argument import open_dataset
from edgeseg.data.base import Dataset
from edgeseg.data.registry import FORMATS
from edgeseg.data.tools.write_masks import file_names, write_masks
from tests.helpers.training import ArraySample, write_camvid


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    return write_camvid(tmp_path / "camvid", train=3, val=2)


def masks(data: Path, out: Path, *options: str) -> Result:
    command = ["data", "masks", f"camvid:{data}", "--out", str(out), *options]
    return CliRunner().invoke(cli, command, standalone_mode=False)


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_masks_are_ids_with_void_as_255_and_names_and_colours_stand_beside_them(camvid: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "masks"
    assert masks(camvid, out, "--colour").exception is None
    expected = [f"{split}/{n:03}.png" for split, count in (("train", 3), ("val", 2)) for n in range(count)]
    assert tree(out) == sorted(["classes.json", *expected, *(f"colour/{name}" for name in expected)])
    dataset = open_dataset(f"camvid:{camvid}")
    for split in dataset.splits:
        for index, sample in enumerate(dataset.split(split)):
            written = cv2.imread(str(out / split / f"{index:03}.png"), cv2.IMREAD_UNCHANGED)
            assert written is not None
            assert written.dtype == np.uint8
            assert np.array_equal(written, sample.read_class_map())
            coloured = cv2.imread(str(out / "colour" / split / f"{index:03}.png"))
            assert coloured is not None
            assert coloured[written == 3][0].tolist() == [128, 64, 128]
            assert not coloured[written == 255].any()
    document = json.loads((out / "classes.json").read_text())
    assert document["ignore_index"] == 255
    assert document["classes"][3] == {"id": 3, "name": "Road", "colour": [128, 64, 128]}


def test_a_folder_that_cannot_be_looked_into_is_one_line(camvid: Path, tmp_path: Path) -> None:
    result = masks(camvid, tmp_path / ("x" * 300))
    assert isinstance(result.exception, UsageError)
    assert "File name too long" in str(result.exception)


class Elsewhere(Dataset):
    """Its split has the name of a folder that is none of the data set's."""

    def __init__(self) -> None:
        self.classes = ClassMap(("a", "b"), ((0, 0, 0), (1, 1, 1)))
        self.splits = ("../../elsewhere",)

    def _samples(self, split: str) -> list[ArraySample]:
        return [ArraySample(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8), name="s")]


def test_no_mask_is_written_outside_the_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected a name of letters"):
        write_masks(Elsewhere(), tmp_path / "in" / "masks")
    assert not list(tmp_path.rglob("*.png"))


class Odd(Dataset):
    """Void is 2 and not 255; the names of two samples differ in their folder alone."""

    classes = ClassMap(("a", "b"), ((1, 1, 1), (2, 2, 2)), ignore_index=2)
    splits = ("train",)

    def __init__(self) -> None:
        pass

    def _samples(self, split: str) -> list[ArraySample]:
        ids = np.array([[0, 1, 2]], np.uint8)
        return [ArraySample(np.zeros((1, 3, 3), np.uint8), ids, self.classes, f"{city}/x.png") for city in "pq"]


def test_another_ignore_index_is_written_as_255_and_folders_are_kept_where_names_repeat(tmp_path: Path) -> None:
    assert write_masks(Odd(), tmp_path / "out") == 2
    assert tree(tmp_path / "out") == ["classes.json", "train/p/x.png", "train/q/x.png"]
    written = cv2.imread(str(tmp_path / "out" / "train" / "q" / "x.png"), cv2.IMREAD_UNCHANGED)
    assert written is not None
    assert written.tolist() == [[0, 1, 255]]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["/data/trainannot/0.png", "/data/trainannot/1.png"], ["0.png", "1.png"]),
        (["scenes:train/7", "scenes:train/8"], ["7.png", "8.png"]),
        (["/d/a/x.png", "/d/b/x.png"], ["a/x.png", "b/x.png"]),
        (["/d/x.png", "/d/x.jpg"], ["x.png.png", "x.jpg.png"]),
        (["../../etc/x.png", "y.xml"], ["x.png", "y.png"]),
        (["../../etc/x.png", "x.png"], None),
        (["take.1", "take.2"], ["take.1.png", "take.2.png"]),
    ],
)
def test_names_of_masks_are_short_unique_and_stay_inside(names: list[str], expected: list[str] | None) -> None:
    found = file_names(names)
    assert len(set(found)) == len(names)
    assert all(".." not in Path(name).parts and not Path(name).is_absolute() for name in found)
    assert expected is None or found == expected


def test_a_folder_with_something_in_it_is_never_touched(camvid: Path, tmp_path: Path) -> None:
    out = tmp_path / "masks"
    out.mkdir()
    assert masks(camvid, out).exception is None  # an empty one is fine
    before = {path: path.read_bytes() for path in out.rglob("*.png")}
    assert len(before) == 5
    for place in (out, camvid / "train" / "000.png"):
        error = masks(camvid, place).exception
        assert isinstance(error, EdgesegError)
        assert error.exit_code == 2
    assert {path: path.read_bytes() for path in out.rglob("*.png")} == before


def test_a_mask_that_cannot_be_read_leaves_nothing_that_looks_finished(camvid: Path, tmp_path: Path) -> None:
    (camvid / "valannot" / "001.png").write_bytes(b"")
    out = tmp_path / "out"
    error = masks(camvid, out).exception
    assert isinstance(error, DataError)
    assert "valannot/001.png" in str(error)
    assert os.listdir(tmp_path) == ["camvid"]


def test_a_full_disk_is_one_line_and_leaves_nothing(camvid: Path, tmp_path: Path) -> None:
    """A limit on file size gives the same failure in the middle of writing as a full disk."""
    noise = np.random.default_rng(1).integers(0, 11, (72, 96), dtype=np.uint8)
    cv2.imwrite(str(camvid / "valannot" / "001.png"), noise)  # the last one: too large a PNG
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000));"
        "from edgeseg.commands.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "data", "masks", f"camvid:{camvid}", "--out", str(tmp_path / "out")],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "cannot be written (File too large)" in done.stderr
    assert os.listdir(tmp_path) == ["camvid"]


def test_a_killed_run_leaves_no_folder_of_that_name_and_the_next_run_succeeds(camvid: Path, tmp_path: Path) -> None:
    program = (
        "import os, signal\nfrom pathlib import Path\nfrom edgeseg.data.argument import open_dataset\n"
        "from edgeseg.data.tools.write_masks import write_masks\n"
        f"write_masks(open_dataset('camvid:{camvid}'), Path({str(tmp_path / 'out')!r}),"
        " on_sample=lambda: os.kill(os.getpid(), signal.SIGKILL))"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == -9
    assert not (tmp_path / "out").exists()
    assert masks(camvid, tmp_path / "out").exception is None
    assert sorted(os.listdir(tmp_path)) == ["camvid", "out"]


def test_formats_are_one_line_each() -> None:
    lines = CliRunner().invoke(cli, ["data", "formats"], standalone_mode=False).output.splitlines()
    assert [line.partition(":")[0] for line in lines] == list(FORMATS)
    assert all(len(line.split()) > 3 for line in lines)
