"""What `edgeseg-camera` is to do: its options, typed or of a settings file, read and held against each other."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from edgeseg.core.errors import UsageError
from edgeseg.core.files import check_writable
from edgeseg.runtime.engines.model_file import model_for
from edgeseg.runtime.engines.settings import EngineSettings, take_engine_settings
from edgeseg.runtime.road_settings import RoadSettings
from edgeseg.runtime.settings import LoopSettings
from edgeseg.runtime.sinks.open import VIDEO_SUFFIXES, check_distinct, fresh_recording_paths, sink_path
from edgeseg.runtime.sources.addresses import parse_source
from edgeseg.runtime.sources.source import Source, SourceOptions


@dataclass(frozen=True)
class CameraPlan:
    """A run that is yet to begin.

    Attributes:
        source: where frames come from.
        model: the ONNX file or engine.
        engine: how it is run.
        settings: of the loop.
        summary: file for the summary, or None.
        remarks: what the user is to know, a line each.
    """

    source: Source
    model: Path
    engine: EngineSettings
    settings: LoopSettings
    summary: Path | None
    remarks: tuple[str, ...] = ()

    @property
    def files(self) -> list[Path]:
        """The files to write beside the outputs."""
        return [path for path in (self.settings.stats, self.summary) if path]

    def check_writable(self) -> None:
        """Raise UsageError if one of `files` cannot be written; makes their folders."""
        for path in self.files:
            check_writable(path)


def camera_plan(options: dict[str, Any], keep_recordings: bool = False) -> CameraPlan:
    """Read the options of `edgeseg-camera` that say what to stream, how and where to.

    Args:
        options: by the names of the command's parameters.
        keep_recordings: a recording of an earlier run is left, and the new one gets a dated place beside it.

    Raises:
        UsageError: options that make no sense, alone or together.
        SourceError: there is nothing at the source's place.
    """
    options = dict(options)
    opening = SourceOptions(**{each.name: options.pop(f"source_{each.name}") for each in fields(SourceOptions)})
    source = parse_source(
        options.pop("source"), options.pop("source_rate"), options.pop("loop"), options.pop("source_size"), opening
    )
    road = _road_settings(options)
    remarks = _take_deadline(options, source)
    record = options.pop("record")
    if record:
        options["outputs"] = (*options["outputs"], f"record://{record}")
    model, summary = model_for(options.pop("model"), source), options.pop("summary_path")
    engine = take_engine_settings(options)
    plan = CameraPlan(source, model, engine, LoopSettings(**options, road=road), summary, remarks)
    _check_places(plan)
    return _with_recordings_kept(plan) if keep_recordings else plan


def _with_recordings_kept(plan: CameraPlan) -> CameraPlan:
    asked = plan.settings.outputs
    outputs = fresh_recording_paths(asked, plan.settings.quota is not None)
    remarks = [
        f"output {old} is there from an earlier run, and stays; this run's is {new}"
        for old, new in zip(asked, outputs, strict=True)
        if new != old
    ]
    settings = replace(plan.settings, outputs=outputs)
    return replace(plan, settings=settings, remarks=(*plan.remarks, *remarks))


def _take_deadline(options: dict[str, Any], source: Source) -> tuple[str, ...]:
    """Make --no-deadline the deadline that it means; return what is to be said of it."""
    if not options.pop("no_deadline"):
        return ()
    if options["deadline_ms"] is not None:
        raise UsageError(f"--deadline-ms {options['deadline_ms']:g} with --no-deadline; expected one of them")
    options["deadline_ms"] = math.inf
    return ("no deadline: masks of any age are good ones",) if source.is_camera else ()


def _road_settings(options: dict[str, Any]) -> RoadSettings | None:
    """Take the options of --report road out of `options`."""
    wanted = options.pop("report")
    settings = RoadSettings(**{each.name: options.pop(f"road_{each.name}") for each in fields(RoadSettings)})
    if settings != RoadSettings() and not wanted:
        raise UsageError("an option --road-... was given without --report road; add that")
    return settings if wanted else None


def _check_places(plan: CameraPlan) -> None:
    """Raise UsageError if an output would be written over an input or another output."""
    settings, source = plan.settings, "" if plan.source.is_camera else plan.source.location
    check_distinct(settings.outputs)
    outputs = [path for uri in settings.outputs if (path := sink_path(uri))]
    if settings.quota and not any(path.suffix.lower() in VIDEO_SUFFIXES for path in outputs):
        raise UsageError("--quota limits overlay videos, and no --output is one; add --output file://overlay.mkv")
    inputs = [plan.model, Path(source) if Path(source).exists() else Path(source).parent] if source else [plan.model]
    taken = {os.path.realpath(path) for path in inputs}
    for path in (*outputs, *plan.files):
        real = os.path.realpath(path)
        if real in taken and not path.is_char_device():
            raise UsageError(f"{path} is an input or another output already; give each output a place of its own")
        taken.add(real)
