"""Output URIs: what they name, whether it can be written, and the sink that does it."""

from __future__ import annotations

import importlib
import itertools
import os
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import unquote

from edgeseg.core.errors import UsageError, nearest
from edgeseg.core.files import check_writable, file_url, is_taken, lower_scheme
from edgeseg.core.geometry import Size
from edgeseg.core.private import shown_place
from edgeseg.core.spec import ModelSpec
from edgeseg.runtime.settings import SinkSettings
from edgeseg.runtime.sinks.base import Playback, Sink, SinkContext
from edgeseg.runtime.sinks.registry import SINKS
from edgeseg.runtime.sinks.web_address import is_web, parse_web_address

VIDEO_SUFFIXES = (".mkv", ".mp4", ".avi")
_EXPECTED = (
    f"a video ({', '.join(VIDEO_SUFFIXES)}), a folder for class maps, ending in /, unix://SOCKET, "
    "http://127.0.0.1:PORT, display:// or record://FOLDER"
)


def open_sink(
    uri: str,
    spec: ModelSpec,
    graph_size: Size,
    playback: Playback,
    settings: SinkSettings | None = None,
    notice: Callable[[str], None] | None = None,
) -> Sink:
    """Return the sink for an output URI.

    Args:
        uri: `file://overlay.mkv` or a plain path (.mkv, .mp4, .avi); a folder (`masks/`) of class-map PNG files;
            `unix:///run/edgeseg.sock`; `http://127.0.0.1:8080`; `display://`; `record://FOLDER`, for edgeseg replay.
        spec, graph_size, playback, settings, notice: see SinkContext.

    Raises:
        UsageError: the text names no kind of sink, or its place cannot be written.
    """
    kind, path = parse_sink(uri)
    if kind in ("video", "unix"):
        check_writable(path)
    elif kind == "folder":
        check_writable(path / "00000000.png")
    module, _, name = SINKS[kind].partition(":")
    context = SinkContext(
        uri, path, spec, graph_size, playback, settings or SinkSettings(), notice or (lambda text: None)
    )
    sink: Sink = getattr(importlib.import_module(module), name)(context)
    return sink


def sink_path(uri: str) -> Path | None:
    """Return the absolute path that an output URI names, None for a window or a page.

    Raises:
        UsageError: it names no kind of sink.
    """
    kind, path = parse_sink(uri)
    return None if kind in ("display", "live") else path


def check_distinct(uris: Sequence[str]) -> None:
    """Raise UsageError if two output URIs name one place, or one is no output."""
    taken: dict[str, str] = {}
    for uri in uris:
        path = sink_path(uri)
        place = os.path.realpath(path) if path else f"a page {uri}" if is_web(uri) else "a window"
        if place in taken:
            raise UsageError(f"outputs {taken[place]} and {uri} are one; give each output a place of its own")
        taken[place] = uri


def parse_sink(uri: str) -> tuple[str, Path]:
    """Return an output URI's kind, a key of the table, and its absolute path. Raises UsageError for no kind of sink."""
    if is_web(uri):
        parse_web_address(uri)
        return "live", Path()
    scheme, separator, rest = lower_scheme(uri).partition("://")
    rest = unquote(rest, errors="surrogateescape") if scheme == "file" else rest
    if separator and scheme not in ("file", "unix", "display", "record"):
        close = nearest(scheme, ["file", "unix", "http", "display", "record"])
        raise UsageError(f"output {shown_place(uri)}: its kind is not supported{close}; expected {_EXPECTED}")
    path = Path(os.path.expanduser(rest if separator else uri)).absolute()
    if separator and scheme == "display":
        if rest not in ("", "0"):
            raise UsageError(
                f"output {shown_place(uri)}; expected display://, a window on the screen that DISPLAY names"
            )
        return "display", path
    if separator and scheme in ("unix", "record"):
        if not rest or (scheme == "unix" and rest.endswith("/")):
            example = "the socket's path, as in unix:///run/edgeseg.sock"
            raise UsageError(
                f"output {uri!r}; expected {example if scheme == 'unix' else 'a folder, as in record://drive'}"
            )
        return scheme, path
    if path.suffix.lower() in VIDEO_SUFFIXES and not path.is_dir():
        _check_text(uri, path)
        return "video", path
    if uri.endswith("/") or path.is_dir():
        return "folder", path
    raise UsageError(f"output {shown_place(uri)}; expected {_EXPECTED}")


def _check_text(uri: str, path: Path) -> None:
    """Raise UsageError for a path that is not UTF-8: OpenCV's writer would end the process."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"output {uri!r}: {str(path)!r} is not UTF-8; expected a path that is") from error


def fresh_recording_paths(uris: Sequence[str], has_quota: bool) -> tuple[str, ...]:
    """Return output URIs with a dated place (UTC, ISO 8601) for each recording whose place holds one already.

    A service starts again and again, and no start is to cost the drive before it.

    Args:
        uris: of the outputs.
        has_quota: videos are cut into segments, whose numbers go on by themselves.

    Raises:
        UsageError: one names no kind of sink, or a folder that cannot be looked into.
    """
    return tuple(_fresh_path(uri, has_quota) for uri in uris)


def _fresh_path(uri: str, has_quota: bool) -> str:
    kind, path = parse_sink(uri)
    if kind == "record" and is_taken(path):
        return f"record://{_free(lambda date: path / date)}"
    if kind == "video" and not has_quota and _holds_video(path):
        return file_url(_free(lambda date: path.with_name(f"{path.stem}-{date}{path.suffix}")))
    return uri


def _holds_video(path: Path) -> bool:
    return os.path.isfile(path) and os.path.getsize(path) > 0


def _free(place: Callable[[str], Path]) -> Path:
    """Return the first place that is free: a clock without a battery begins at the same time again."""
    date = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}"
    dates = itertools.chain([date], (f"{date}-{number}" for number in itertools.count(2)))
    return next(each for each in map(place, dates) if not os.path.lexists(each))
