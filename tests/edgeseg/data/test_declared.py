"""Data sets of one's own: dataset.toml, and Python classes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg.core.errors import DataError, EdgesegError, UsageError
from edgeseg.data.argument import open_dataset
from edgeseg.data.registry import FORMATS
from tests.helpers.data import write_mask, write_picture

IDS = np.arange(600, dtype=np.uint8).reshape(20, 30) % 3 * 7
HEAD = 'name = "roads"\nimages = "frames/*/*.jpg"\nlabels = "masks/{path}_ids.png"\nignore = [14]\n'
CLASSES = """
[[classes]]
name = "Road"
id = 7
colour = [128, 64, 128]
[[classes]]
name = "Rest"
id = 0
colour = [0, 10, 20]
"""


def declare(root: Path, text: str = HEAD + CLASSES) -> Path:
    for drive in ("monday", "tuesday"):
        for stem in ("1", "2"):
            write_picture(root / "frames" / drive / f"{stem}.jpg")
            write_mask(root / "masks" / drive / f"{stem}_ids.png", IDS)
    path = root / "dataset.toml"
    path.write_text(text)
    return path


def test_a_declared_data_set(tmp_path: Path) -> None:
    dataset = open_dataset(str(declare(tmp_path)))
    assert dataset.classes.names == ("Road", "Rest")
    assert {split: len(dataset.split(split)) for split in dataset.splits} == {"train": 2, "val": 2}
    assert np.array_equal(dataset.split("val")[0].read()[1], np.choose(IDS // 7, [1, 0, 255]))


def test_declared_splits_and_merging(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("monday/2\ntuesday/1\n")
    splits = '[splits]\ntrain = "train.txt"\nval = "frames/monday/1.*"\n'
    dataset = open_dataset(f"{declare(tmp_path, HEAD + CLASSES + splits)}?classes=all=*")
    assert dataset.classes.names == ("all",)
    assert [Path(sample.name).name for sample in dataset.split("train")] == ["2_ids.png", "1_ids.png"]
    assert len(dataset.split("val")) == 1


def test_pictures_that_would_share_a_mask_are_an_error(tmp_path: Path) -> None:
    path = declare(tmp_path, (HEAD + CLASSES).replace("{path}", "{name}"))
    with pytest.raises(DataError, match=r"gives monday/1 and tuesday/1 the same mask, .*1_ids\.png; .*\{path\}"):
        open_dataset(str(path))
    write_picture(tmp_path / "frames" / "monday" / "1.png")
    with pytest.raises(DataError, match=r"matches .*1\.jpg and 1\.png; expected one picture of a name"):
        open_dataset(str(declare(tmp_path, (HEAD + CLASSES).replace("*.jpg", "*"))))


def test_a_name_of_two_pictures_in_a_list_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("1\n")
    dataset = open_dataset(str(declare(tmp_path, HEAD + CLASSES + '[splits]\ntrain = "train.txt"\n')))
    with pytest.raises(DataError, match=r"the name '1' is that of several pictures; .*such as tuesday/1"):
        dataset.split("train")


def test_declared_colours(tmp_path: Path) -> None:
    text = HEAD.replace("[14]", "[[1, 2, 3]]\nencoding = 'colours'") + CLASSES
    path = declare(tmp_path, text)
    palette = np.array([(0, 10, 20), (128, 64, 128), (1, 2, 3)], np.uint8)
    for mask in (tmp_path / "masks").rglob("*.png"):
        write_mask(mask, palette[IDS // 7])
    sample = open_dataset(str(path)).split("train")[0]
    assert np.array_equal(sample.read()[1], np.choose(IDS // 7, [1, 0, 255]))


def test_the_declared_size_is_checked(tmp_path: Path) -> None:
    path = declare(tmp_path, 'image_size = "64x20"\n' + HEAD + CLASSES)
    with pytest.raises(DataError, match=r"1\.jpg: the picture is 30x20; expected 64x20"):
        open_dataset(str(path)).split("train")[0].read()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("images =", "imagse =", "did you mean images"),
        ('images = "frames', "images = 'frumes", "line|not TOML"),
        ("frames/*/*.jpg", "frumes/*.jpg", "no picture matches"),
        ("frames/*/*.jpg", "../*.jpg", "within the folder"),
        ("{path}", "{paht}", r"only \{path\}"),
        ("id = 0", "id = 7", "class id 7 is given twice"),
        ("id = 0", "id = 14", "14 is the id of a class too"),
        ("id = 0", "id = -1", r"class 2 \(Rest\): id = -1"),
        ("[0, 10, 20]", "[0, 10]", r"class 2 \(Rest\): colour"),
        ("[[classes]]", "[[things]]", "unknown key 'things'"),
        ("ignore = [14]", "encoding = 'colors'", "did you mean colours"),
        ("ignore = [14]", "choose = {vall = 0.3}", "did you mean val"),
        ("ignore = [14]", "image_size = 'large'", "WIDTHxHEIGHT"),
    ],
)
def test_a_wrong_declaration(tmp_path: Path, old: str, new: str, expected: str) -> None:
    path = declare(tmp_path, (HEAD + CLASSES).replace(old, new))
    with pytest.raises(DataError, match=expected) as caught:
        open_dataset(str(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


VALUES = st.recursive(
    st.booleans() | st.integers(-9, 99999) | st.text("abc*?[]{}/.\0", max_size=6) | st.floats(-9, 9),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["name", "image_size", "images", "labels", "encoding", "ignore", "classes", "splits"]), VALUES)
def test_any_value_is_a_data_set_or_one_line(tmp_path_factory: pytest.TempPathFactory, key: str, value: object) -> None:
    root = tmp_path_factory.getbasetemp() / "any-toml"
    path = root / "dataset.toml"
    if not path.exists():
        declare(root)
    lines = [line for line in HEAD.splitlines() if not line.startswith(f"{key} ")]
    path.write_text("\n".join([f"{key} = {json.dumps(value)}", *lines]) + (CLASSES if key != "classes" else "\n"))
    message = f"{path}: "
    try:
        assert open_dataset(str(path)).splits
    except EdgesegError as error:
        message = str(error)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message


def test_no_declaration_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        open_dataset(str(tmp_path / "dataset.toml"))


OWN = """
import numpy as np
from edgeseg.data import Dataset, Sample
from edgeseg.core.labels import ClassMap

CLASSES = ClassMap(("a",), ((1, 2, 3),))

class One(Sample):
    def _image(self):
        return np.zeros((4, 6, 3), np.uint8)

    def _class_map(self):
        return np.zeros((4, 6), np.uint8)

class Own(Dataset):
    OPTIONS = {"count": "how many"}

    def __init__(self, argument, *, count="1"):
        self.classes, self.splits = CLASSES, ("train",)
        self.argument, self.count = argument, int(count)

    def _samples(self, split):
        return [One(f"{self.argument}{index}", CLASSES) for index in range(self.count)]
"""


def test_a_python_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_roads").mkdir()
    (tmp_path / "own_roads" / "data.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    samples = open_dataset("own_roads.data:Own:x?count=3&classes=b=a").split("train")
    assert [sample.name for sample in samples] == ["x0", "x1", "x2"]
    assert samples[0].classes.names == ("b",)
    assert samples[0].read()[1].shape == (4, 6)
    with pytest.raises(UsageError, match="did you mean count"):
        open_dataset("own_roads.data:Own?cuont=3")
    with pytest.raises(UsageError, match="cannot be imported"):
        open_dataset("own_roads.data:Won")
    with pytest.raises(DataError, match=r"own_roads\.data:Own: cannot be opened \(ValueError"):
        open_dataset("own_roads.data:Own?count=x")


@pytest.mark.parametrize("name", list(FORMATS))
def test_every_format_explains_itself_and_refuses_nothing_in_one_line(name: str, tmp_path: Path) -> None:
    assert 10 < len(FORMATS[name].description) <= 70
    assert all(FORMATS[name].load().OPTIONS.values())
    for argument in (f"{name}:{tmp_path}/nowhere", f"{name}:{tmp_path}?optoin=1", f"{name}:{tmp_path}", f"{name}:\0"):
        with pytest.raises(EdgesegError) as caught:
            open_dataset(argument)
        assert "\n" not in str(caught.value)
