"""Results of a soak: as a document, as text, as a table for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edgeseg.runtime.engines.manifest import file_sha256
from edgeseg.runtime.loop import Outcome
from edgeseg.runtime.measure.environment import environment
from edgeseg.runtime.measure.soak import Window
from edgeseg.runtime.measure.soak_verdict import growth, judge

ROWS = 12  # of the table on a terminal; the files hold every window
COLUMNS = (
    ("minute", "minute", ".1f"), ("p50", "ms p50", ".2f"), ("p99", "p99", ".2f"), ("max", "max", ".2f"),
    ("hottest_c", "hottest C", ".1f"), ("gpu_mhz", "GPU MHz", ".0f"), ("cpu_mhz", "CPU MHz", ".0f"),
    ("power_w", "power W", ".1f"), ("memory_mb", "memory MB", ".1f"), ("gpu_memory_mib", "GPU MiB", ".0f"),
    ("available_mib", "free MiB", ".0f"), ("others", "others", ".0%"),
)  # fmt: skip
_NOT_TOLD = {"hottest_c": "temperature", "gpu_mhz": "GPU clock", "cpu_mhz": "processor clock", "power_w": "power"}
GROWTH_NAMES = {
    "own_mb": "own memory, MB", "children_mb": "capture process, MB", "memory_mb": "memory of both, MB",
    "gpu_memory_mib": "GPU memory, MiB", "handles": "file handles", "threads": "threads",
}  # fmt: skip


def document(
    model: Path, outcome: Outcome, windows: Sequence[Window], minutes: float, power_modes: Sequence[str]
) -> dict[str, Any]:
    """Return what `edgeseg benchmark --soak --json` writes.

    Args:
        model: its file.
        outcome: of the whole run.
        windows: of the run.
        minutes: that were asked for.
        power_modes: the Jetson's at the start and at the end, empty elsewhere.
    """
    summary = outcome.summary
    return {
        "summary": summary.to_dict(),
        "soak": {
            "verdict": judge(windows).to_dict(),
            "minutes": minutes,
            "minutes_done": round(summary.seconds / 60, 3),
            "power_modes": list(power_modes),
            "failures": outcome.failures,
            "growth": growth(windows),
            "windows": [window.to_dict() for window in windows],
        },
        "model_sha256": file_sha256(model),
        "environment": environment(),
        "measured_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def text(document: dict[str, Any]) -> str:
    """Return a soak's figures for a terminal, the verdict first."""
    summary, soak = document["summary"], document["soak"]
    frame, frames = summary["latency_ms"]["frame"], summary["frames"]
    lines = [
        soak["verdict"]["text"],
        f"{frame['p50']:.2f} ms/frame (p50), {frame['p99']:.2f} (p99), {frame['max']:.2f} (max); "
        f"{summary['fps']:.1f} fps for {soak['minutes_done']:.1f} minutes",
        f"{summary['model']} on {summary['backend']} ({summary['precision']}), {summary['device']}",
        f"frames: {frames['captured']} captured = {frames['processed']} processed + {frames['skipped']} skipped "
        f"+ {frames['stale']} stale + {frames['failed']} failed",
        "",
        *_window_lines(soak["windows"]),
        "",
        *growth_lines(soak["growth"]),
    ]
    silent = [name for key, name in _NOT_TOLD.items() if all(each[key] is None for each in soak["windows"])]
    if silent and soak["windows"]:
        lines.append(f"this machine does not tell: {', '.join(silent)}")
    lines += soak["failures"]
    if len(set(soak["power_modes"])) > 1:
        lines.append(f"the power mode changed from {' to '.join(soak['power_modes'])}")
    return "\n".join(lines)


def _window_lines(windows: Sequence[dict[str, Any]]) -> list[str]:
    if not windows:
        return ["no window was measured to its end"]
    rows = [row(each) for each in windows]
    columns = [each for each in COLUMNS if any(values[each[0]] is not None for values in rows)]
    step = max(1, -(-len(rows) // ROWS))
    shown = rows[step - 1 :: step]
    lines = ["".join(f"{title:>10}" for _, title, _ in columns)]
    for values in shown:
        cells = ("-" if values[key] is None else format(values[key], form) for key, _, form in columns)
        lines.append("".join(f"{cell:>10}" for cell in cells))
    return lines


def row(window: dict[str, Any]) -> dict[str, Any]:
    """Return a window with its frame's statistics beside the rest."""
    return {**dict.fromkeys(("p50", "p99", "max")), **window, **window["frame_ms"]}


def growth_lines(figures: dict[str, dict[str, float]]) -> list[str]:
    """Return the table of what the processes held."""
    lines = [f"{'':<22}{'settled':>12}{'most later':>12}{'grew by':>10}"]
    for key, figure in figures.items():
        lines.append(f"{GROWTH_NAMES[key]:<22}{figure['first']:12g}{figure['most']:12g}{figure['grew']:10g}")
    return lines


def as_csv(document: dict[str, Any]) -> str:
    """Return a line for each window."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = [key for key, _, _ in COLUMNS]
    writer.writerow([*names, "handles", "threads", "throttling"])
    for window in document["soak"]["windows"]:
        values = row(window)
        reasons = " / ".join(window["throttling"])
        writer.writerow([*(values[name] for name in names), values["handles"], values["threads"], reasons])
    return out.getvalue()
