"""`edgeseg benchmark --soak`: one model, for as long as the user wants, and what became of the device."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from edgeseg.core.console import given, note, say
from edgeseg.core.errors import UsageError
from edgeseg.runtime.engines.settings import EngineSettings

STOPPED = 130
_OF_A_BENCHMARK = {"seconds", "rounds", "deadline_ms", "layers"}


def run_soak(
    minutes: float, models: Sequence[Path], source: str, engines: Sequence[EngineSettings], options: dict[str, Any]
) -> tuple[dict[str, Any], int]:
    """Soak a model and say what was found; a run that was stopped is judged by what there is of it.

    Returns:
        The document (measure/soak_report.py), and the exit code: 2 for an output that failed, as of
        edgeseg-camera, else 1 unless the verdict is stable.

    Raises:
        UsageError: more than one model or backend, or an option that a soak does not have.
        SourceError, ModelError, EngineError.
    """
    unused = _OF_A_BENCHMARK & given(click.get_current_context().params).keys()
    if len(models) * len(engines) > 1 or unused:
        named = "".join(f", --{name.replace('_', '-')}" for name in sorted(unused))
        raise UsageError(
            f"--soak with {len(models)} models on {len(engines)} backends{named}; expected one model on one backend, "
            "without --seconds, --rounds, --deadline-ms and --layers"
        )
    from edgeseg.core.signals import StopRequest
    from edgeseg.runtime.engines.choose import load_engine
    from edgeseg.runtime.machine import facts
    from edgeseg.runtime.measure.soak import SoakSettings, soak
    from edgeseg.runtime.measure.soak_report import document, text
    from edgeseg.runtime.service.log import StatusLine
    from edgeseg.runtime.sources.addresses import parse_source

    settings = SoakSettings(minutes, options["camera_rate"], options["outputs"])
    status, mode = StatusLine(), facts.power_mode()

    def notice(text: str) -> None:
        note(text)

    with StopRequest() as stop:
        outcome, windows = soak(
            models[0],
            parse_source(source),
            settings,
            lambda: load_engine(models[0], engines[0], notice),
            stop.event,
            status,
            notice,
        )
    status.clear()
    found = document(models[0], outcome, windows, minutes, [mode, facts.power_mode()])
    say(text(found))
    if outcome.failures:
        return found, UsageError.exit_code
    if stop.requested:
        return found, STOPPED
    return found, 0 if found["soak"]["verdict"]["stable"] else 1
