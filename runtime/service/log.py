"""What a run says while it goes on and at its end: as text for people, or as lines of JSON for programs."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from abc import ABC, abstractmethod
from datetime import datetime, timezone
from typing import Any, TextIO

import click

from edgeseg.console import say
from edgeseg.errors import EdgesegError
from edgeseg.runtime.records import Ledger, Summary
from edgeseg.runtime.report import StatusLine, table

_INTERVAL_S = 10.0


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
            with contextlib.suppress(OSError, ValueError):  # a log that is full or gone must not end the camera
                click.echo(f"edgeseg-camera: {text}", err=True)

    def summary(self, summary: Summary) -> None:
        if self._status:
            self._status.clear()
            say(table(summary))

    def error(self, error: EdgesegError) -> None:
        click.echo(f"edgeseg-camera: {error}", err=True)


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
        self._say("error", "error", message=str(error), exit_code=error.exit_code)

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
