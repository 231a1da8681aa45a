"""Picture and page of a soak's result."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from edgeseg.core.files import replace_whole, write_whole
from edgeseg.drawing.page import Page
from edgeseg.figures.benchmark import DOTS_PER_INCH, add_environment, figure_of
from edgeseg.runtime.measure.soak_report import COLUMNS, GROWTH_NAMES, row

_CURVES = (
    ("ms/frame", {"p50": "p50", "p99": "p99"}),
    ("degrees Celsius", {"hottest_c": "hottest sensor"}),
    ("MHz", {"gpu_mhz": "GPU", "cpu_mhz": "processor"}),
    ("W", {"power_w": "power"}),
    ("memory", {"memory_mb": "processes, MB", "gpu_memory_mib": "GPU, MiB"}),
    ("share of the machine", {"others": "other programs"}),
)


def draw(document: dict[str, Any], path: Path) -> None:
    """Write times, temperature, clocks, power, memory and load over the minutes, as a PNG.

    What the machine does not tell has no curve. Minutes in which it held its clocks down are shaded.

    Raises:
        UsageError: it cannot be written.
    """
    rows = [row(window) for window in document["soak"]["windows"]]
    told = [(unit, _told(names, rows)) for unit, names in _CURVES]
    told = [(unit, names) for unit, names in told if names] or [_CURVES[0]]
    figure = figure_of(10, 2.2 * len(told))
    figure.suptitle(f"{Path(document['summary']['model']).name}: {document['soak']['verdict']['text']}", wrap=True)
    minutes = [each["minute"] for each in rows]
    for axes, (unit, names) in zip(figure.subplots(len(told), 1, sharex=True, squeeze=False)[:, 0], told, strict=True):
        for key, title in names.items():
            axes.plot(minutes, [float("nan") if each[key] is None else each[key] for each in rows], label=title)
        for before, each in zip([0.0, *minutes], rows, strict=False):
            if each["throttling"]:
                axes.axvspan(before, each["minute"], color="tab:red", alpha=0.15, linewidth=0)
        most = max((each[key] or 0.0 for key in names for each in rows), default=0.0)
        axes.set(ylabel=unit, ylim=(0, 1.2 * most or 1.0))
        axes.grid(alpha=0.3)
        axes.legend(loc="lower left", fontsize="small")
    figure.axes[-1].set_xlabel("minutes")
    replace_whole(path, lambda partial: figure.savefig(partial, dpi=DOTS_PER_INCH, format="png"))


def write_page(document: dict[str, Any], path: Path) -> None:
    """Write the result as one self-contained HTML page. Raises UsageError if it cannot be written."""
    summary, soak = document["summary"], document["soak"]
    frame = summary["latency_ms"]["frame"]
    page = Page("edgeseg soak")
    page.text(f"{document['measured_at']}, {summary['model']} on {summary['backend']}, {summary['precision']}")
    page.figures(
        [
            ("verdict", soak["verdict"]["text"]),
            ("minutes", f"{soak['minutes_done']:.1f}"),
            ("p50", f"{frame['p50']:.2f} ms"),
            ("p99", f"{frame['p99']:.2f} ms"),
        ]
    )
    for failure in soak["failures"]:
        page.text(failure)
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "soak.png"
        draw(document, picture)
        page.picture(picture, "the run over its minutes")
    page.heading("what the processes held")
    page.table(
        ["", "settled", "most later", "grew by"],
        [[GROWTH_NAMES[key], each["first"], each["most"], each["grew"]] for key, each in soak["growth"].items()],
    )
    page.heading("windows")
    rows = [row(window) for window in soak["windows"]]
    page.table([title for _, title, _ in COLUMNS], [[each[key] for key, _, _ in COLUMNS] for each in rows])
    add_environment(page, document["environment"])
    write_whole(path, page.html())


def _told(names: dict[str, str], rows: list[dict[str, Any]]) -> dict[str, str]:
    return {key: title for key, title in names.items() if any(each[key] is not None for each in rows)}
