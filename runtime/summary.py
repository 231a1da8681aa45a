"""A run in figures: as a document, and as a table for a terminal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from edgeseg.runtime.states import PICTURE_REASONS

_STAGES = (
    ("capture_to_mask", "capture to mask"),
    ("wait", "  waiting"),
    ("preprocess", "  preprocess"),
    ("inference", "  inference"),
    ("postprocess", "  postprocess"),
    ("output", "output (beside)"),
)


@dataclass(frozen=True)
class Summary:
    """A run in figures; `to_dict` is the `--summary` file and the `summary` of a benchmark result.

    `mode` is `newest` (a camera's latency) or `every-frame`, where frames are read ahead and `wait` and
    `capture_to_mask` therefore hold time in the queue.
    """

    source: str
    mode: str
    model: str
    backend: str
    device: str
    precision: str
    camera_size: str
    network_size: str
    frames: dict[str, int]
    stale: dict[str, int]
    warm_up_frames: int
    seconds: float
    latency_ms: dict[str, dict[str, float]]
    outputs: dict[str, dict[str, Any]]
    source_health: dict[str, Any] = field(default_factory=dict)

    @property
    def fps(self) -> float:
        """Masks delivered a second."""
        masks = self.frames["processed"] + self.frames["stale"]
        return masks / self.seconds if self.seconds > 0 else 0.0

    def to_dict(self) -> dict[str, Any]:
        values = dict(self.__dict__)
        values["seconds"] = round(self.seconds, 4)
        values["fps"] = round(self.fps, 3)
        return values


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
        episodes = health[reason]
        if episodes["count"]:
            seconds, longest_s = episodes["seconds"], episodes["longest_s"]
            lines.append(
                f"source: {episodes['count']} {reason} spells, {episodes['frames']} frames, {seconds:.1f} s, "
                f"at most {longest_s:.1f} s"
            )
    if health["damaged"]:
        lines.append(f"source: {health['damaged']} damaged pictures were left out")
    return lines
