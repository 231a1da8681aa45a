"""Merging classes, and the options of a data argument."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from edgeseg.commands.main import cli
from edgeseg.core.errors import UsageError
from edgeseg.core.labels import ClassMap, merge_classes
from edgeseg.data.argument import data_of_model, open_dataset, split_argument, with_classes
from edgeseg.data.wrappers import merged
from edgeseg.scenes import CLASSES
from edgeseg.training.settings import TrainSettings
from tests.helpers.colour_model import VIDEO_SIZE, write_colour_model

STREET = ClassMap(("Road", "Parking", "Tree", "Sky"), ((1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4)))


def test_a_rule_gives_names_order_colours_and_ids() -> None:
    classes, table = merge_classes(STREET, "other=*;ground=PARKING, road")
    assert classes.names == ("other", "ground")
    assert classes.colours == ((3, 3, 3), (2, 2, 2))
    assert table[:4].tolist() == [1, 1, 0, 0]
    assert table[255] == 255


def test_a_new_class_has_the_colour_of_its_namesake() -> None:
    assert merge_classes(STREET, "road=parking,road")[0].colours == ((1, 1, 1),)


def test_what_is_not_named_is_ignored_and_a_lone_name_keeps_a_class() -> None:
    classes, table = merge_classes(STREET, "sky;road")
    assert classes.names == ("sky", "road")
    assert table[:4].tolist() == [1, 255, 255, 0]
    classes, table = merge_classes(STREET, "ignore=tree;all=*")
    assert classes.names == ("all",)
    assert table[:4].tolist() == [0, 0, 255, 0]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("road=raod", "did you mean Road"),
        ("a=road;b=road", "'road' goes to 'a' and to 'b'"),
        ("a=*;b=*", r"\* stands twice"),
        ("a=road;A=sky", "'a' is made twice"),
        ("a=road,", "NEW=OLD"),
        ("=road", "NEW=OLD"),
        ("road,sky", "NEW=OLD"),
        ("", "no class"),
        ("ignore=*", "no class"),
    ],
)
def test_a_wrong_rule(rule: str, expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        merge_classes(STREET, rule)


@given(st.text(alphabet="ab=,;* RroadSky", max_size=30))
def test_any_rule_is_a_class_map_or_one_line(rule: str) -> None:
    try:
        classes, table = merge_classes(STREET, rule)
    except UsageError as error:
        message = str(error)
    else:
        assert set(table[:4].tolist()) <= {*range(len(classes)), 255}
        message = ""
    assert "\n" not in message


@pytest.mark.parametrize("rule", ["way=road,sidewalk;other=*", "way%3Droad%2Csidewalk%3Bother%3D%2A"])
def test_the_option_merges_any_format(rule: str) -> None:
    settings = "scenes:train=1,size=64x32"
    plain = open_dataset(settings).split("train")[0]
    dataset = open_dataset(f"{settings}?classes={rule}")
    assert dataset.classes.names == ("way", "other")
    image, class_map = dataset.split("train")[0].read()
    before = plain.read()[1]
    assert np.array_equal(image, plain.read_image())
    assert np.array_equal(class_map, np.where(before == 255, 255, np.where(before < 2, 0, 1)))
    assert np.array_equal(class_map, dataset.split("train")[0].read_class_map())


def test_merged_takes_a_data_set() -> None:
    dataset = merged(open_dataset("scenes:train=1"), "Road")
    assert dataset.classes == ClassMap(("Road",), (CLASSES.colours[0],))
    assert dataset.splits == ("train", "val", "test")


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("scenes:?clases=a", "did you mean classes"),
        ("scenes:?classes", "KEY=VALUE"),
        ("scenes:?classes=a&classes=b", "twice"),
        ("nothing.at_all:Class", "cannot be imported"),
        ("edgeseg.core.labels:ClassMap", "no data set"),
    ],
)
def test_a_wrong_option_or_class(argument: str, expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        open_dataset(argument)


@pytest.mark.parametrize("data", ["voc:a b", "voc:a?val=0.1"])
@pytest.mark.parametrize("rule", ["road=road,parking;other=*", "a&b=50%;c;%26=x+y?"])
def test_a_rule_is_put_behind_any_argument(data: str, rule: str) -> None:
    location, options = split_argument(with_classes(data, rule))
    assert (location, options["classes"]) == (data.partition("?")[0], rule)
    assert len(options) == 1 + data.count("?")
    assert with_classes(data, None) == data


@pytest.mark.usefixtures("tensorflow")
def test_classes_is_an_option_of_the_commands(tmp_path: Path) -> None:
    data, rule = "scenes:train=1,val=1,test=1,size=64x32", "road=road,sidewalk;other=*"
    command = ["data", "check", data, "--classes", rule, "--out", str(tmp_path)]
    assert CliRunner().invoke(cli, command, standalone_mode=False).exception is None
    assert json.loads((tmp_path / "check.json").read_text())["classes"] == ["road", "other"]
    for command in (
        ["train", "--data", data, "--classes", "road=lorry", "--out", str(tmp_path / "run")],
        ["evaluate", str(tmp_path), "--data", data, "--classes", "road=lorry"],
        ["data", "pack", data, "--classes", "road=lorry", "--out", str(tmp_path / "pack")],
    ):
        failed = CliRunner().invoke(cli, command, standalone_mode=False).exception
        assert "'lorry' is no class" in str(failed)
    resumed = ["train", "--resume", "--classes", rule, "--out", str(tmp_path / "run")]
    assert "--classes with --resume" in str(CliRunner().invoke(cli, resumed, standalone_mode=False).exception)


def test_options_are_taken_apart() -> None:
    assert split_argument("voc-xml:a/b?unlabelled=ignore&classes=a=b;c=*&group=x%26y+") == (
        "voc-xml:a/b",
        {"unlabelled": "ignore", "classes": "a=b;c=*", "group": "x&y+"},
    )
    assert split_argument("camvid:a/b") == ("camvid:a/b", {})


@pytest.fixture
def foreign_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that appears once the class `elsewhere.roads:Roads` has been loaded."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "roads.py").write_text("open('ran', 'w')\nclass Roads: pass\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "ran"


def test_a_run_directory_does_not_decide_what_code_is_loaded(tmp_path: Path, foreign_code: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.toml").write_text(TrainSettings(data="elsewhere.roads:Roads:x").to_toml())
    commands = (["train", "--resume", "--out", str(run)], ["report", str(run)])
    for command in commands:
        with pytest.raises(UsageError, match=r"a Python class.*--data 'elsewhere\.roads:Roads:x'"):
            cli.main(command, standalone_mode=False)
    assert not foreign_code.exists()
    with pytest.raises(UsageError, match="no data set"):
        cli.main([*commands[0], "--data", "elsewhere.roads:Roads:x"], standalone_mode=False)
    assert foreign_code.exists()


def test_a_model_does_not_decide_what_code_is_loaded(tmp_path: Path, foreign_code: Path) -> None:
    model = write_colour_model(tmp_path / "m.onnx", VIDEO_SIZE, False, trained_on="elsewhere.roads:Roads:x")
    with pytest.raises(UsageError, match=r"a Python class.*--data 'elsewhere\.roads:Roads:x'"):
        cli.main(["evaluate", str(model)], standalone_mode=False)
    with pytest.raises(UsageError, match="--calibrate"):
        data_of_model(None, "elsewhere.roads:Roads", "--calibrate")
    assert not foreign_code.exists()
    assert data_of_model(None, "camvid:CamVid", "--data") == "camvid:CamVid"
    assert data_of_model("elsewhere.roads:Roads", "camvid:CamVid", "--data") == "elsewhere.roads:Roads"
