"""ms/frame that two people can compare: models take turns, round by round, through the camera loop."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeseg.core.errors import ModelError, UsageError
from edgeseg.core.settings import check_settings, setting
from edgeseg.runtime.engines.base import Engine
from edgeseg.runtime.engines.choose import load_engine
from edgeseg.runtime.engines.settings import EngineSettings
from edgeseg.runtime.loop import Outcome, Watcher, run
from edgeseg.runtime.machine.load import Load, LoadMeter, MemoryInUse, memory_in_use
from edgeseg.runtime.measure.timings import repeatability, statistics
from edgeseg.runtime.records import STAGES, FrameRecord, Ledger
from edgeseg.runtime.settings import LoopSettings
from edgeseg.runtime.sinks.base import Delivery, Sink
from edgeseg.runtime.sources.source import Source
from edgeseg.runtime.summary import Summary

KEPT_SCENES = 30  # drawn before the start: drawing would take a core from the engine that is measured
BARE_SHARE = 0.25  # of a round, in which the engine runs without the loop around it
_STABLE_RUNS, _STABLE_SHARE, _LONGEST_WARM_UP_S = 10, 0.02, 10.0
_WARM_UP_FRAMES = 5  # at the start of each round: the others have filled the caches


@dataclass(frozen=True)
class BenchmarkSettings:
    """What is measured. Raises UsageError for a value that makes no sense.

    Attributes:
        camera_rate: frames a second that arrive on a clock, the newest processed; None for each frame, back to back.
        deadline_ms: masks older than this, or frames that take longer where none arrives on a clock, are counted.
        outputs: where masks go (sinks.open.open_sink), anew in each round; their time is measured beside.
    """

    seconds: float = setting(10.0, "how long to measure each model on each backend", between=(0.1, 1e6))
    rounds: int = setting(5, "turns of each in that time", between=(1, 1000))
    camera_rate: float | None = setting(None, "frames a second that arrive", (0, 1000), kind=float, above=True)
    deadline_ms: float | None = setting(None, "what takes longer is counted", (0, 86_400_000), kind=float, above=True)
    outputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass
class Contender:
    """A model on a backend, and what was measured of it.

    Attributes:
        model: its file.
        engine: loaded.
        engine_settings: how.
        rounds: by round, milliseconds of each frame by stage.
        bare: by round, milliseconds of the engine without the loop.
        outcomes: of the rounds.
        load: on the machine while it ran.
        warm_up_runs: before times were stable.
        taken_mib: what loading and warming up took of the machine's memory and of the GPU's own; None if not told.
    """

    model: Path
    engine: Engine
    engine_settings: EngineSettings
    rounds: list[dict[str, list[float]]] = field(default_factory=list)
    bare: list[list[float]] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)
    warm_up_runs: int = 0
    taken_mib: dict[str, float | None] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.model} on {self.engine.backend}"

    def times(self, stage: str) -> list[float]:
        return [ms for times in self.rounds for ms in times.get(stage, [])]

    def summary(self) -> Summary:
        """The rounds as one run."""
        ledger = Ledger()
        for stage in STAGES:
            for ms in self.times(stage):
                ledger.latency[stage].add(ms)
        summaries = [outcome.summary for outcome in self.outcomes]
        frames = {key: sum(each.frames[key] for each in summaries) for key in summaries[0].frames}
        seconds = sum(each.seconds for each in summaries)
        warm_up = self.warm_up_runs + sum(each.warm_up_frames for each in summaries)
        return replace(
            summaries[-1],
            frames=frames,
            seconds=seconds,
            latency_ms=ledger.latency_ms(),
            warm_up_frames=warm_up,
            outputs={},
        )

    def result(self, settings: BenchmarkSettings) -> dict[str, Any]:
        """What a result file holds of it."""
        summary, late = self.summary(), None
        if settings.deadline_ms is not None:
            aged = "capture_to_mask" if settings.camera_rate else "frame"
            late = {"ms": settings.deadline_ms, "missed": sum(ms > settings.deadline_ms for ms in self.times(aged))}
        frame, bare = statistics(self.times("frame")), statistics([ms for times in self.bare for ms in times])
        return {
            "name": self.name,
            "model_sha256": hashlib.sha256(self.model.read_bytes()).hexdigest(),
            "threads": self.engine_settings.threads,
            "camera_rate": settings.camera_rate,
            "summary": summary.to_dict(),
            "statistics_ms": {stage: statistics(self.times(stage)) for stage in STAGES},
            "bare_engine_ms": bare,
            "loop_overhead_ms": round(frame["p50"] - bare["p50"], 4),
            "deadline": late,
            "repeatability": repeatability([each.get("frame", []) for each in self.rounds]),
            "taken_mib": self.taken_mib,
            "load": [load.to_dict() for load in self.loads],
            "rounds_ms": [
                {stage: [round(ms, 4) for ms in times] for stage, times in each.items()} for each in self.rounds
            ],
        }


class _Records(Sink):
    """Keeps the record of each mask: the time that its outputs took comes into it when the last one has it."""

    needs_picture = False

    def __init__(self) -> None:
        super().__init__("benchmark")
        self._kept: list[FrameRecord] = []

    def write(self, delivery: Delivery) -> None:
        self._kept.append(delivery.record)

    def times(self, with_outputs: bool) -> dict[str, list[float]]:
        """Return milliseconds by stage; without other outputs there is no time of theirs."""
        found: dict[str, list[float]] = {}
        for record in self._kept:
            for stage, ms in record.ms.items():
                if stage != "output" or with_outputs:
                    found.setdefault(stage, []).append(ms)
        return found


def looped(source: Source, camera_rate: float | None) -> Source:
    """Return a source as it is measured: without end, scenes drawn beforehand, at a camera's rate if one is given."""
    keep = KEPT_SCENES if source.kind == "scenes" else source.keep
    return replace(source, keep=keep, loop=True, fps=camera_rate or source.fps)


def benchmark(
    models: Sequence[Path],
    source: Source,
    settings: BenchmarkSettings,
    stop: threading.Event,
    engines: Sequence[EngineSettings] = (EngineSettings(),),
    watch: Watcher | None = None,
    notice: Callable[[str], None] | None = None,
) -> list[Contender]:
    """Stream a source, over and over, through each model on each backend, in turns.

    Taking turns lets a machine that warms up or is disturbed harm all alike.

    Args:
        models: ONNX files.
        source: a file, a folder or scenes; not a camera.
        settings: how long, and how.
        stop: set it to end early; the contenders then hold what was measured so far.
        engines: how each model is run.
        watch, notice: as in edgeseg.runtime.loop.run.

    Raises:
        SourceError, ModelError, EngineError, UsageError.
    """
    source = looped(source, settings.camera_rate)
    with ExitStack() as stack:
        contenders = []
        for model, engine in ((model, engine) for model in models for engine in engines):
            before = memory_in_use()
            contenders.append(Contender(model, stack.enter_context(load_engine(model, engine, notice)), engine))
            contenders[-1].warm_up_runs = warm_up(contenders[-1].engine, stop)
            contenders[-1].taken_mib = _taken(before, memory_in_use())
        for _ in range(settings.rounds):
            for each in contenders:
                if not stop.is_set():
                    _round(each, source, settings, stop, watch, notice)
    return contenders


def _taken(before: MemoryInUse, after: MemoryInUse) -> dict[str, float | None]:
    pairs = {"machine": (before.machine_used_mib, after.machine_used_mib)}
    pairs["gpu"] = (before.gpu_used_mib, after.gpu_used_mib)
    return {name: None if a is None or b is None else round(b - a, 1) for name, (a, b) in pairs.items()}


def warm_up(engine: Engine, stop: threading.Event) -> int:
    """Run until the median time of some runs is that of those before, within 2 %, or 10 s are over; return the runs."""
    start, runs, before = time.monotonic(), 0, float("inf")
    while not stop.is_set() and time.monotonic() - start < _LONGEST_WARM_UP_S:
        median = float(np.median([*_bare_times(engine, _STABLE_RUNS)]))
        runs += _STABLE_RUNS
        if abs(median - before) <= _STABLE_SHARE * before:
            break
        before = median
    return runs


def _round(
    contender: Contender,
    source: Source,
    settings: BenchmarkSettings,
    stop: threading.Event,
    watch: Watcher | None,
    notice: Callable[[str], None] | None,
) -> None:
    seconds = settings.seconds / settings.rounds
    records = _Records()
    loop = LoopSettings(
        every_frame=settings.camera_rate is None,
        seconds=seconds * (1 - BARE_SHARE),
        outputs=settings.outputs,
        warm_up_frames=_WARM_UP_FRAMES,
    )
    meter, start = LoadMeter(), time.monotonic()
    outcome = run(
        source, lambda: nullcontext(contender.engine), loop, stop, watch, notice, str(contender.model), [records]
    )
    if outcome.error:
        raise outcome.error
    if outcome.failures:
        raise UsageError(f"{outcome.failures[0]}; nothing can be compared with that")
    times = records.times(with_outputs=bool(settings.outputs))
    masks = len(times.get("frame", []))
    contender.loads.append(meter.read(time.monotonic() - start, masks))
    if not masks and not stop.is_set():
        raise ModelError(f"{contender.name}: no mask within {loop.seconds:.1f} s; measure longer, by --seconds")
    contender.outcomes.append(outcome)
    contender.rounds.append(times)
    until = time.monotonic() + seconds * BARE_SHARE
    contender.bare.append([*_bare_times(contender.engine, until=until)])


def _bare_times(engine: Engine, runs: int = 0, until: float = 0.0) -> Iterator[float]:
    """Yield milliseconds of the engine alone on one picture: so many runs, and on until the time has come."""
    frame = np.random.default_rng(0).integers(0, 256, (*engine.frame_size, 3), np.uint8)
    done = 0
    while done < max(runs, 1) or time.monotonic() < until:
        start = time.perf_counter()
        engine.run(frame)
        yield (time.perf_counter() - start) * 1e3
        done += 1
