"""What a run looks like on a screen: the live status line and the table at the end."""

from __future__ import annotations

import shutil
import sys
import time
from typing import Any, TextIO

from edgeseg.runtime.health import PICTURE_REASONS
from edgeseg.runtime.records import Ledger, Summary

_REFRESH_S = 0.5
_STAGES = (
    ("capture_to_mask", "capture to mask"),
    ("wait", "  waiting"),
    ("preprocess", "  preprocess"),
    ("inference", "  inference"),
    ("postprocess", "  postprocess"),
    ("output", "output (beside)"),
)


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


def headline(summary: Summary) -> str:
    """Return the figure that people compare."""
    cost = summary.latency_ms["frame"]
    return f"{cost['p50']:.2f} ms/frame (p50), {cost['p90']:.2f} (p90), {cost['p99']:.2f} (p99); {summary.fps:.1f} fps"


def table(summary: Summary) -> str:
    """Return the summary as text for a terminal."""
    frames = summary.frames
    lines = [
        headline(summary),
        f"{summary.model} ({summary.precision}) on {summary.backend}, {summary.device}",
        f"{summary.source}: camera {summary.camera_size}, network {summary.network_size}",
        f"frames: {frames['captured']} captured = {frames['processed']} processed + {frames['skipped']} skipped "
        f"+ {frames['stale']} stale + {frames['failed']} failed, in {summary.seconds:.2f} s "
        f"(after {summary.warm_up_frames} warm-up frames)",
        *_health_lines(summary.source_health),
        "",
        f"{'ms':<18}{'mean':>9}{'p50':>9}{'p90':>9}{'p99':>9}{'max':>9}",
    ]
    for stage, name in _STAGES:
        values = summary.latency_ms[stage]
        if stage == "output" and not values["max"]:
            continue
        lines.append(f"{name:<18}" + "".join(f"{values[key]:9.2f}" for key in ("mean", "p50", "p90", "p99", "max")))
    for uri, state in summary.outputs.items():
        lines.append(f"output {uri}: {state['written']} written, {state['dropped']} dropped because it was slow")
    return "\n".join(lines)


def _health_lines(health: dict[str, Any]) -> list[str]:
    """Say what the source suffered, if it did."""
    interruptions = health["stalls"] + health["deaths"] + health["losses"]
    lines = []
    if interruptions:
        away = health["away"]
        lines.append(
            f"source: {health['stalls']} stalls + {health['deaths']} deaths of the capture process + "
            f"{health['losses']} losses of the stream, {health['reconnects']} reconnects; "
            f"away for {away['seconds']:.1f} s, at most {away['longest_s']:.1f} s"
        )
    for reason in PICTURE_REASONS:
        spells = health[reason]
        if spells["count"]:
            seconds, longest_s = spells["seconds"], spells["longest_s"]
            lines.append(f"source: {spells['count']} {reason} spells, {seconds:.1f} s, at most {longest_s:.1f} s")
    if health["damaged"]:
        lines.append(f"source: {health['damaged']} damaged pictures were left out")
    return lines
