"""Masks in a program of one's own: `for result in edgeseg.runtime.stream(source, model): ...`."""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import UsageError
from edgeseg.runtime.engines.choose import load_engine
from edgeseg.runtime.engines.settings import EngineSettings, for_a_program
from edgeseg.runtime.loop import Outcome, run
from edgeseg.runtime.records import FrameRecord
from edgeseg.runtime.road import RoadResult
from edgeseg.runtime.road_settings import RoadSettings
from edgeseg.runtime.settings import LoopSettings
from edgeseg.runtime.sinks.base import Delivery, Sink
from edgeseg.runtime.sources.addresses import parse_source
from edgeseg.runtime.states import Reason, Status
from edgeseg.runtime.summary import Summary

__all__ = ["EngineSettings", "RoadSettings", "Stream", "StreamResult", "stream"]

_POLL_S = 0.1
_CLOSE_TIMEOUT_S = 15.0  # longer than the outputs' own


@dataclass(frozen=True)
class StreamResult:
    """A mask, and how old it is.

    Attributes:
        class_map: (h, w) uint8 class ids at the network's size; the receiver's own.
        frame: the frame's id; a gap means frames that were overtaken by newer ones.
        captured_at: Unix seconds.
        captured_monotonic: seconds of `time.monotonic()`, which no time server sets back.
        status: `ok`, or `stale`: too old or not of now, never to be used as good.
        reason: why it is not ok (`deadline`, `frozen`, ...), or None.
        latency_ms: from capture to mask.
        ms: milliseconds by stage, as in `--stats` (docs: edgeseg.runtime.records.FrameRecord).
        road: what the mask says of the road; None without the setting `road`.
        confidence: (h, w) uint8, 255 times the softmax maximum; None if the graph has no such output.
        picture: (H, W, 3) uint8, BGR, the captured frame; None unless `pictures` was asked for.
    """

    class_map: NDArray[np.uint8]
    frame: int
    captured_at: float
    captured_monotonic: float
    status: Status
    reason: Reason | None
    latency_ms: float
    ms: dict[str, float]
    road: RoadResult | None = None
    picture: NDArray[np.uint8] | None = None
    confidence: NDArray[np.uint8] | None = None

    @property
    def age_ms(self) -> float:
        """Milliseconds since the capture, now: what a decision has to know."""
        return (time.monotonic() - self.captured_monotonic) * 1e3


class Stream(Iterator[StreamResult]):
    """A running stream of masks: an iterator and a context manager. Made by `stream`.

    It ends with the source. Leaving the loop, the `with` block or the last reference ends it too, and with it the
    capture process, the threads and the engine.
    """

    def __init__(self, box: _Newest, arguments: dict[str, Any]) -> None:
        self._box = box
        self._thread = threading.Thread(
            target=_run, args=(box, arguments), name="edgeseg-stream", daemon=True
        )  # holds the box, not the stream: a stream that nobody holds can go
        self._finalizer = weakref.finalize(self, _end, box, self._thread)
        self._thread.start()

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> StreamResult:
        """Wait for the next mask.

        Raises:
            StopIteration: the source has ended, or the stream was closed.
            SourceError, ModelError, EngineError, UsageError: it could not start, or what ended it.
        """
        result = self._box.take()
        if result is not None:
            return result
        self._thread.join()
        error, self._box.error = self._box.error, None
        if error is not None:
            raise error
        raise StopIteration

    def close(self) -> None:
        """End the stream; its capture process, threads and engine are gone when this returns."""
        self._finalizer()

    @property
    def summary(self) -> Summary | None:
        """The run's figures once it has ended, else None."""
        return self._box.outcome.summary if self._box.outcome else None

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def stream(
    source: str,
    model: str | Path,
    *,
    backend: str = "auto",
    threads: int | None = None,
    engine: EngineSettings | None = None,
    source_rate: float | None = None,
    loop: bool = False,
    pictures: bool = False,
    **settings: Any,
) -> Stream:
    """Stream a camera, a video or pictures through a model.

    The newest frame always comes next: a loop body that is slower than the camera misses masks, and its mask is never
    older than necessary. With `every_frame=True` a file's frames are all waited for.

        for result in edgeseg.runtime.stream("drive.mp4", "model.onnx", deadline_ms=200):
            if result.status == "ok":
                steer(result.class_map, result.age_ms)

    Args:
        source: a source URI, as for `edgeseg-camera`.
        model: the ONNX file that `edgeseg export` wrote, or any with `engine=EngineSettings(spec=...)`.
        backend, threads: shorthands for those of `engine`.
        engine: how the model is run.
        source_rate: frames a second to play a file at.
        loop: begin again when the source ends.
        pictures: hand over a copy of the captured frame with each mask.
        settings: those of edgeseg.runtime.settings.LoopSettings: `deadline_ms`, `every_frame`, `frames`, `seconds`,
            `outputs` for further sinks, `road=RoadSettings()`, and so on.

    Returns:
        An iterator of StreamResult that is a context manager as well.

    Raises:
        SourceError, UsageError: the source makes no sense. What fails later is raised by the iteration.
        TypeError: a setting that does not exist.
    """
    chosen = LoopSettings(**settings)
    parsed = parse_source(source, source_rate, loop)
    box = _Newest(pictures, waits=chosen.every_frame)
    how = for_a_program(engine or EngineSettings(backend=backend, threads=threads))
    return Stream(
        box,
        {
            "source": parsed,
            "open_engine": lambda: load_engine(Path(model), how),
            "settings": chosen,
            "model": str(model),
        },
    )


class _Newest(Sink):
    """Between the loop and the program: holds the newest mask; with `waits`, each one until it is taken."""

    def __init__(self, pictures: bool, waits: bool) -> None:
        super().__init__("python")
        self.needs_picture = pictures
        self.stop = threading.Event()
        self.outcome: Outcome | None = None
        self.error: BaseException | None = None
        self._waits = waits
        self._results: deque[StreamResult] = deque(maxlen=None if waits else 1)
        self._missed = 0
        self._is_over = False
        self._news = threading.Condition()

    def write(self, delivery: Delivery) -> None:
        picture = delivery.picture.copy() if self.needs_picture else None
        result = _result(delivery.record, delivery, picture)
        with self._news:
            while self._waits and self._results and not self.stop.is_set():
                self._news.wait(_POLL_S)
            self._missed += bool(self._results) and self._results.maxlen == 1
            self._results.append(result)
            self._news.notify_all()

    def hurry(self) -> None:
        with self._news:
            self._waits = False
            self._news.notify_all()

    def take(self) -> StreamResult | None:
        """Wait for a result; None at the end."""
        with self._news:
            while not self._results and not self._is_over:
                self._news.wait()
            if self.stop.is_set() or not self._results:
                return None
            self._news.notify_all()
            return self._results.popleft()

    def end(self) -> None:
        with self._news:
            self._is_over = True
            self._news.notify_all()

    def counts(self) -> dict[str, int]:
        """Masks that the program missed because it was busy."""
        return {"missed": self._missed}


def _result(record: FrameRecord, delivery: Delivery, picture: NDArray[np.uint8] | None) -> StreamResult:
    return StreamResult(
        class_map=delivery.class_map.copy(),  # an engine may use its output again
        frame=record.frame,
        captured_at=record.captured_at,
        captured_monotonic=delivery.captured_monotonic,
        status=record.status,
        reason=record.reason,
        latency_ms=record.ms["capture_to_mask"],
        ms=dict(record.ms),
        road=record.road,
        picture=picture,
        confidence=None if delivery.confidence is None else delivery.confidence.copy(),
    )


def _run(box: _Newest, arguments: dict[str, Any]) -> None:
    """Run in the stream's thread: the engine is made, used and freed here."""
    try:
        box.outcome = run(**arguments, stop=box.stop, sinks=[box])
        failures = box.outcome.failures
        box.error = box.outcome.error or (UsageError(failures[0]) if failures else None)
    except BaseException as error:  # raised again where the program waits for a mask
        box.error = error
    finally:
        box.end()


def _end(box: _Newest, thread: threading.Thread) -> None:
    box.stop.set()
    if thread is not threading.current_thread():
        thread.join(_CLOSE_TIMEOUT_S)
