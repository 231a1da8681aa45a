"""Where masks go: one small class a kind of sink, and one line in a table."""

from __future__ import annotations

import importlib
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeseg.errors import UsageError, nearest
from edgeseg.files import check_writable
from edgeseg.geometry import Size
from edgeseg.runtime.records import FrameRecord
from edgeseg.spec import ModelSpec

VIDEO_SUFFIXES = (".mkv", ".mp4", ".avi")

_KINDS = {
    "video": "edgeseg.runtime.recording:OverlayVideo",
    "folder": "edgeseg.runtime.class_map_folder:ClassMapFolder",
    "unix": "edgeseg.runtime.mask_socket:MaskSocket",
    "display": "edgeseg.runtime.display:Display",
    "record": "edgeseg.runtime.frame_recording:FrameRecording",
}
_EXPECTED = (
    f"a video ({', '.join(VIDEO_SUFFIXES)}), a folder for class maps, ending in /, unix://SOCKET, display:// "
    "or record://FOLDER"
)


@dataclass(frozen=True)
class Delivery:
    """A mask on its way out.

    Attributes:
        record: of its frame.
        captured_monotonic: seconds of the monotonic clock, which no time server sets back.
        picture: (H, W, 3) uint8, BGR, as captured; valid only during the `write` of a sink with `needs_picture`.
        class_map: (h, w) uint8 at the network's size.
        unsmoothed: the class map as the network gave it; None where it is `class_map`.
    """

    record: FrameRecord
    captured_monotonic: float
    picture: NDArray[np.uint8]
    class_map: NDArray[np.uint8]
    unsmoothed: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Playback:
    """How a recording keeps time: at `fps`; with `keep_time` a frame is held until the next one was captured."""

    fps: float
    keep_time: bool


@dataclass(frozen=True)
class SinkSettings:
    """What the user chose for all sinks: how overlays look, and how much room recordings may take.

    Attributes:
        opacity: of overlays, 0 to 1.
        legend: show class names and figures on overlays.
        quota: `90min` or `20GB` of recording, the oldest deleted; None for one file without a limit.
    """

    opacity: float = 0.5
    legend: bool = True
    quota: str | None = None


class SinkContext(NamedTuple):
    """What a sink may have to know.

    Attributes:
        uri: the output as the user wrote it.
        path: the file, folder or socket that it names.
        spec: of the model.
        graph_size: the frame size that the camera graph takes.
        playback: how a recording keeps time.
        settings: the user's.
    """

    uri: str
    path: Path
    spec: ModelSpec
    graph_size: Size
    playback: Playback
    settings: SinkSettings


class SinkClosed(Exception):  # noqa: N818 (nothing went wrong)
    """The user closed the sink, as a window is closed: the run is to end."""


class Sink(ABC):
    """Takes masks, on a thread of its own.

    Attributes:
        uri: the output as the user wrote it.
        needs_picture: whether `write` reads the picture, which holds one of the few slots of shared memory.
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

    def hurry(self) -> None:
        """The run is over: a `write` that waits for somebody is to wait no longer. Called from another thread."""

    def close(self) -> None:
        """Finish what was begun. Called in any case, also after a failure."""

    def counts(self) -> dict[str, int]:
        """Figures of its own for the summary."""
        return {}


def open_sink(
    uri: str, spec: ModelSpec, graph_size: Size, playback: Playback, settings: SinkSettings | None = None
) -> Sink:
    """Return the sink for an output URI.

    Args:
        uri: `file://overlay.mkv` or a plain path (.mkv, .mp4, .avi); a folder (`masks/`) of class-map PNG files;
            `unix:///run/edgeseg.sock`; `display://`; `record://FOLDER`, for edgeseg replay.
        spec, graph_size, playback, settings: see SinkContext.

    Raises:
        UsageError: the text names no kind of sink, or its place cannot be written.
    """
    kind, path = parse_sink(uri)
    if kind in ("video", "unix"):
        check_writable(path)
    elif kind == "folder":
        check_writable(path / "00000000.png")
    module, _, name = _KINDS[kind].partition(":")
    context = SinkContext(uri, path, spec, graph_size, playback, settings or SinkSettings())
    sink: Sink = getattr(importlib.import_module(module), name)(context)
    return sink


def sink_path(uri: str) -> Path | None:
    """Return the absolute path that an output URI names, None for a window. Raises UsageError for no kind of sink."""
    kind, path = parse_sink(uri)
    return None if kind == "display" else path


def check_distinct(uris: Sequence[str]) -> None:
    """Raise UsageError if two output URIs name one place, or one is no output."""
    taken: dict[str, str] = {}
    for uri in uris:
        path = sink_path(uri)
        place = os.path.realpath(path) if path else "a window"
        if place in taken:
            raise UsageError(f"outputs {taken[place]} and {uri} are one; give each output a place of its own")
        taken[place] = uri


def parse_sink(uri: str) -> tuple[str, Path]:
    """Return an output URI's kind, a key of the table, and its absolute path. Raises UsageError for no kind of sink."""
    scheme, separator, rest = uri.partition("://")
    if separator and scheme not in ("file", "unix", "display", "record"):
        close = nearest(scheme, ["file", "unix", "display", "record"])
        raise UsageError(f"output {uri!r}: {scheme}:// is not supported{close}; expected {_EXPECTED}")
    path = Path(os.path.expanduser(rest if separator else uri)).absolute()
    if separator and scheme == "display":
        if rest not in ("", "0"):
            raise UsageError(f"output {uri!r}; expected display://, a window on the screen that DISPLAY names")
        return "display", path
    if separator and scheme == "unix":
        if not rest or rest.endswith("/"):
            raise UsageError(f"output {uri!r}; expected the socket's path, as in unix:///run/edgeseg.sock")
        return "unix", path
    if separator and scheme == "record":
        if not rest:
            raise UsageError(f"output {uri!r}; expected a folder, as in record://drive")
        return "record", path
    if path.suffix.lower() in VIDEO_SUFFIXES and not path.is_dir():
        _check_text(uri, path)
        return "video", path
    if uri.endswith("/") or path.is_dir():
        return "folder", path
    raise UsageError(f"output {uri!r}; expected {_EXPECTED}")


def _check_text(uri: str, path: Path) -> None:
    """Raise UsageError for a path that is not UTF-8: OpenCV's writer would end the process."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"output {uri!r}: {str(path)!r} is not UTF-8; expected a path that is") from error
