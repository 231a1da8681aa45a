"""Options made of settings."""

from __future__ import annotations

import sys

import pytest
from click.testing import CliRunner

from edgeseg.commands.main import cli, main


@pytest.mark.parametrize(
    ("option", "kind", "text"),
    [
        ("--loss", "TEXT", "cross_entropy, focal, dice, or"),  # values, as they are typed
        ("--precision", "[float32|mixed_bfloat16|mixed_float16]", "float32, or on hardware"),
        ("--batch", "INTEGER RANGE", "Pictures a step."),
        ("--train-size", "WIDTHxHEIGHT", "Train on windows of this size"),
    ],
)
def test_help_is_made_of_settings(option: str, kind: str, text: str) -> None:
    shown = " ".join(CliRunner().invoke(cli, ["train", "--help"], terminal_width=300).output.split())
    assert f" {option} {kind} {text}" in shown


@pytest.mark.parametrize(
    "command",
    [
        ("export", "x" * 300, "--onnx", "model.onnx"),
        ("replay", "x" * 300, "--model", "model.onnx"),
        ("report", "x" * 300),
    ],
)
@pytest.mark.usefixtures("tensorflow")
def test_a_path_that_no_file_system_takes_is_one_line(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["edgeseg", *command])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code not in (0, 1)
    (line,) = capsys.readouterr().err.splitlines()
    assert "File name too long" in line
