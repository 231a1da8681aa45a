"""What a run says while it goes on and at its end: as text for people, or as lines of JSON for programs."""

from __future__ import annotations

import json
import shutil
import sys
import time
from abc import ABC, abstractmethod
from datetime import datetime, timezone
from typing import Any, TextIO

from edgeseg.core.console import note, say
from edgeseg.core.errors import EdgesegError, one_line
from edgeseg.core.private import without_typed_secrets
from edgeseg.runtime.records import Ledger
from edgeseg.runtime.summary import Summary, table

_INTERVAL_S = 10.0
_REFRESH_S = 0.5  # of the status line on a terminal


class Log(ABC):
    """Told of a run by calls; it is a watcher of the run too (edgeseg.runtime.loop.Watcher)."""

    @abstractmethod
    def __call__(self, ledger: Ledger, seconds: float) -> None:
        """Show how it goes."""

    @abstractmethod
    def notice(self, text: str) -> None:
        """Say a one-line remark."""

    @abstractmethod
    def summary(self, summary: Summary) -> None:
        """Say the figures at the end. Raises UsageError when they cannot be written."""

    @abstractmethod
    def error(self, error: EdgesegError) -> None:
        """Say what went wrong."""


class TextLog(Log):
    """Remarks and a status line on standard error, the summary as a table on standard output."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._status = None if quiet else StatusLine()

    def __call__(self, ledger: Ledger, seconds: float) -> None:
        if self._status:
            self._status(ledger, seconds)

    def notice(self, text: str) -> None:
        if not self._quiet:
            note(f"edgeseg-camera: {one_line(text)}")

    def summary(self, summary: Summary) -> None:
        if self._status:
            self._status.clear()
            say(table(summary))

    def error(self, error: EdgesegError) -> None:
        note(f"edgeseg-camera: {without_typed_secrets(one_line(error), sys.argv[1:])}")


class JsonLog(Log):
    """Lines such as `{"time": ..., "level": "info", "event": "notice", "message": ...}` on standard error.

    Events: `notice` and `error` with `message` (and `exit_code`), `state` every ten seconds, `summary` with the summary
    itself. Times are UTC, ISO 8601.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._said_at = time.monotonic()
        self._is_gone = False

    def __call__(self, ledger: Ledger, seconds: float) -> None:
        now = time.monotonic()
        if now - self._said_at < _INTERVAL_S:
            return
        self._said_at = now
        frames = ledger.frames
        self._say(
            "state",
            seconds=round(seconds, 1),
            fps=round((frames["processed"] + frames["stale"]) / max(seconds, 1e-3), 2),
            frames=frames,
            camera_away=ledger.source.away.under_way,
            capture_to_mask_ms=ledger.latency["capture_to_mask"].summary(),
        )

    def notice(self, text: str) -> None:
        self._say("notice", message=text)

    def summary(self, summary: Summary) -> None:
        self._say("summary", summary=summary.to_dict())

    def error(self, error: EdgesegError) -> None:
        self._say("error", "error", message=without_typed_secrets(str(error), sys.argv[1:]), exit_code=error.exit_code)

    def _say(self, event: str, level: str = "info", **values: Any) -> None:
        """Write one line. A log that is full or gone must not end the camera."""
        if self._is_gone:
            return
        stamp = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        try:
            self._stream.write(json.dumps({"time": stamp, "level": level, "event": event, **values}) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self._is_gone = True


class StatusLine:
    """Shows frame rate and latency while a run goes on: in place on a terminal, else a line every 10 seconds."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._interval = _REFRESH_S if self._live else 10.0
        self._shown_at = time.monotonic()

    def __call__(self, ledger: Ledger, seconds: float) -> None:
        now = time.monotonic()
        if now - self._shown_at < self._interval:
            return
        self._shown_at = now
        text = _state(ledger, seconds)
        width = shutil.get_terminal_size().columns - 1  # a line that wraps could not be taken back
        self._write(f"\r\x1b[2K{text[:width]}" if self._live else f"{text}\n")

    def clear(self) -> None:
        """Leave the terminal's line empty for what follows."""
        if self._live:
            self._write("\r\x1b[2K")

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # a log that is full or gone must not end the camera
            self._interval = float("inf")


def _state(ledger: Ledger, seconds: float) -> str:
    """Return one line on how it goes."""
    away = "  the camera is away, looking for it" if ledger.source.away.under_way else ""
    age, cost = ledger.latency["capture_to_mask"], ledger.latency["frame"]
    if not cost.count:
        return f"no mask yet{away}"
    return (
        f"{seconds:.0f} s  {cost.count / max(seconds, 1e-3):.1f} fps  ms/frame p50 {cost.percentile(50):.1f} "
        f"p99 {cost.percentile(99):.1f}  age p50 {age.percentile(50):.1f} p99 {age.percentile(99):.1f} ms  "
        f"skipped {ledger.frames['skipped']}{away}"
    )
