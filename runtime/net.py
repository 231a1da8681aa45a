"""A model for frames of a program's own: `with edgeseg.load("model.onnx") as net: result = net(frame)`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import EdgesegError, UsageError, nearest
from edgeseg.core.geometry import Placement, Size, place_through
from edgeseg.core.spec import ModelSpec
from edgeseg.runtime.engines.base import Engine
from edgeseg.runtime.engines.choose import load_engine
from edgeseg.runtime.engines.registry import GPU_BACKENDS
from edgeseg.runtime.engines.settings import EngineSettings, for_a_program
from edgeseg.runtime.own_frames import ORDERS, checked_frame

_SHOWN = 3  # classes in a repr


class Net:
    """A loaded model. Call it with a frame. A context manager: the engine owns threads and memory. Made by `load`.

    One thread at a time may call it, and on a GPU, whose contexts belong to threads, only the one that loaded it; any
    other call is an error. Nothing watches the engine: a call on a wedged GPU does not return (`stream` neither,
    but `edgeseg-camera` ends with code 5).

    Attributes:
        model: the file.
        spec: what is known of it.
        classes: names, by class id.
        frame_size: of the graph; a frame of another size is resized on the host.
    """

    def __init__(self, model: Path, engine: Engine, order: str, road: str) -> None:
        self.model, self.spec = model, engine.spec
        self.classes, self.frame_size = engine.spec.classes.names, engine.frame_size
        self._engine: Engine | None = engine
        self._name = f"{engine.backend} on {engine.device}"
        self._order, self._road = order, road
        self._thread = threading.current_thread()
        self._busy = threading.Lock()

    def __call__(self, frame: NDArray[np.uint8]) -> Result:
        """Segment a frame.

        Args:
            frame: (H, W, 3) uint8 of any size, BGR as OpenCV gives it unless `load` was told another order.

        Raises:
            UsageError: it is no such frame, another thread is at it, or the net is closed.
            EngineError: the engine failed; load the model again.
        """
        picture = checked_frame(frame, self._order)
        if not self._busy.acquire(blocking=False):
            raise UsageError("another thread is using this net; give each thread one of its own, or take a lock")
        try:
            return self._segment(self._checked_engine(), picture)
        finally:
            self._busy.release()

    def close(self) -> None:
        """Free the engine; further calls are errors."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def __enter__(self) -> Net:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = self._name if self._engine is not None else "closed"
        return f"<edgeseg.Net {self.model.name}: {len(self.classes)} classes, {self.spec.input_size}, {state}>"

    def _checked_engine(self) -> Engine:
        if self._engine is None:
            raise UsageError(f"the net of {self.model} is closed; load it again")
        if self._engine.backend in GPU_BACKENDS and threading.current_thread() is not self._thread:
            raise UsageError(
                f"the net of {self.model} was loaded on the thread {self._thread.name}, and a GPU's context belongs to "
                "its thread; load and call it on one thread"
            )
        return self._engine

    def _segment(self, engine: Engine, picture: NDArray[np.uint8]) -> Result:
        start = time.perf_counter()
        sized = picture
        if picture.shape[:2] != engine.frame_size:
            from edgeseg.runtime.timing import at_size  # OpenCV, which a frame of the graph's size does without

            sized = at_size(picture, engine.frame_size)
        prepared = time.perf_counter()
        try:
            found = engine.run(sized)
        except EdgesegError:
            self._engine = None
            engine.close()
            raise
        class_map = found.class_map.copy()  # an engine may use its output again
        confidence = None if found.confidence is None else found.confidence.copy()
        done = time.perf_counter()
        in_engine_ms = found.preprocess_ms + found.inference_ms
        ms = {
            "preprocess": (prepared - start) * 1e3 + found.preprocess_ms,
            "inference": found.inference_ms,
            "postprocess": max(0.0, (done - prepared) * 1e3 - in_engine_ms),
            "frame": (done - start) * 1e3,
        }
        return Result(self.spec, engine.frame_size, self._road, class_map, confidence, ms)


class Result:
    """What a model says of one frame.

    Attributes:
        class_map: (h, w) uint8 class ids at the network's size; the receiver's own.
        names: of the classes, by class id.
        confidence: (h, w) uint8, 255 times the softmax maximum; None if the graph has no such output.
        ms: milliseconds of `preprocess`, `inference`, `postprocess`, and `frame` for all of it.
    """

    def __init__(
        self,
        spec: ModelSpec,
        graph_size: Size,
        road: str,
        class_map: NDArray[np.uint8],
        confidence: NDArray[np.uint8] | None,
        ms: dict[str, float],
    ) -> None:
        self.class_map, self.confidence, self.ms = class_map, confidence, ms
        self.names = spec.classes.names
        self._spec, self._graph_size, self._road = spec, graph_size, road

    def share(self, name: str) -> float:
        """Return the share (0 to 1) of a class, by its name, of what the network saw of the frame.

        Raises:
            UsageError: the model has no such class.
        """
        return float(self._shares[self._id_of(name)])

    @property
    def free_space(self) -> NDArray[np.int16]:
        """(w,) int16: for each column of the class map the first row, from the bottom, that is not road.

        The rows below it are free. -1: road as far up as the network saw; -2: the network saw nothing of the column.
        Raises UsageError if the model has no class of the name that `load` was given as `road`.
        """
        from edgeseg.runtime.road import RoadReport
        from edgeseg.runtime.road_settings import RoadSettings

        report = RoadReport(RoadSettings(class_name=self._road), self._spec, self._graph_size, self._graph_size)
        return report.boundary(self.class_map)

    def overlay(self, frame: NDArray[np.uint8], opacity: float = 0.5) -> NDArray[np.uint8]:
        """Return the classes' colours over a frame: (H, W, 3) uint8 BGR, a picture of its own.

        Args:
            frame: (H, W, 3) uint8 BGR, the one that the result is of, at any size.
            opacity: 0 (the frame alone) to 1 (the colours alone).

        Raises:
            UsageError: it is no such frame.
        """
        from edgeseg.drawing.captions import mark_guessed
        from edgeseg.drawing.overlay import overlay

        picture = checked_frame(frame, ORDERS[0])
        placement = self._placement(Size(*picture.shape[:2]))
        return mark_guessed(
            overlay(picture, self.class_map, placement, self._spec.classes, opacity), self._spec.guessed
        )

    def __repr__(self) -> str:
        height, width = self.class_map.shape
        order = sorted(range(len(self.names)), key=lambda index: -self._shares[index])
        shares = ", ".join(f"{self.names[index]} {self._shares[index]:.0%}" for index in order[:_SHOWN])
        return f"<edgeseg.Result {width}x{height}: {shares}, {self.ms['frame']:.1f} ms>"

    @cached_property
    def _shares(self) -> NDArray[np.float64]:
        x, y, width, height = self._placement(self._graph_size).target
        seen = self.class_map[y : y + height, x : x + width]
        return np.bincount(seen.ravel(), minlength=256) / seen.size

    def _placement(self, picture: Size) -> Placement:
        spec = self._spec
        return place_through(self._graph_size, picture, spec.input_size, spec.fit, spec.crop)

    def _id_of(self, name: str) -> int:
        index = self._spec.classes.index(name)
        if index is None:
            known = ", ".join(self.names)
            raise UsageError(f"class {name!r} is none of the model's{nearest(name, self.names)}; it has: {known}")
        return index


def load(
    model: str | Path,
    *,
    backend: str = "auto",
    threads: int | None = None,
    spec: str | Path | None = None,
    order: str = "bgr",
    road: str = "road",
    engine: EngineSettings | None = None,
    notice: Callable[[str], None] | None = None,
) -> Net:
    """Load a model for frames of a program's own.

        with edgeseg.load("model.onnx") as net:
            result = net(frame)
            print(result.share("road"), result.free_space)

    Args:
        model: the ONNX file that `edgeseg export` wrote, a TensorRT engine, or any network with a spec.
        backend, threads, spec: shorthands for those of `engine`. `auto` takes the best that works; between OpenVINO and
            ONNX Runtime it times both, which takes a second or two: name one for a quick start.
        order: of the frames' channels, `bgr` or `rgb`.
        road: the class that is free to drive on, for `Result.free_space`.
        engine: how the model is run, in full.
        notice: told what a user must know, as of edgeseg.runtime.engines.choose.load_engine.

    Raises:
        ModelError, EngineError: the model cannot be used, or no engine works here.
        UsageError: a setting makes no sense.
    """
    if order not in ORDERS:
        raise UsageError(f"order {order!r}{nearest(str(order), ORDERS)}; expected bgr (OpenCV's) or rgb")
    chosen = engine or EngineSettings(backend=backend, threads=threads, spec=Path(spec) if spec else None)
    return Net(Path(model), load_engine(Path(model), for_a_program(chosen), notice), order, road)
