"""Results of a benchmark: as a document, as text, as a table for a spreadsheet, and compared with another."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edgeseg.core.errors import UsageError
from edgeseg.core.json_text import read_json
from edgeseg.runtime.engines.registry import GPU_BACKENDS
from edgeseg.runtime.machine.load import NOISY_SHARE
from edgeseg.runtime.measure.benchmark import BenchmarkSettings, Contender
from edgeseg.runtime.measure.environment import environment
from edgeseg.runtime.measure.timings import REPEATABILITY, Difference, compare
from edgeseg.runtime.records import STAGES

COLUMNS = ("mean", "p50", "p90", "p99", "p99.9", "max", "jitter")
_EXPECTED = "what edgeseg benchmark --json wrote"
_SHOWN = (
    ("frame", "frame"),
    ("preprocess", "  preprocess"),
    ("inference", "  inference"),
    ("postprocess", "  postprocess"),
    ("capture_to_mask", "capture to mask"),
    ("wait", "  waiting"),
    ("output", "output (beside)"),
)


def document(contenders: Sequence[Contender], settings: BenchmarkSettings) -> dict[str, Any]:
    """Return what `edgeseg benchmark --json` writes; `summary` is the first contender's, as of a camera run."""
    results = [each.result(settings) for each in contenders if each.rounds]
    return {
        "summary": results[0]["summary"],
        "results": results,
        "environment": environment(),
        "measured_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def read_document(path: Path) -> dict[str, Any]:
    """Read a result file. Raises UsageError for any other."""
    try:
        found = read_json(path, _EXPECTED)
        results = [
            (each["name"], each["rounds_ms"], each["statistics_ms"]["frame"]["p50"]) for each in found["results"]
        ]
        assert results
    except (LookupError, TypeError, AssertionError) as error:
        raise UsageError(f"{path} is no result; expected {_EXPECTED}") from error
    return dict(found)


def text(result: dict[str, Any]) -> str:
    """Return one contender's figures for a terminal."""
    summary, stages = result["summary"], result["statistics_ms"]
    frame, bare, frames = stages["frame"], result["bare_engine_ms"], summary["frames"]
    lines = [
        f"{frame['p50']:.2f} ms/frame (p50), {frame['p90']:.2f} (p90), {frame['p99']:.2f} (p99); "
        f"{summary['fps']:.1f} fps",
        f"{result['name']} ({summary['precision']}), {summary['device']}",
        f"{summary['source']}: camera {summary['camera_size']}, network {summary['network_size']}",
        f"frames: {frames['captured']} captured = {frames['processed']} processed + {frames['skipped']} skipped "
        f"+ {frames['stale']} stale + {frames['failed']} failed, in {summary['seconds']:.2f} s "
        f"(after {summary['warm_up_frames']} warm-up frames)",
        "",
        f"{'ms':<18}" + "".join(f"{column:>9}" for column in COLUMNS),
    ]
    for stage, name in _SHOWN:
        if result["camera_rate"] is None and stage in ("capture_to_mask", "wait"):
            continue  # frames are read ahead: their age says nothing
        if stage != "output" or stages[stage]["max"]:
            lines.append(f"{name:<18}" + "".join(f"{stages[stage][column]:9.2f}" for column in COLUMNS))
    lines.append(f"{'engine alone':<18}" + "".join(f"{bare[column]:9.2f}" for column in COLUMNS))
    lines.append(f"the loop around the engine takes {result['loop_overhead_ms']:.2f} ms a frame at p50")
    if result["deadline"]:
        missed, processed = result["deadline"]["missed"], sum(frames[key] for key in ("processed", "stale"))
        lines.append(f"deadline {result['deadline']['ms']:g} ms: missed by {missed} of {processed} frames")
    return "\n".join([*lines, _memory_line(result), _load_line(result)])


def _memory_line(result: dict[str, Any]) -> str:
    peak, taken = max(each["peak_mib"] for each in result["load"]), result["taken_mib"]
    line = f"memory {peak:.0f} MiB at most"
    if taken["gpu"] is not None:
        return f"{line}; loading took {taken['gpu']:.0f} MiB of the GPU's"
    if result["summary"]["backend"] in GPU_BACKENDS and taken["machine"] is not None:
        return f"{line}; loading took {max(0.0, taken['machine']):.0f} MiB of the machine's"
    return line


def _load_line(result: dict[str, Any]) -> str:
    load, known = result["load"], result["repeatability"]
    own = sum(each["cpu_ms_per_frame"] for each in load) / len(load)
    others = max(each["others"] for each in load)
    line = f"processor {own:.1f} ms a frame, others took up to {others:.0%} of the machine"
    line += f"; p50 is known to {known:.1%}" if known is not None else ""
    if others > NOISY_SHARE:
        line += ": it was NOT QUIET, do not compare these figures"
    elif is_unsteady(result):
        line += ": the rounds do NOT AGREE, measure longer or find what disturbs them"
    return line


def is_unsteady(result: dict[str, Any]) -> bool:
    """Whether a result's own rounds differ by more than two runs on an idle machine may."""
    known = result.get("repeatability")
    return known is not None and known > REPEATABILITY


def as_json(document: dict[str, Any]) -> str:
    """Return a result document as text."""
    return json.dumps(document, indent=1) + "\n"


def as_csv(document: dict[str, Any]) -> str:
    """Return a line for each contender and stage."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["model", "backend", "precision", "camera", "network", "stage", *(f"{each}_ms" for each in COLUMNS)]
    )
    for result in document["results"]:
        summary = result["summary"]
        head = [summary[key] for key in ("model", "backend", "precision", "camera_size", "network_size")]
        stages = {**result["statistics_ms"], "engine alone": result["bare_engine_ms"]}
        for stage, values in stages.items():
            writer.writerow([*head, stage, *(values[column] for column in COLUMNS)])
    return out.getvalue()


def comparison(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Compare two result documents, each contender of one with that of the same name (or place) in the other.

    Raises:
        UsageError: they hold no times.
    """
    lines = [f"{'':<28}{'before':>9}{'after':>9}{'ratio':>8}  {'difference (95 %)':<22}verdict"]
    for first, second in _pairs(before["results"], after["results"]):
        lines.append(first["name"] if first["name"] == second["name"] else f"{first['name']} -> {second['name']}")
        for stage in STAGES:
            found = _difference(first, second, stage)
            if found:
                lines.append(_comparison_line(dict(_SHOWN)[stage], found))
    noisy = [
        name
        for name, each in (("first", before), ("second", after))
        if any(is_unsteady(result) or not all(load["quiet"] for load in result["load"]) for result in each["results"])
    ]
    if noisy:
        lines.append(f"the machine was not quiet or steady in the {' and the '.join(noisy)} measurement: repeat it")
    return "\n".join([*lines, *_other_conditions(before, after)])


def _pairs(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    named = {each["name"]: each for each in after}
    if all(each["name"] in named for each in before):
        return [(each, named[each["name"]]) for each in before]
    if len(before) != len(after):
        raise UsageError(f"{len(before)} and {len(after)} models of other names; expected results of the same ones")
    return [*zip(before, after, strict=True)]


def _difference(first: dict[str, Any], second: dict[str, Any], stage: str) -> Difference | None:
    if stage in ("capture_to_mask", "wait") and None in (first["camera_rate"], second["camera_rate"]):
        return None
    times = [[each[stage] for each in result["rounds_ms"] if stage in each] for result in (first, second)]
    if not all(times):
        return None
    return compare(times[0], times[1], first["statistics_ms"]["frame"]["p50"])


def _comparison_line(name: str, found: Difference) -> str:
    ratio = f"{found.ratio:8.3f}" if found.ratio and found.before >= 0.01 else f"{'-':>8}"
    span = f"{found.low:+.2f} to {found.high:+.2f} ms" if found.verdict != "not known" else "needs --rounds 2"
    return f"  {name:<26}{found.before:9.2f}{found.after:9.2f}{ratio}  {span:<22}{found.verdict}"


def _other_conditions(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Say what was not the same: figures of two machines differ for other reasons than the model."""
    keys = ("device", "cores", "gpus", "power_mode", "gpu_clock_locked", "cpu_governors", "jetpack", "versions")
    one, other = before["environment"], after["environment"]
    changed = [key.replace("_", " ") for key in keys if one.get(key) != other.get(key)]
    return [f"not measured under the same conditions: {', '.join(changed)} differ"] if changed else []
