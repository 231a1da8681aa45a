"""`edgeseg data check`: what it counts, what it finds wrong, what it leaves behind."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from edgeseg.commands.main import cli
from edgeseg.core.errors import DataError
from edgeseg.core.labels import ClassMap
from edgeseg.data.argument import open_dataset
from edgeseg.data.base import Dataset, Image, Mask, Sample
from edgeseg.data.feeding.label_counts import shared_sequences
from edgeseg.data.parallel import map_in_order
from edgeseg.data.tools.check import check_dataset
from edgeseg.data.tools.check_report import PICTURES, Report
from edgeseg.figures.data import CHECK_OPACITY, draw_check
from tests.helpers.data import write_mask, write_picture
from tests.helpers.places import SHARED
from tests.helpers.training import TWO_CLASSES, ArraySample, write_camvid

REAL_CAMVID = SHARED / "camvid"


class Listed(Dataset):
    """A data set from lists."""

    def __init__(self, splits: Mapping[str, Sequence[Sample]], classes: ClassMap = TWO_CLASSES) -> None:
        self.classes = classes
        self.splits = tuple(splits)
        self.listed = splits

    def _samples(self, split: str) -> Sequence[Sample]:
        return self.listed[split]


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    return write_camvid(tmp_path / "camvid", train=5, val=3)


def check(data: Path, out: Path) -> tuple[Result, dict[str, Any]]:
    result = CliRunner().invoke(cli, ["data", "check", f"camvid:{data}", "--out", str(out)], standalone_mode=False)
    assert result.exception is None, result.exception
    return result, json.loads((out / "check.json").read_text())


def recode(path: Path, target: Path) -> None:
    """Write the same pixels as other bytes."""
    pixels = cv2.imread(str(path))
    assert pixels is not None
    cv2.imwrite(str(target), pixels, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    assert path.read_bytes() != target.read_bytes()


def test_a_good_data_set_is_counted_pixel_by_pixel(camvid: Path, tmp_path: Path) -> None:
    result, document = check(camvid, tmp_path)
    assert result.return_value == 0
    assert result.output.strip().splitlines()[-1].startswith("good: train 5, val 3: 0 errors")
    assert document["good"] is True
    assert document["errors"] == []
    ids = np.stack(
        [np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)) for path in (camvid / "trainannot").iterdir()]
    )
    train = document["splits"]["train"]
    assert (train["samples"], train["readable"], train["sizes"]) == (5, 5, ["96x72", "96x72"])
    assert train["ignored_share"] == pytest.approx((ids == 11).mean())
    for index, name in enumerate(document["classes"]):
        found = train["classes"][name]
        assert found["pixels"] == (ids == index).sum()
        assert found["images"] == (ids == index).any(axis=(1, 2)).sum()
        assert found["share"] == pytest.approx((ids == index).sum() / (ids != 11).sum())
    assert "class Car never occurs; label it or leave it out" in document["warnings"]
    assert cv2.imread(str(tmp_path / "check.png")) is not None


def test_everything_that_is_wrong_is_listed_and_the_rest_is_counted(camvid: Path, tmp_path: Path) -> None:
    train, annotations = camvid / "train", camvid / "trainannot"
    half = (train / "000.png").read_bytes()
    (train / "000.png").write_bytes(half[: len(half) // 2])
    (annotations / "000.png").write_bytes(b"")  # both of a pair are listed
    (train / "001.png").write_bytes(b"")
    cv2.imwrite(str(annotations / "002.png"), np.zeros((70, 96), np.uint8))
    ids = np.zeros((72, 96), np.uint8)
    ids[5, 7:9] = 77
    cv2.imwrite(str(annotations / "003.png"), ids)
    recode(train / "004.png", camvid / "val" / "copy.png")
    shutil.copy(annotations / "004.png", camvid / "valannot" / "copy.png")
    recode(train / "003.png", camvid / "val" / "shown.png")  # a broken mask does not hide that its picture is in two
    shutil.copy(annotations / "004.png", camvid / "valannot" / "shown.png")

    result, document = check(camvid, tmp_path)
    assert result.return_value == 3
    assert result.output.strip().splitlines()[-1].startswith("NOT GOOD: train 5, val 5: 7 errors")
    expected = (
        r"train/000\.png: damaged \(cut short in chunk IDAT",
        r"trainannot/000\.png: damaged \(empty\)",
        r"train/001\.png: damaged \(empty\)",
        r"trainannot/002\.png: the image is 96x72, its mask 96x70",
        r"trainannot/003\.png: class id 77 .*x 7, y 5",
        r"valannot/copy\.png: the picture is in val and, pixel for pixel, in train \(.*trainannot/004\.png\)",
        r"valannot/shown\.png: the picture is in val and, pixel for pixel, in train \(.*trainannot/003\.png\)",
    )
    for line, pattern in zip(document["errors"], expected, strict=True):
        assert re.search(pattern, line), line
        assert line in result.output.splitlines()
    assert document["good"] is False
    assert (document["splits"]["train"]["readable"], document["splits"]["val"]["readable"]) == (1, 5)


def missing_mask(camvid: Path) -> None:
    (camvid / "trainannot" / "003.png").unlink()


def no_picture(camvid: Path) -> None:
    for file in (*(camvid / "train").iterdir(), *(camvid / "trainannot").iterdir()):
        file.unlink()


def no_mask_folder(camvid: Path) -> None:
    shutil.rmtree(camvid / "trainannot")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (missing_mask, r"train/003\.png: no mask"),
        (no_picture, "train.*is empty"),
        (no_mask_folder, r"trainannot: no such folder"),
    ],
)
def test_a_split_that_cannot_be_listed_is_an_error_and_the_others_are_checked(
    camvid: Path, tmp_path: Path, damage: Callable[[Path], None], said: str
) -> None:
    damage(camvid)
    shutil.copy(camvid / "val" / "000.png", camvid / "val" / "again.png")
    (camvid / "valannot" / "again.png").write_bytes(b"half")
    result, document = check(camvid, tmp_path)
    assert result.return_value == 3
    assert len(document["errors"]) >= 2
    assert any(re.search(said, line) for line in document["errors"])
    assert any("valannot/again.png: no readable image" in line for line in document["errors"])
    assert document["splits"]["val"]["readable"] == 3


def test_nothing_readable_at_all_still_ends_in_a_verdict_and_a_picture(camvid: Path, tmp_path: Path) -> None:
    for mask in camvid.glob("*annot/*.png"):
        mask.write_bytes(b"")
    result, document = check(camvid, tmp_path)
    assert result.return_value == 3
    assert len(document["errors"]) == 8
    assert cv2.imread(str(tmp_path / "check.png")) is not None


@pytest.mark.parametrize("data", ["folder", "camvid", "tfrecord", "labelme"])
def test_a_folder_that_holds_no_picture_is_not_good(tmp_path: Path, data: str) -> None:
    for name in ("images", "masks"):
        (tmp_path / "data" / name).mkdir(parents=True)
    (tmp_path / "data" / "classes.txt").write_text("road\nsky\n")
    command = ["data", "check", f"{data}:{tmp_path / 'data'}", "--out", str(tmp_path)]
    result = CliRunner().invoke(cli, command, standalone_mode=False)
    assert isinstance(result.exception, DataError), result.output


def test_names_that_are_no_text_of_any_encoding(tmp_path: Path) -> None:
    """A memory card of an old camera has Latin-1 names."""
    data = os.fsencode(write_camvid(tmp_path / "camvid", train=2, val=1))
    for folder in (b"train", b"trainannot"):
        os.rename(data + b"/" + folder + b"/000.png", data + b"/" + folder + b"/stra\xdfe.png")
    result, document = check(tmp_path / "camvid", tmp_path)
    assert (result.exception, result.return_value) == (None, 0), result.output
    assert document["errors"] == []
    packed = ["data", "pack", f"camvid:{tmp_path / 'camvid'}", "--out", str(tmp_path / "pack")]
    assert CliRunner().invoke(cli, packed, standalone_mode=False).exception is None
    for sample in open_dataset(f"tfrecord:{tmp_path / 'pack'}").split("train"):
        assert sample.read()[0].shape[2] == 3


@pytest.mark.parametrize("command", ["check", "masks", "pack"])
def test_a_home_of_nobody_is_one_line(tmp_path: Path, command: str) -> None:
    options = ["data", command, "camvid:~nobody-of-this-name/x", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(cli, options, standalone_mode=False)
    assert isinstance(result.exception, DataError), result.output
    assert "~nobody-of-this-name/x" in str(result.exception)


def test_a_data_set_class_of_the_users_own_may_raise_what_it_likes() -> None:
    class Wild(ArraySample):
        def _class_map(self) -> Mask:
            raise ZeroDivisionError("in\nplugin")

    good, wild = (
        kind(*picture(seed), name=name) for seed, (kind, name) in enumerate(((ArraySample, "a"), (Wild, "b")))
    )
    report = check_dataset(Listed({"train": [wild, good]}))
    assert len(report.errors) == 1
    assert report.errors[0].startswith("b: cannot be read (ZeroDivisionError: in plugin)")
    assert report.total.readable == 1


def picture(seed: int, side: int = 8) -> tuple[Image, Mask]:
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (side, side, 3), dtype=np.uint8), random.integers(0, 2, (side, side), dtype=np.uint8)


def test_warnings_are_about_what_may_be_meant_so() -> None:
    light = np.ones((8, 8), np.uint8)
    void = np.full((8, 8), 255, np.uint8)
    report = check_dataset(
        Listed(
            {
                "train": [
                    ArraySample(picture(1)[0], light, name="a"),
                    ArraySample(picture(1)[0], light, name="b"),
                    ArraySample(picture(2)[0], void, name="c"),
                ],
                "val": [ArraySample(picture(3)[0], light * 0, name="0016E5_1")],
            }
        )
    )
    assert report.errors == []
    assert report.warnings == [
        "train: 1 picture there more than once, as a and b",
        "class dark does not occur in train, but elsewhere",
        "class light does not occur in val, but elsewhere",
        "train: 1 picture without a single labelled pixel",
    ]


def test_masks_of_0_and_255_have_one_class_and_that_is_said(tmp_path: Path) -> None:
    for stem in ("a1", "b1"):
        write_picture(tmp_path / "images" / f"{stem}.png")
        write_mask(tmp_path / "masks" / f"{stem}.png", np.repeat(np.array([0, 255], np.uint8), 300).reshape(20, 30))
    (tmp_path / "classes.txt").write_text("background\nroad\n")
    warnings = check_dataset(open_dataset(f"folder:{tmp_path}")).warnings
    expected = "1 of 2 classes occurs, beside ignored pixels; 255 is never a class: .* say values=255:road"
    assert any(re.fullmatch(expected, line) for line in warnings)


def test_equal_bytes_of_another_shape_are_another_picture() -> None:
    flat, tall = np.zeros((4, 8, 3), np.uint8), np.zeros((8, 4, 3), np.uint8)
    samples = {
        "train": [ArraySample(flat, flat[:, :, 0])],
        "val": [ArraySample(tall, tall[:, :, 0])],
    }
    assert check_dataset(Listed(samples)).errors == []


@pytest.mark.parametrize(
    ("name", "sequence"),
    [
        ("camvid/{}/0016E5_00390.png", "0016E5"),
        ("0006R0_f00930.png", "0006R0"),
        ("gtFine/{}/frankfurt/frankfurt_000000_000294_gtFine_labelIds.png", "frankfurt_000000"),
        ("pack/{}-00000-of-00001.tfrecord@17/0016E5_00390", "0016E5"),
        ("img_0001.png", None),
        ("um_000000.png", None),
        ("000.png", None),
        ("scenes:{}/21000000", None),
    ],
)
def test_a_drive_that_two_splits_share_is_named_if_its_name_tells_drives_apart(name: str, sequence: str | None) -> None:
    found = list(shared_sequences((split, name.format(split)) for split in ("train", "val")))
    assert [line.partition(" is in ")[0] for line in found] == ([f"sequence {sequence}"] if sequence else [])


def test_sequences_in_two_splits_are_a_warning() -> None:
    names = {"train": ("0001TP_1", "0001TP_2", "0016E5_1"), "val": ("0016E5_2", "0016E5_3")}
    seeds = iter(range(10))
    splits = {split: [ArraySample(*picture(next(seeds)), name=name) for name in names[split]] for split in names}
    report = check_dataset(Listed(splits))
    assert report.errors == []
    assert [line.partition(":")[0] for line in report.warnings] == [
        "sequence 0016E5 is in train (1 picture) and val (2 pictures)"
    ]


def showing(areas: dict[int, int], seed: int) -> ArraySample:
    """Return a sample of 1,000 pixels whose classes have these many of them; the rest is class 0."""
    ids = np.zeros(1000, np.uint8)
    ids[: sum(areas.values())] = np.repeat(list(areas), list(areas.values()))
    return ArraySample(
        np.full((25, 40, 3), seed, np.uint8), ids.reshape(25, 40), many_classes(60), name=f"sample {seed}"
    )


def many_classes(count: int) -> ClassMap:
    return ClassMap(
        tuple(f"class {index}" for index in range(count)), tuple((index * 4, 200, 0) for index in range(count))
    )


def test_the_pictures_show_the_rarest_classes_first_and_every_class_that_occurs() -> None:
    samples = [showing({index: 5 * index}, index) for index in range(1, 60) if index != 33]
    samples += [showing({7: 1}, 201), showing({1: 1, 58: 2}, 202)]
    report = check_dataset(Listed({"train": samples}, many_classes(60)))
    chosen = report.showcase()
    assert [index for index, _ in chosen[:3]] == [1, 2, 3]
    assert chosen[0][1].sample.name == "sample 1"  # not sample 202, where the class is one pixel
    seen = {int(index) for _, candidate in chosen for index in np.flatnonzero(candidate.shares >= 0.002)}
    assert seen == set(range(60)) - {33}
    assert len({candidate.sample.name for _, candidate in chosen}) == len(chosen)


def test_classes_that_are_seen_in_others_pictures_have_none_of_their_own_beyond_a_dozen() -> None:
    samples = [showing({index: 50 if index == seed else 20 for index in range(30)}, seed) for seed in range(30)]
    report = check_dataset(Listed({"train": samples}, many_classes(60)))
    assert len(report.showcase()) == PICTURES


def test_the_picture_blends_labels_in_their_colours_with_the_image(tmp_path: Path) -> None:
    image = np.full((100, 200, 3), (40, 120, 200), np.uint8)
    ids = np.zeros((100, 200), np.uint8)
    ids[20:80, 50:150] = 1
    classes = ClassMap(("rest", "thing"), ((0, 0, 200), (250, 150, 50)))
    report = check_dataset(Listed({"train": [ArraySample(image, ids, classes)]}, classes))
    draw_check(report, tmp_path / "check.png")
    drawn = cv2.imread(str(tmp_path / "check.png"))
    assert drawn is not None
    edges, rows = [], []
    for picture_bgr, colour_bgr in (((40, 120, 200), (50, 150, 250)), ((40, 120, 200), (200, 0, 0))):
        blend = np.array(picture_bgr) * (1 - CHECK_OPACITY) + np.array(colour_bgr) * CHECK_OPACITY
        near = np.asarray((np.abs(drawn.astype(int) - blend) <= 2).all(axis=2))
        assert near.sum() > 2000, blend
        edges.append(int(np.flatnonzero(near.any(axis=0))[0]))
        rows.append(int(np.median(np.flatnonzero(near.any(axis=1)))))
    outline = drawn[rows[0], edges[0] - 12 : edges[0]]  # left of the rarest class, within the other
    assert edges[0] > edges[1] + 20
    assert (outline >= 250).all(axis=1).any()


def test_the_place_is_tried_before_the_work(camvid: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    command = ["data", "check", f"camvid:{camvid}", "--out", str(tmp_path / "file")]
    result = CliRunner().invoke(cli, command, standalone_mode=False)
    assert "cannot be written" in str(result.exception)
    assert "sample" not in result.output


def test_a_full_disk_leaves_the_earlier_result_whole(camvid: Path, tmp_path: Path) -> None:
    """A limit on file size gives the same failure in the middle of writing as a full disk."""
    out = tmp_path / "out"
    check(camvid, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert set(before) == {"check.json", "check.png"}
    (camvid / "valannot" / "000.png").write_bytes(b"")
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100));"
        "from edgeseg.commands.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "data", "check", f"camvid:{camvid}", "--out", str(out)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "cannot be written" in done.stderr
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_user_sees_one_line_an_error_and_waits_for_no_tensorflow(camvid: Path, tmp_path: Path) -> None:
    half = (camvid / "train" / "000.png").read_bytes()
    (camvid / "train" / "000.png").write_bytes(half[: len(half) // 2])
    program = (
        "import sys\nfrom edgeseg.commands.main import main\n"
        "try:\n    main()\nfinally:\n    assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "data", "check", f"camvid:{camvid}", "--out", str(tmp_path)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 3
    assert done.stderr == ""  # libpng writes about half a file there, past Python
    assert sum("damaged (cut short" in line for line in done.stdout.splitlines()) == 1


class Drawn(ArraySample):
    """A sample that is made when it is asked for, as a file is read, and notes how many pictures are alive."""

    alive: ClassVar[set[int]] = set()
    most_alive: ClassVar[int] = 0

    def __init__(self, seed: int) -> None:
        self.seed = seed
        super().__init__(np.empty(0, np.uint8), np.empty(0, np.uint8), name=f"sample {seed}")

    def read(self) -> tuple[Image, Mask]:
        image, class_map = picture(self.seed, 50)
        Drawn.alive.add(self.seed)
        weakref.finalize(image, Drawn.alive.discard, self.seed)
        Drawn.most_alive = max(Drawn.most_alive, len(Drawn.alive))
        return image, class_map


def test_no_more_pictures_are_in_memory_than_threads_at_work() -> None:
    report = check_dataset(Listed({"train": [Drawn(seed) for seed in range(300)]}))
    assert report.total.readable == 300
    assert 1 <= Drawn.most_alive <= len(os.sched_getaffinity(0)) + 1
    assert not Drawn.alive


def test_work_is_done_in_order_little_ahead_and_given_up_on_an_error() -> None:
    started: list[int] = []

    def work(item: int) -> int:
        started.append(item)
        if item == 500:
            raise ValueError("in the work")
        return item * item

    results = map_in_order(work, range(1000))
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    assert len(started) < 400
    with pytest.raises(ValueError, match="in the work"):
        list(results)
    assert len(started) < 1000


def test_the_real_camvid_if_it_is_there(tmp_path: Path) -> None:
    if not REAL_CAMVID.is_dir():
        pytest.skip(f"{REAL_CAMVID} is not there")
    report: Report = check_dataset(open_dataset(f"camvid:{REAL_CAMVID}"))
    assert report.errors == []
    assert report.verdict.startswith("good: train 367, val 101")
    assert [line.partition(":")[0] for line in report.warnings] == [
        "sequence 0016E5 is in train (204 pictures) and val (101 pictures)"
    ]
    shares = report.splits["train"].shares(report.classes)
    assert shares[[3, 10]] == pytest.approx([0.3296, 0.0030], abs=1e-4)


def test_every_picture_without_mask_and_every_mask_without_picture_is_listed(camvid: Path, tmp_path: Path) -> None:
    for lost in ("trainannot/001.png", "trainannot/003.png", "val/002.png"):
        (camvid / lost).unlink()
    result, document = check(camvid, tmp_path)
    assert result.return_value == 3
    found = [re.search(r"(\w+/\d+\.png): (no \w+)", line) for line in document["errors"]]
    assert [match and match.groups() for match in found] == [
        ("train/001.png", "no mask"),
        ("train/003.png", "no mask"),
        ("valannot/002.png", "no image"),
    ]
    assert (document["splits"]["train"]["readable"], document["splits"]["val"]["readable"]) == (3, 2)


def test_nothing_is_written_without_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check.json in the current folder may be that of other data."""
    write_camvid(tmp_path / "camvid", train=2, val=1)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "check.json").write_text("of other data")
    result = CliRunner().invoke(cli, ["data", "check", "camvid:camvid"], standalone_mode=False)
    assert result.return_value == 0
    assert "--out DIR writes check.json and check.png" in result.output
    assert (tmp_path / "check.json").read_text() == "of other data"
    assert not (tmp_path / "check.png").exists()
