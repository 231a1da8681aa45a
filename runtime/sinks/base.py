"""Where masks go: what a sink is, what it is told, and what it is given. Each kind is one small class in kinds/."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.geometry import Size
from edgeseg.core.spec import ModelSpec
from edgeseg.runtime.records import FrameRecord
from edgeseg.runtime.settings import SinkSettings

NO_PICTURE: NDArray[np.uint8] = np.empty((0, 0, 3), np.uint8)


@dataclass(frozen=True)
class Delivery:
    """A mask on its way out.

    Attributes:
        record: of its frame.
        captured_monotonic: seconds of the monotonic clock, which no time server sets back.
        picture: (H, W, 3) uint8, BGR, as captured, valid only during `write`; NO_PICTURE for a sink that did not need
            it when the mask was handed over.
        class_map: (h, w) uint8 at the network's size.
        unsmoothed: the class map as the network gave it; None where it is `class_map`.
        confidence: (h, w) uint8, 255 times the softmax maximum, of `unsmoothed`; None if the graph has no such output.
    """

    record: FrameRecord
    captured_monotonic: float
    picture: NDArray[np.uint8]
    class_map: NDArray[np.uint8]
    unsmoothed: NDArray[np.uint8] | None = None
    confidence: NDArray[np.uint8] | None = None

    def without_picture(self) -> Delivery:
        """Return what a sink gets that needs no picture: whose memory belongs to a newer frame by then."""
        return replace(self, picture=NO_PICTURE)


@dataclass(frozen=True)
class Heartbeat:
    """How a run stands; said twice a second, whether masks come or not.

    Attributes:
        frames: counts by status, as in the summary.
        health: of the source, as in the summary.
        away_s: for how long the camera has been away; None while it is there.
        pictures: what is wrong with the newest pictures (PICTURE_REASONS).
    """

    frames: dict[str, int]
    health: dict[str, Any]
    away_s: float | None
    pictures: tuple[str, ...]


@dataclass(frozen=True)
class Playback:
    """How a recording keeps time: at `fps`; with `keep_time` a frame is held until the next one was captured."""

    fps: float
    keep_time: bool


class SinkContext(NamedTuple):
    """What a sink may have to know.

    Attributes:
        uri: the output as the user wrote it.
        path: the file, folder or socket that it names.
        spec: of the model.
        graph_size: the frame size that the camera graph takes.
        playback: how a recording keeps time.
        settings: the user's.
        notice: takes a one-line remark for the user, from any thread.
    """

    uri: str
    path: Path
    spec: ModelSpec
    graph_size: Size
    playback: Playback
    settings: SinkSettings
    notice: Callable[[str], None] = lambda text: None


class SinkClosed(Exception):  # noqa: N818 (nothing went wrong)
    """The user closed the sink, as a window is closed: the run is to end."""


class Sink(ABC):
    """Takes masks, on a thread of its own.

    Attributes:
        uri: the output as the user wrote it.
        needs_picture: whether `write` reads the picture, which holds one of the few slots of shared memory. It may
            change at any time: each mask is asked for once, when it is handed over.
    """

    needs_picture = True

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def start(self) -> None:
        """Take what others must find before the first mask. No file of an earlier run is touched before the first one.

        Raises:
            UsageError: it cannot work here; the run does not begin.
        """

    @abstractmethod
    def write(self, delivery: Delivery) -> None:
        """Put one mask out. Raises OSError or UsageError when it cannot, SinkClosed when the user has closed it."""

    def beat(self, heartbeat: Heartbeat) -> None:
        """Hear how the run stands, twice a second and on the sink's thread: how a silent camera is noticed."""

    def hurry(self) -> None:
        """The run is over: a `write` that waits for somebody is to wait no longer. Called from another thread."""

    def close(self) -> None:
        """Finish what was begun. Called in any case, also after a failure."""

    def counts(self) -> dict[str, int]:
        """Figures of its own for the summary."""
        return {}
