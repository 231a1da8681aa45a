"""The options of every command that runs a model in an engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from edgeseg.console import setting_option
from edgeseg.runtime.engine_settings import EngineSettings


def engine_options(command: Callable[..., Any], leave_out: Sequence[str] = ()) -> Callable[..., Any]:
    """Give a command one option for each of EngineSettings."""
    spec = "Spec of a model that holds none: edgeseg inspect --write-spec drafts it."
    threads = "Host threads for the network.  [default: engine's choice]"
    for each in reversed([each for each in fields(EngineSettings) if "help" in each.metadata]):
        if each.name in leave_out:
            continue
        command = setting_option(each)(command)
    command = click.option("--threads", type=click.IntRange(1), help=threads)(command)
    return click.option("--spec", type=click.Path(path_type=Path), metavar="FILE", help=spec)(command)


def take_engine_settings(options: dict[str, Any]) -> EngineSettings:
    """Take the options of `engine_options` out of a command's; those that the command left out have their defaults."""
    return EngineSettings(
        **{each.name: options.pop(each.name) for each in fields(EngineSettings) if each.name in options}
    )
