"""The options of every command that runs a model in an engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import click

from edgeseg.core.console import PATH, setting_option
from edgeseg.core.option_types import number_in
from edgeseg.runtime.engines.settings import THREADS, EngineSettings


def engine_options(command: Callable[..., Any], leave_out: Sequence[str] = ()) -> Callable[..., Any]:
    """Give a command one option for each of EngineSettings."""
    spec = "Spec of a model that holds none: edgeseg inspect --write-spec drafts it."
    threads = "Host threads for the network.  [default: engine's choice]"
    for each in reversed([each for each in fields(EngineSettings) if "help" in each.metadata]):
        if each.name in leave_out:
            continue
        command = setting_option(each)(command)
    command = click.option("--threads", type=number_in(THREADS), help=threads)(command)
    return click.option("--spec", type=PATH, metavar="FILE", help=spec)(command)
