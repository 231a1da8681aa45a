"""Options made of settings."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from edgeseg.cli import cli


@pytest.mark.parametrize(
    ("option", "kind", "text"),
    [
        ("--loss", "TEXT", "cross_entropy, focal, dice, or"),  # values, as they are typed
        ("--precision", "[float32|mixed_bfloat16|mixed_float16]", "float32, or on hardware"),
        ("--batch", "INTEGER", "Pictures a step."),
        ("--train-size", "WIDTHxHEIGHT", "Train on windows of this size"),
    ],
)
def test_help_is_made_of_settings(option: str, kind: str, text: str) -> None:
    shown = " ".join(CliRunner().invoke(cli, ["train", "--help"], terminal_width=300).output.split())
    assert f" {option} {kind} {text}" in shown
