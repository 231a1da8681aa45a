"""Pictures and page of a benchmark's result."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from edgeseg.core.errors import UsageError
from edgeseg.core.files import replace_whole, write_whole
from edgeseg.drawing.page import Page
from edgeseg.runtime.measure.benchmark_report import COLUMNS, is_unsteady

try:
    from matplotlib.figure import Figure
except ImportError as missing:
    raise UsageError(f"--plot and --html draw with matplotlib ({missing}): pip install matplotlib") from missing

DOTS_PER_INCH = 100
_CUT_PERCENT = 99.9  # an outlier would squeeze all else into one bar


def figure_of(width: float, height: float) -> Any:
    """Return an empty matplotlib figure of so many inches."""
    return Figure(figsize=(width, height), layout="constrained")


def draw(document: dict[str, Any], path: Path) -> None:
    """Write each contender's ms/frame over its frames, and as a histogram, as a PNG.

    Raises:
        UsageError: it cannot be written.
    """
    results = document["results"]
    figure = figure_of(12, 4.5)
    series, histogram = figure.subplots(1, 2, width_ratios=(3, 2))
    most = max(result["statistics_ms"]["frame"][f"p{_CUT_PERCENT:g}"] for result in results)
    for result in results:
        times = [ms for each in result["rounds_ms"] for ms in each.get("frame", [])]
        label = f"{Path(result['summary']['model']).name}, {result['summary']['backend']}"
        series.plot(times, ".", markersize=2, label=label)
        histogram.hist(times, bins=100, range=(0, most * 1.02), alpha=0.6, label=label)
    series.set(xlabel="frame", ylabel="ms/frame", ylim=(0, None), title="preprocess + inference + postprocess")
    histogram.set(xlabel="ms/frame", ylabel="frames", title=f"up to p{_CUT_PERCENT:g}")
    histogram.legend(loc="upper left")
    for axes in (series, histogram):
        axes.grid(alpha=0.3)
    replace_whole(path, lambda partial: figure.savefig(partial, dpi=DOTS_PER_INCH, format="png"))


def write_page(document: dict[str, Any], path: Path) -> None:
    """Write the result as one self-contained HTML page. Raises UsageError if it cannot be written."""
    results = document["results"]
    page = Page("edgeseg benchmark")
    page.text(document["measured_at"])
    page.figures([(each["name"], f"{each['statistics_ms']['frame']['p50']:.2f} ms") for each in results])
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "latency.png"
        draw(document, picture)
        page.picture(picture, "times of the frames and their histogram")
    for result in results:
        summary = result["summary"]
        page.heading(result["name"])
        page.text(
            f"{summary['precision']}, camera {summary['camera_size']}, network {summary['network_size']}, "
            f"{summary['fps']:.1f} fps; model {result['model_sha256'][:16]}"
        )
        stages = {**result["statistics_ms"], "engine alone": result["bare_engine_ms"]}
        page.table(["ms", *COLUMNS], [[stage, *(values[each] for each in COLUMNS)] for stage, values in stages.items()])
        if not all(load["quiet"] for load in result["load"]):
            page.text("The machine was NOT QUIET: do not compare these figures.")
        elif is_unsteady(result):
            page.text("The rounds do NOT AGREE: measure longer, or find what disturbs them.")
    for model, layers in document.get("layers", {}).items():
        page.heading(f"layers of {model}")
        page.table(["layer", "operator", "ms"], [[each["name"], each["operator"], each["ms"]] for each in layers])
    add_environment(page, document["environment"])
    write_whole(path, page.html())


def add_environment(page: Page, environment: dict[str, Any]) -> None:
    """Add the table of what was measured on."""
    page.heading("measured on")
    page.table(["", ""], [[name, _plain(value)] for name, value in environment.items()])


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {each}" for key, each in value.items())
    return ", ".join(map(_plain, value)) if isinstance(value, list) else "" if value is None else str(value)
