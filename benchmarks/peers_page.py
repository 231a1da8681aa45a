"""The part of docs/benchmarks.md that benchmarks/peers.py measures, and its picture."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from edgeseg.core.files import replace_whole, write_whole

OWN = {"fp32": "edgeseg, openvino", "int8": "edgeseg, onnxruntime-cpu"}
"""What `--backend auto` takes on an x86 processor for these models: the row that others are compared with."""
BEGIN, END = "<!-- measured: benchmarks/peers.py writes from here -->", "<!-- measured: to here -->"
LEAST_EQUAL = {"fp32": 0.995, "int8": 0.95}
"""Of the pixels; with less a row's masks are others, and its time is no comparison."""
SAME = 0.97
"""Of edgeseg's time: two runs on an idle machine may differ by 3 %, so that what is nearer is no difference."""
REASONS = {
    ("OpenVINO, its default", "fp32"): "It computes in bfloat16 where the processor has it; edgeseg does that only by "
    "name, `--backend openvino-bf16`.",
    (
        "OpenVINO, its default",
        "int8",
    ): "Its int8 is not ONNX Runtime's, on which the export's proof runs, and "
    "what is not int8 it computes in bfloat16; edgeseg takes it only by name, `--backend openvino`.",
    ("LiteRT", "int8"): "Its converter has made the transposed convolutions, concatenations and the last scores int8 "
    "too, which edgeseg's export leaves in float for TensorRT and for the masks; and its interpreter is XNNPACK.",
}
UNKNOWN = "Why was not looked into."
_OWN_COLOUR, _COLOUR, _OTHER_MASKS = "#2f6fb3", "#8d99a6", "#d9b44a"


def write_page(page: Path, document: dict[str, Any]) -> None:
    """Write the measured part of a page anew, and the picture of the same name beside it."""
    text = page.read_text()
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    picture = page.with_suffix(".png")
    draw(document["groups"], picture)
    parts = [conditions(document), f"![ms a frame]({picture.name})", *map(section, document["groups"])]
    write_whole(page, before + "\n\n".join([BEGIN, *parts, END]) + after)


def conditions(document: dict[str, Any]) -> str:
    """Say on what it was measured."""
    machine = document["environment"]
    packages = ("onnxruntime", "openvino", "opencv-python", "tensorflow", "keras", "ai-edge-litert")
    versions = ", ".join(f"{name} {machine['versions'][name]}" for name in packages if name in machine["versions"])
    quiet = f"other programs took {document['others']:.0%} of the machine meanwhile"
    return (
        f"{machine['device']}, {machine['cores']} cores, {machine['system']}, no GPU; {versions}. A video of "
        f"{document['camera']}, {document['rounds']} rounds of {document['seconds']:g} s for each; {quiet}."
    )


def section(group: dict[str, Any]) -> str:
    """Return a model's table, and who was faster, by how much and why."""
    lines = [f"### {group['model']}, {group['precision']}", ""]
    lines += ["| | ms a frame | times edgeseg's | CPU ms a frame | memory | pixels as Keras's |", "|---" * 6 + "|"]
    failed = [f"- {name} does not run it ({row['error']})." for name, row in group["rows"].items() if row["error"]]
    running = {name: row for name, row in group["rows"].items() if not row["error"]}
    for name, row in sorted(running.items(), key=lambda each: statistics.median(ratios(group, each[0]))):
        times = ratios(group, name)
        title = f"**{name}**" if name.startswith("edgeseg") else name
        differs = "" if has_equal_masks(row, group["precision"]) else ": **other masks**"
        lines.append(
            f"| {title} | {statistics.median(row['ms']):.1f} | {statistics.median(times):.2f} ({min(times):.2f} to "
            f"{max(times):.2f}) | {statistics.median(row['cpu_ms']):.1f} | {row['peak_mib']:.0f} MiB | "
            f"{row['equal']:.2%}{differs} |"
        )
    return "\n".join([*lines, "", *faster(group), *failed])


def ratios(group: dict[str, Any], name: str) -> list[float]:
    """Return a peer's time as multiples of edgeseg's, one a round."""
    rows = group["rows"]
    return [theirs / own for theirs, own in zip(rows[name]["ms"], rows[OWN[group["precision"]]]["ms"], strict=True)]


def has_equal_masks(row: dict[str, Any], precision: str) -> bool:
    return bool(row["equal"] >= LEAST_EQUAL[precision])


def faster(group: dict[str, Any]) -> list[str]:
    """Return a line for each peer that was faster in the median of the rounds."""
    precision, lines = group["precision"], []
    for name, row in group["rows"].items():
        if name.startswith("edgeseg") or row["error"]:
            continue
        times = ratios(group, name)
        ratio, is_sure = statistics.median(times), max(times) < 1
        if ratio < SAME:
            others = "" if has_equal_masks(row, precision) else ", with other masks"
            sure = "" if is_sure else " in the median, but not in every round"
            reason = REASONS.get((name, precision), UNKNOWN if is_sure else "That may be the machine.")
            lines.append(f"- **{name}** is {1 - ratio:.0%} faster{sure}{others}. {reason}")
    return lines or ["None of them is faster than edgeseg."]


def draw(groups: list[dict[str, Any]], path: Path) -> None:
    """Write a bar for each peer, a panel for each model and precision, as a PNG."""
    figure = Figure(figsize=(11, 2.6 * ((len(groups) + 1) // 2) + 0.8), layout="constrained")
    panels = figure.subplots((len(groups) + 1) // 2, 2, squeeze=False).ravel()
    for axes, group in zip(panels, groups, strict=False):
        rows = {name: row for name, row in group["rows"].items() if not row["error"]}
        names = sorted(rows, key=lambda name: -statistics.median(ratios(group, name)))
        medians = [statistics.median(rows[name]["ms"]) for name in names]
        spread = np.abs([[m - min(rows[n]["ms"]), max(rows[n]["ms"]) - m] for n, m in zip(names, medians, strict=True)])
        bars = axes.barh(names, medians, xerr=spread.T, color=[_colour(n, rows[n], group["precision"]) for n in names])
        axes.bar_label(bars, [f"{each:.1f}" for each in medians], padding=4, fontsize="small")
        axes.set_title(f"{group['model']}, {group['precision']}", fontsize="medium")
        axes.tick_params(labelsize="small")
        axes.margins(x=0.15)
        axes.set_xlabel("ms a frame", fontsize="small")
    for axes in panels[len(groups) :]:
        axes.set_visible(False)
    figure.suptitle("Whole loops over a video. Blue: edgeseg. Yellow: other masks than Keras's. Lines: all rounds.")
    replace_whole(path, lambda partial: figure.savefig(partial, dpi=90, format="png"))


def _colour(name: str, row: dict[str, Any], precision: str) -> str:
    if not has_equal_masks(row, precision):
        return _OTHER_MASKS
    return _OWN_COLOUR if name.startswith("edgeseg") else _COLOUR
