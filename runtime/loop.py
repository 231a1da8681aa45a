"""The camera loop: newest frame -> engine -> mask, with the age of every mask known."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial

from edgeseg.core.errors import EdgesegError, UsageError
from edgeseg.core.geometry import Size
from edgeseg.runtime.capture.capture import Capture, CapturedFrame, Skipped
from edgeseg.runtime.deadline import deadline_for
from edgeseg.runtime.engines.base import Engine
from edgeseg.runtime.records import FrameRecord, Ledger
from edgeseg.runtime.reports import MaskReports, choose_reports
from edgeseg.runtime.settings import LoopSettings
from edgeseg.runtime.sinks.base import Delivery, Playback, Sink
from edgeseg.runtime.sinks.fan_out import SinkFanOut
from edgeseg.runtime.sinks.open import check_distinct, open_sink
from edgeseg.runtime.sinks.segments import parse_quota
from edgeseg.runtime.sinks.web_address import check_web
from edgeseg.runtime.sources.source import Source
from edgeseg.runtime.states import Reason, Status
from edgeseg.runtime.summary import Summary
from edgeseg.runtime.timing import at_size, stage_times

Watcher = Callable[[Ledger, float], None]
"""Called after every mask, and twice a second while none comes, with the ledger so far and the seconds since the start.

`ledger.source` says whether the camera is away and being recovered. The first call comes when the model is loaded.
"""

_TICK_S = 0.5


@dataclass(frozen=True)
class Outcome:
    """The end of a run: its figures, what ended it early, and one line for each output that failed on the way."""

    summary: Summary
    error: EdgesegError | None
    failures: list[str]


def check_pace(source: Source, settings: LoopSettings) -> None:
    """Raise UsageError if each frame is wanted of a source that does not wait."""
    if source.is_camera and settings.every_frame:
        raise UsageError(f"source {source.uri}: a camera waits for nobody; leave every-frame out, or record it first")


def run(
    source: Source,
    open_engine: Callable[[], AbstractContextManager[Engine]],
    settings: LoopSettings,
    stop: threading.Event,
    watch: Watcher | None = None,
    notice: Callable[[str], None] | None = None,
    model: str = "",
    sinks: Sequence[Sink] = (),
) -> Outcome:
    """Stream a source through an engine until it ends, a limit is reached or `stop` is set.

    Args:
        source: see edgeseg.runtime.sources.addresses.parse_source.
        open_engine: loads the engine; called while the source is being opened, and closed in the end.
        settings: limits and outputs.
        stop: set it, from a signal handler or another thread, to end the run cleanly.
        watch: progress callback.
        notice: takes one-line remarks for the user.
        model: the model's name for the summary.
        sinks: more outputs, beside those of the settings.

    Raises:
        SourceError, ModelError, EngineError, UsageError: nothing could be started. What fails later is in the outcome.
    """
    check_pace(source, settings)
    check_distinct(settings.outputs)
    check_web(settings.outputs, settings.for_sinks())
    parse_quota(settings.quota)
    with Capture(source, settings=settings.for_capture()) as capture, open_engine() as engine:
        engine.warm_up(settings.warm_up_frames)
        deadline_ms = deadline_for(settings.deadline_ms, source.is_camera, engine.warm_ms, notice)
        ledger = Ledger(capture.health)
        size = _first_size(capture, ledger, stop, watch, notice)
        if size and size != engine.frame_size and notice:
            notice(_resize_notice(size, engine.frame_size))
        playback = Playback(capture.fps, keep_time=not settings.every_frame)
        wants_confidence = settings.stats is not None and engine.gives_confidence
        reports = choose_reports(settings.road, wants_confidence, engine.spec, engine.frame_size, size)
        running = replace(settings, deadline_ms=deadline_ms)
        chosen = running.for_sinks()
        opened = [open_sink(uri, engine.spec, engine.frame_size, playback, chosen, notice) for uri in settings.outputs]
        every = [*sinks, *opened]
        with SinkFanOut(every, settings.stats, not settings.every_frame, stop, notice, ledger) as outputs:
            start = time.monotonic()
            error = _stream(capture, engine, outputs, running, stop, watch, notice, reports) if size else None
            seconds = time.monotonic() - start
            captured, left = capture.finish()
            _record_skipped(left, Reason.STOPPED, outputs)
    summary = Summary(
        source=source.uri,
        mode="every-frame" if settings.every_frame else "newest",
        model=model,
        backend=engine.backend,
        device=engine.device,
        precision=engine.spec.precision,
        camera_size=str(size) if size else "",
        network_size=str(engine.spec.input_size),
        frames={**ledger.frames, "captured": captured},
        stale=dict(ledger.stale),
        warm_up_frames=settings.warm_up_frames,
        seconds=seconds,
        latency_ms=ledger.latency_ms(),
        source_health=capture.health.to_dict(),
        outputs={state.sink.uri: state.to_dict() for state in outputs.states},
    )
    return Outcome(summary, error, outputs.failures())


def _first_size(
    capture: Capture,
    ledger: Ledger,
    stop: threading.Event,
    watch: Watcher | None,
    notice: Callable[[str], None] | None,
) -> Size | None:
    """Wait for the source's first frame and return its size; meanwhile the watcher hears of a camera that is away."""
    size = None
    while size is None and not stop.is_set():
        size = capture.wait_until_open(stop, time.monotonic() + _TICK_S)
        _pass_on(capture, notice)
        if watch and size is None:
            watch(ledger, 0.0)
    return size


def _stream(
    capture: Capture,
    engine: Engine,
    outputs: SinkFanOut,
    settings: LoopSettings,
    stop: threading.Event,
    watch: Watcher | None,
    notice: Callable[[str], None] | None,
    reports: MaskReports,
) -> EdgesegError | None:
    """Run the loop; return what ended it early."""
    capture.start()
    start = time.monotonic()
    until = None if settings.seconds is None else start + settings.seconds
    masks = 0
    in_flight: deque[InFlightFrame] = deque()  # in the engine; more than one only where it takes more

    def end_oldest() -> None:
        oldest = in_flight[0]
        delivery = _end(oldest, engine, settings.deadline_ms, reports)
        in_flight.popleft()
        outputs.deliver(delivery, partial(capture.release, oldest.frame))

    try:
        while not stop.is_set() and not _limit_reached(settings, masks, until):
            tick = time.monotonic() + (0 if in_flight else _TICK_S)  # a mask under way waits for no frame
            frame = capture.next_frame(stop, tick if until is None else min(tick, until))
            _pass_on(capture, notice)
            if frame is not None:
                in_flight.append(InFlightFrame(frame))
                masks += 1
                _record_skipped(frame.skipped, Reason.OVERTAKEN, outputs)
                _begin(in_flight[-1], engine)
            if in_flight and (frame is None or len(in_flight) >= engine.in_flight):
                end_oldest()
            elif frame is None and capture.is_over:
                break
            outputs.beat()
            if watch:
                watch(outputs.ledger, time.monotonic() - start)
        while in_flight:
            end_oldest()
    except EdgesegError as error:
        for each in in_flight:
            outputs.record(
                FrameRecord(each.frame.id, each.frame.captured_at, Status.FAILED, Reason.ENGINE, each.frame.clock)
            )
        return error
    finally:
        _pass_on(capture, notice)
    return None


def _pass_on(capture: Capture, notice: Callable[[str], None] | None) -> None:
    for text in capture.take_news():
        if notice:
            notice(text)


def _record_skipped(frames: list[Skipped], reason: Reason, outputs: SinkFanOut) -> None:
    for frame in frames:
        outputs.record(FrameRecord(frame.id, frame.captured_at, Status.SKIPPED, reason, frame.clock))


def _resize_notice(camera: Size, graph: Size) -> str:
    distorted = "" if camera.width * graph.height == camera.height * graph.width else ", which changes their aspect"
    return (
        f"frames of {camera} are resized on the host to the model's {graph}{distorted}; "
        f"export with --camera-size {camera} to have it done in the graph"
    )


def _limit_reached(settings: LoopSettings, masks: int, until: float | None) -> bool:
    return (settings.frames is not None and masks >= settings.frames) or (
        until is not None and time.monotonic() >= until
    )


@dataclass
class InFlightFrame:
    """A frame in the engine, and when it was taken and prepared."""

    frame: CapturedFrame
    taken: float = 0.0
    prepared: float = 0.0


def _begin(flight: InFlightFrame, engine: Engine) -> None:
    flight.taken = time.monotonic()
    picture = at_size(flight.frame.picture, engine.frame_size)
    flight.prepared = time.monotonic()
    engine.submit(picture)


def _end(flight: InFlightFrame, engine: Engine, deadline_ms: float | None, reports: MaskReports) -> Delivery:
    frame = flight.frame
    result = engine.collect()
    class_map, road, means = reports.add(result.class_map, result.confidence, frame.captured_monotonic)
    stages = stage_times(flight.taken, flight.prepared, time.monotonic(), result)
    wait = (flight.taken - frame.captured_monotonic) * 1e3
    ms = {"wait": wait, **stages, "capture_to_mask": wait + stages["frame"]}
    reason = frame.reason
    if reason is None and deadline_ms is not None and ms["capture_to_mask"] > deadline_ms:
        reason = Reason.DEADLINE
    status = Status.STALE if reason else Status.OK
    record = FrameRecord(frame.id, frame.captured_at, status, reason, frame.clock, ms, road, frame.seen, means)
    return Delivery(record, frame.captured_monotonic, frame.picture, class_map, result.class_map, result.confidence)
