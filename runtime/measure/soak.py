"""A long run, watched: times, the device's state and what the processes hold, window by window, in little memory."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from edgeseg.runtime.engines.base import Engine
from edgeseg.runtime.loop import Outcome, Watcher, run
from edgeseg.runtime.machine.load import LoadMeter
from edgeseg.runtime.machine.processes import ProcessState, cpu_seconds, descendants, process_state
from edgeseg.runtime.machine.state import DeviceMeter, DeviceState
from edgeseg.runtime.measure.benchmark import looped, warm_up
from edgeseg.runtime.measure.timings import statistics as times_statistics
from edgeseg.runtime.settings import LoopSettings
from edgeseg.runtime.sinks.base import Delivery, Sink
from edgeseg.runtime.sources.source import Source

LONGEST_WINDOW_S, SHORTEST_WINDOW_S = 10.0, 0.5
_WINDOWS = (30, 720)  # at least, of a soak that is long enough; at most, or they themselves would seem to leak
_SAMPLES = 10  # of a window: a median of them takes no notice of one that is odd
_SEEN = 2  # samples of a window in which a reason must be told: NVML tells some for a moment as clocks change
_STATE = ("gpu_mhz", "cpu_mhz", "power_w", "available_mib", "swap_used_mib", "gpu_memory_mib")


@dataclass(frozen=True)
class Window:
    """Some seconds of a soak; what nobody told is None.

    Attributes:
        minute: its end, in minutes since the start.
        frames: masks in it.
        frame_ms, inference_ms: statistics of their times (measure.timings.statistics); empty without any.
        own_mb, children_mb, memory_mb, handles, threads: of the processes, medians.
        others: share of the machine's processors that other programs took.
        hottest_c: the hottest sensor, `temperatures_c` all of them.
        gpu_mhz, cpu_mhz, power_w, available_mib, swap_used_mib, gpu_memory_mib: as of DeviceState, medians.
        throttling: the reasons for lower clocks that the device gave, more than for a moment.
    """

    minute: float
    frames: int = 0
    frame_ms: dict[str, float] = field(default_factory=dict)
    inference_ms: dict[str, float] = field(default_factory=dict)
    own_mb: float | None = None
    children_mb: float | None = None
    memory_mb: float | None = None
    handles: float | None = None
    threads: float | None = None
    others: float | None = None
    hottest_c: float | None = None
    temperatures_c: dict[str, float] = field(default_factory=dict)
    gpu_mhz: float | None = None
    cpu_mhz: float | None = None
    power_w: float | None = None
    available_mib: float | None = None
    swap_used_mib: float | None = None
    gpu_memory_mib: float | None = None
    throttling: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(self).items()}


def window_seconds(seconds: float) -> float:
    """Return how long the windows of a soak are."""
    fewest, most = _WINDOWS
    return max(min(LONGEST_WINDOW_S, seconds / fewest), SHORTEST_WINDOW_S, seconds / most)


class SoakRecorder:
    """Samples a process, its children and the device, on a thread of its own, into windows. A context manager.

    Args:
        pid: the process.
        window_s: length of a window.
        root: of /sys and /proc/meminfo, for tests.
        from_first: begin with the first frame that is added: what opening the source takes would pass for a leak.
    """

    def __init__(self, pid: int, window_s: float, root: Path = Path("/"), from_first: bool = False) -> None:
        self.windows: list[Window] = []
        self._pid, self._window_s = pid, window_s
        self._device = DeviceMeter(root)
        self._times: list[tuple[float, float]] = []
        self._lock = threading.Lock()
        self._may_begin, self._is_over = threading.Event(), threading.Event()
        if not from_first:
            self._may_begin.set()
        self._thread = threading.Thread(target=self._watch, name="edgeseg-soak", daemon=True)

    def __enter__(self) -> SoakRecorder:
        self._device.__enter__()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._may_begin.set()
        self._thread.join()
        self._device.__exit__()

    def add(self, frame_ms: float, inference_ms: float) -> None:
        """Note what a frame took."""
        with self._lock:
            self._times.append((frame_ms, inference_ms))
        self._may_begin.set()

    def _watch(self) -> None:
        self._may_begin.wait()
        start = time.monotonic()
        events = self._device.read().throttle_events
        while not self._is_over.is_set():
            load = LoadMeter(self._cpu_seconds)
            began, processes, states = time.monotonic(), list[ProcessState](), list[DeviceState]()
            while not self._is_over.wait(self._window_s / _SAMPLES) and time.monotonic() < began + self._window_s:
                found = process_state(self._pid)
                processes += [found] if found else []
                states.append(self._device.read())
            with self._lock:
                times, self._times = self._times, []
            if states and not self._is_over.is_set():  # one that was cut off says little
                seconds = time.monotonic() - began
                others = load.read(seconds, len(times)).others
                minute = (time.monotonic() - start) / 60
                self.windows.append(replace(_window(minute, times, processes, states, events), others=others))
                events = states[-1].throttle_events

    def _cpu_seconds(self) -> float:
        return sum(cpu_seconds(each) for each in (self._pid, *descendants(self._pid)))


def _window(
    minute: float,
    times: Sequence[tuple[float, float]],
    processes: Sequence[ProcessState],
    states: Sequence[DeviceState],
    events_before: dict[str, int],
) -> Window:
    held = {
        name: _median([getattr(each, name) for each in processes])
        for name in ("own_mb", "children_mb", "memory_mb", "handles", "threads")
    }
    state = {name: _median([getattr(each, name) for each in states]) for name in _STATE}
    seen = Counter(reason for each in states for reason in each.throttling)
    reasons = {reason for reason, count in seen.items() if count >= _SEEN}
    counted = states[-1].throttle_events.items()
    reasons |= {kind for kind, count in counted if count > events_before.get(kind, count)}
    sensors = {name for each in states for name in each.temperatures_c}
    temperatures = {name: _median([each.temperatures_c.get(name) for each in states]) for name in sorted(sensors)}
    return Window(
        minute,
        len(times),
        times_statistics([frame for frame, _ in times]) if times else {},
        times_statistics([inference for _, inference in times]) if times else {},
        hottest_c=_median([each.hottest_c for each in states]),
        temperatures_c={name: value for name, value in temperatures.items() if value is not None},
        throttling=tuple(sorted(reasons)),
        **held,
        **state,
    )


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(statistics.median_low(known)) if known else None


class _Times(Sink):
    """Hands each mask's times to the recorder, and keeps none: what a soak itself holds must not grow."""

    needs_picture = False

    def __init__(self, recorder: SoakRecorder) -> None:
        super().__init__("soak")
        self._recorder = recorder

    def write(self, delivery: Delivery) -> None:
        self._recorder.add(delivery.record.ms["frame"], delivery.record.ms["inference"])


@dataclass(frozen=True)
class SoakSettings:
    """How long and how hard.

    Attributes:
        minutes: of the run.
        camera_rate: frames a second that arrive on a clock; None for each frame, back to back: the greatest load.
        outputs: where masks go (sinks.open.open_sink), as in the vehicle.
    """

    minutes: float
    camera_rate: float | None = None
    outputs: tuple[str, ...] = ()


def soak(
    model: Path,
    source: Source,
    settings: SoakSettings,
    open_engine: Callable[[], AbstractContextManager[Engine]],
    stop: threading.Event,
    watch: Watcher | None = None,
    notice: Callable[[str], None] | None = None,
) -> tuple[Outcome, list[Window]]:
    """Stream a source, over and over, through a model for so many minutes.

    Args:
        model: its file, for the summary.
        source: a file, a folder or scenes; not a camera.
        settings: how.
        open_engine: loads the model.
        stop: set it to end early; what was measured so far is returned.
        watch, notice: as in edgeseg.runtime.loop.run.

    Raises:
        SourceError, ModelError, EngineError, UsageError.
    """
    source = looped(source, settings.camera_rate)
    seconds = settings.minutes * 60
    loop = LoopSettings(every_frame=settings.camera_rate is None, seconds=seconds, outputs=settings.outputs)
    with open_engine() as engine:
        warm_up(engine, stop)
        with SoakRecorder(os.getpid(), window_seconds(seconds), from_first=True) as recorder:
            sinks = [_Times(recorder)]
            outcome = run(source, lambda: nullcontext(engine), loop, stop, watch, notice, str(model), sinks)
    if outcome.error:
        raise outcome.error
    return outcome, recorder.windows
