"""No number that is none, endless or out of range becomes a setting, wherever it is written."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import edgeseg.runtime
from edgeseg.bundle.settings import BundleSettings
from edgeseg.bundle.targets import TARGETS
from edgeseg.commands.main import cli
from edgeseg.core.errors import DataError, UsageError
from edgeseg.core.numbers import Range
from edgeseg.core.settings import setting
from edgeseg.core.toml import parse_toml
from edgeseg.data.argument import open_dataset
from edgeseg.data.feeding.augment import Augmentation
from edgeseg.data.tools.pack_settings import PackSettings
from edgeseg.export.settings import ExportSettings
from edgeseg.models.options import NetworkOptions
from edgeseg.runtime.commands.camera import camera
from edgeseg.runtime.engines.settings import BuildSettings, EngineSettings
from edgeseg.runtime.measure.benchmark import BenchmarkSettings
from edgeseg.runtime.measure.budgets import Budget, read_budgets
from edgeseg.runtime.road_settings import RoadSettings
from edgeseg.runtime.service.config import read_config
from edgeseg.runtime.settings import CaptureSettings, LoopSettings, SinkSettings
from edgeseg.training.settings import TrainSettings

TEXTS = ("nan", "-nan", "inf", "-inf", "1e999", "9" * 400, "9" * 5000, "-" + "9" * 400)
VALUES = (math.nan, math.inf, -math.inf, 10**400, -(10**400), 2**70, True)
MAY_BE_ENDLESS = {
    "edgeseg-camera --give-up-seconds", "edgeseg-camera --deadline-ms",
    "LoopSettings give_up_seconds", "LoopSettings deadline_ms", "SinkSettings deadline_ms", "CaptureSettings give_up_s",
}  # fmt: skip
SETTINGS = (
    Augmentation, BenchmarkSettings, BuildSettings, BundleSettings, CaptureSettings, EngineSettings, ExportSettings,
    LoopSettings, NetworkOptions, PackSettings, RoadSettings, SinkSettings, TrainSettings,
)  # fmt: skip


def numbers(command: click.Command, path: str) -> Iterator[tuple[str, click.Parameter]]:
    """Yield each option that takes a number, of a command and its subcommands."""
    for parameter in command.params:
        if isinstance(parameter.type, (click.types.IntParamType, click.types.FloatParamType)):
            yield f"{path} {parameter.opts[-1]}", parameter
    for name, inner in getattr(command, "commands", {}).items():
        yield from numbers(inner, f"{path} {name}")


OPTIONS = dict([*numbers(cli, "edgeseg"), *numbers(camera, "edgeseg-camera")])


@pytest.mark.parametrize("name", OPTIONS)
def test_no_option_takes_a_number_that_is_none(name: str) -> None:
    parameter, context = OPTIONS[name], click.Context(camera)
    for text in TEXTS:
        if name in MAY_BE_ENDLESS and text == "inf":
            assert parameter.type_cast_value(context, text) == math.inf
            continue
        with pytest.raises(click.BadParameter) as refused:
            parameter.type_cast_value(context, text)
        assert len(str(refused.value)) < 200


def test_every_number_of_a_command_is_looked_at() -> None:
    assert len(OPTIONS) > 90
    assert {"edgeseg-camera --deadline-ms", "edgeseg replay --equal-pixels", "edgeseg train --index"} <= OPTIONS.keys()


@pytest.mark.parametrize("kind", SETTINGS)
def test_no_setting_is_a_number_that_is_none(kind: Any) -> None:
    """As Python gives them: the command line is only one way."""
    checked = [each for each in fields(kind) if each.metadata.get("kind") in (int, float)]
    needed = {"target": TARGETS["6"]} if kind is BundleSettings else {}
    for each in checked:
        for value in VALUES:
            if f"{kind.__name__} {each.name}" in MAY_BE_ENDLESS and value == math.inf:
                kind(**needed, **{each.name: value})
                continue
            with pytest.raises(UsageError, match=f"{each.name} = .*; expected a"):
                kind(**needed, **{each.name: value})


def test_a_setting_that_is_a_number_needs_a_range() -> None:
    with pytest.raises(TypeError, match="without a range"):
        setting(1.0, "anything")


@pytest.mark.parametrize("text", [*TEXTS, "0x" + "f" * 5000])
def test_no_toml_file_holds_a_number_that_is_none(text: str, tmp_path: Path) -> None:
    path = tmp_path / "file.toml"
    context = click.Context(camera)
    with pytest.raises(UsageError, match="too large"):
        parse_toml("give-up-seconds = 1e999", "file", "lines", endless=True)
    for content, read in (
        (f"stall-seconds = {text}\n", lambda: read_config(path, context)),
        (f"output = [{text}]\n", lambda: read_config(path, context)),
        (f"[masks]\nequal_pixels = {text}\n", lambda: read_budgets(path)),
        (f"[inference]\nmean = {text}\n", lambda: read_budgets(path)),
        (f"epochs = {text}\n", lambda: TrainSettings.read(path)),
        (f"[augmentation]\nhue = {text}\n", lambda: TrainSettings.read(path)),
        (f"[[classes]]\nname = 'a'\nid = {text}\n", lambda: open_dataset(str(tmp_path / "dataset.toml"))),
    ):
        path.write_text(content)
        (tmp_path / "dataset.toml").write_text(content)
        with pytest.raises((UsageError, DataError)) as refused:
            read()
        assert "\n" not in str(refused.value)
        assert len(str(refused.value)) < 700


def test_what_may_be_endless_has_a_word(tmp_path: Path) -> None:
    path = tmp_path / "camera.toml"
    path.write_text("give-up-seconds = inf\n")
    assert read_config(path, click.Context(camera)) == {"give_up_seconds": math.inf}


def test_python_is_no_way_around() -> None:
    for name, value in (("deadline_ms", math.nan), ("stall_seconds", math.inf), ("frozen_ms", -1.0), ("frames", 0)):
        settings: dict[str, Any] = {name: value}
        with pytest.raises(UsageError, match=name):
            edgeseg.runtime.stream("scenes://", "none.onnx", **settings)
    for rate in (math.nan, math.inf, 0.0, 10**400):
        with pytest.raises(UsageError, match="source rate"):
            edgeseg.runtime.stream("scenes://", "none.onnx", source_rate=rate)
    with pytest.raises(UsageError, match="threads"):
        EngineSettings(threads=10**400)


@pytest.mark.parametrize("text", ["scenes:train=" + "9" * 5000, "scenes:seed=٣", "scenes:train=nan", "scenes:val=-1"])
def test_a_number_in_a_data_argument_is_no_exception(text: str) -> None:
    with pytest.raises(UsageError, match="expected a whole number"):
        open_dataset(text)


def test_a_verdict_on_nothing_is_a_broken_budget() -> None:
    assert Budget("masks.equal_pixels", 0.9).broken_by(math.nan)
    assert Budget("inference.mean", 12.0).broken_by(math.nan)
    assert not Budget("inference.mean", 12.0).broken_by(12.0)


def test_a_key_of_many_dots_is_refused_at_once(tmp_path: Path) -> None:
    for text in (".".join(["a"] * 50_000) + " = 1", f"[{'.'.join(['a'] * 50_000)}]", "a = " + "[" * 50_000):
        with pytest.raises(UsageError, match="nested more than 64 deep"):
            parse_toml(text, "file", "lines")
    assert parse_toml(".".join("abcdefgh") + " = 1", "file", "lines")


def test_a_range_says_what_it_takes() -> None:
    assert str(Range(1, 100, whole=True)) == "a whole number from 1 to 100"
    assert str(Range(0, 1e9, above=True, endless=True)) == "a number above 0, at most 1e+09, or inf"
    assert 0.5 in Range(0, 1)
    assert 0 not in Range(0, 1, above=True)
    assert 1.0 not in Range(0, 2, whole=True)


def test_the_line_for_a_user_is_short() -> None:
    said = CliRunner().invoke(camera, ["scenes://", "--frames", "9" * 5000])
    assert said.exit_code == 2
    assert said.output.splitlines()[-1].endswith("(5000 characters) is not a whole number from 1 to 9007199254740992")
