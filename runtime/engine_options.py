"""The options of every command that runs a model in an engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from edgeseg.console import setting_option
from edgeseg.runtime.engine_settings import EngineSettings


def engine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command one option for each of EngineSettings."""
    spec = "Spec of a model that holds none: edgeseg inspect --write-spec drafts it."
    threads = "Host threads for the network.  [default: engine's choice]"
    for each in reversed([each for each in fields(EngineSettings) if "help" in each.metadata]):
        command = setting_option(each)(command)
    command = click.option("--threads", type=click.IntRange(1), help=threads)(command)
    return click.option("--spec", type=click.Path(path_type=Path), metavar="FILE", help=spec)(command)


def take_engine_settings(options: dict[str, Any]) -> EngineSettings:
    """Take the options of `engine_options` out of a command's."""
    return EngineSettings(**{each.name: options.pop(each.name) for each in fields(EngineSettings)})
