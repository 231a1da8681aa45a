"""The settings of a training run and their file."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from edgeseg.core.errors import UsageError
from edgeseg.core.geometry import Crop, Size
from edgeseg.data.feeding.augment import Augmentation
from edgeseg.training.settings import TrainSettings

CHANGED = TrainSettings(
    data='camvid:/a "quoted" \\ path/ü',
    model="unet",
    size=Size(64, 96),
    train_size=Size(64, 32),
    crop=Crop(0.0, 0.25, 1.0, 0.75),
    learning_rate=1e-5,
    augmentation=Augmentation(flip=0, brightness=0.125),
)


@pytest.mark.parametrize("settings", [TrainSettings(), CHANGED])
def test_settings_read_back_from_their_file(settings: TrainSettings, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(settings.to_toml(), encoding="utf-8")
    assert TrainSettings.read(path) == settings


def test_a_part_of_the_settings_is_enough() -> None:
    assert TrainSettings.from_toml("epochs = 3\nlearning_rate = 1") == TrainSettings(epochs=3, learning_rate=1.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("epoch = 3", "config.toml: unknown setting 'epoch' .did you mean epochs"),
        ("[augmentation]\nflop = 1", "unknown setting 'flop' .did you mean flip"),
        ("epochs = 'three'", "epochs = 'three'; expected int"),
        ("epochs = true", "epochs = True; expected int"),
        ("size = '96'", "config.toml: size '96'; expected WIDTHxHEIGHT"),
        ("train_size = 96", "train_size = 96; expected WIDTHxHEIGHT"),
        ("crop = [1, 2]", "four shares"),
        ('crop = [0, 0, 1, "x"]', "four shares"),
        ("crop = [0, 0, 2, 1]", "within 0 to 1"),
        ("fit = 'croop'", "did you mean crop"),
        ("epochs = ", "not TOML"),
        ("augmentation = 3", "expected a table"),
    ],
)
def test_what_a_file_may_not_say(text: str, expected: str) -> None:
    with pytest.raises(UsageError, match=expected) as caught:
        TrainSettings.from_toml(text)
    assert str(caught.value).startswith("config.toml")
    assert str(caught.value).count("config.toml") == 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"epochs": 0}, "epochs = 0"),
        ({"train_size": Size(64, 608)}, "train size 608x64 is larger than size 576x160; expected windows"),
        ({"epochs": 2.5}, "epochs = 2.5; expected a whole number"),
        ({"batch": True}, "batch = True"),
        ({"width": "1"}, "width = 1; expected a number"),
        ({"data": "camvid:/\udcff"}, "not UTF-8"),
        ({"learning_rate": float("nan")}, "learning_rate = nan"),
        ({"dropout": 1.5}, "dropout"),
        ({"loss": "cross_entropy+dcie"}, "no 'dcie' .did you mean dice"),
        ({"loss": ""}, "expected one of cross_entropy, focal, dice, or a sum"),
        ({"loss": "dice+dice"}, "names one twice"),
        ({"class_balance": "lgo"}, "did you mean log"),
        ({"precision": "float16"}, "expected one of float32, mixed_bfloat16"),
    ],
)
def test_values_out_of_range(values: dict[str, Any], expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        TrainSettings(**values)


def test_augmentation_out_of_range() -> None:
    with pytest.raises(UsageError, match="brightness = 2"):
        Augmentation(brightness=2)


def test_differences_name_each_setting() -> None:
    assert TrainSettings().differences(TrainSettings()) == []
    changed = TrainSettings(batch=2, augmentation=Augmentation(flip=0))
    assert TrainSettings().differences(changed) == ["batch: 8, not 2", "augmentation.flip: 0.5, not 0"]


def test_every_setting_is_explained() -> None:
    for setting in fields(TrainSettings):
        assert setting.name == "augmentation" or setting.metadata["help"]
