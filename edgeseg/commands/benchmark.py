"""`edgeseg benchmark`: ms/frame of models on backends, and two results compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeseg.core.console import PATH, note, say
from edgeseg.core.errors import UsageError
from edgeseg.core.option_types import number
from edgeseg.runtime.commands.options import engine_options
from edgeseg.runtime.engines.registry import BACKENDS
from edgeseg.runtime.engines.settings import EngineSettings, take_engine_settings

if TYPE_CHECKING:
    from edgeseg.runtime.measure.benchmark import BenchmarkSettings

STOPPED = 130
Writer = Callable[[dict[str, Any], Path], None]


@click.command()
@click.argument("models", nargs=-1, type=PATH, metavar="MODEL...")
@click.option("--source", default="scenes://", help="A video file, a folder of images, or scenes://.")
@click.option("--seconds", type=number(0.1, 1e6), default=10.0, help="How long to measure each model on each backend.")
@click.option("--rounds", type=number(1, 1000, whole=True), default=5, help="Turns of each in that time.")
@click.option(
    "--backend",
    "backends",
    multiple=True,
    type=click.Choice(("auto", *BACKENDS)),
    default=("auto",),
    help="Engine; may be given several times.",
)
@partial(engine_options, leave_out=("backend",))
@click.option("--camera-rate", type=number(0, 1000, above=True), help="Let so many frames a second arrive.")
@click.option("--deadline-ms", type=number(0, 86_400_000, above=True), help="Count frames that take longer.")
@click.option("--output", "outputs", multiple=True, help="Put masks out as edgeseg-camera does; timed beside.")
@click.option("--layers", is_flag=True, help="Also the time of each layer, by the profiler of the engine.")
@click.option("--soak", type=number(0, 100_000, above=True), metavar="MINUTES", help="Run one so long, and watch.")
@click.option("--json", type=PATH, help="Write the result as JSON, for --compare.")
@click.option("--csv", type=PATH, help="Write a line for each model and stage.")
@click.option("--plot", type=PATH, help="Write the times and their histogram as a PNG; needs matplotlib.")
@click.option("--html", type=PATH, help="Write one self-contained page.")
@click.option("--compare", type=(PATH, PATH), metavar="A.json B.json", help="Compare two results; no model is run.")
def benchmark(
    models: tuple[Path, ...],
    source: str,
    backends: tuple[str, ...],
    layers: bool,
    soak: float | None,
    json: Path | None,
    csv: Path | None,
    plot: Path | None,
    html: Path | None,
    compare: tuple[Path, Path] | None,
    **options: Any,
) -> int:
    """Measure ms/frame of each MODEL (an ONNX file) on every frame of a source, over and over, after a warm-up.

    Without a MODEL it is the one that comes with edgeseg, on scenes:// alone.

    Several models and backends take turns, so that whatever disturbs the machine harms all alike. With --camera-rate
    frames arrive on a clock as from a camera, the newest is processed, and its age counts.

    With --soak one model runs for so many minutes, the device's heat, clocks, power and memory beside its times; the
    verdict is stable, throttled or slower from some minute on, or leaking. Exit code 1 unless it is stable, 2 if an
    output failed.
    """
    from edgeseg.core.files import check_writable
    from edgeseg.runtime.engines.model_file import model_for
    from edgeseg.runtime.measure.benchmark_report import comparison, read_document
    from edgeseg.runtime.sources.addresses import parse_source

    if compare:
        if models:
            raise UsageError("--compare takes two result files and no model")
        say(comparison(*map(read_document, compare)))
        return 0
    models = models or (model_for(None, parse_source(source)),)
    writers = _writers(soak is not None, json, csv, plot, html)
    for path in writers:
        check_writable(path)
    engine = take_engine_settings(options)
    engines = [replace(engine, backend=each) for each in backends]
    if soak:
        from edgeseg.commands.soak import run_soak

        document, code = run_soak(soak, models, source, engines, options)
    else:
        document, code = _benchmark(models, source, engines, options)
    try:
        if layers and document:
            _add_layers(document, models, engines)
    finally:  # what was measured is not lost with a model that cannot be profiled
        _write(document, writers)
    return code


def _write(document: dict[str, Any], writers: dict[Path, Writer]) -> None:
    if document:
        for path, write in writers.items():
            write(document, path)


def _writers(
    soak: bool, json: Path | None, csv: Path | None, plot: Path | None, html: Path | None
) -> dict[Path, Writer]:
    """What writes each file that was asked for. Raises UsageError where matplotlib is needed and missing."""
    from edgeseg.core.files import write_whole
    from edgeseg.runtime.measure import benchmark_report, soak_report

    as_csv = soak_report.as_csv if soak else benchmark_report.as_csv
    writers: dict[Path, Writer] = {}
    if json:
        writers[json] = lambda document, path: write_whole(path, benchmark_report.as_json(document))
    if csv:
        writers[csv] = lambda document, path: write_whole(path, as_csv(document))
    if plot or html:
        from edgeseg.figures import benchmark as benchmark_pictures
        from edgeseg.figures import soak as soak_pictures

        pictures = soak_pictures if soak else benchmark_pictures
        if plot:
            writers[plot] = pictures.draw
        if html:
            writers[html] = pictures.write_page
    return writers


def _benchmark(
    models: tuple[Path, ...], source: str, engines: Sequence[EngineSettings], options: dict[str, Any]
) -> tuple[dict[str, Any], int]:
    from edgeseg.runtime.measure.benchmark import BenchmarkSettings
    from edgeseg.runtime.measure.benchmark_report import text

    document, stopped = _measure(models, source, BenchmarkSettings(**options), engines)
    if stopped:
        note("stopped before its time; no result was written")
        return {}, STOPPED
    say("\n\n".join(text(result) for result in document["results"]))
    return document, 0


def _measure(
    models: tuple[Path, ...], source: str, settings: BenchmarkSettings, engines: Sequence[EngineSettings]
) -> tuple[dict[str, Any], bool]:
    from edgeseg.core.signals import StopRequest
    from edgeseg.runtime.measure.benchmark import benchmark as measure
    from edgeseg.runtime.measure.benchmark_report import document
    from edgeseg.runtime.service.log import StatusLine
    from edgeseg.runtime.sources.addresses import parse_source

    status = StatusLine()

    def notice(text: str) -> None:
        if text not in said:  # each round begins anew
            said.add(text)
            note(text)

    said: set[str] = set()
    with StopRequest() as stop:
        contenders = measure(models, parse_source(source), settings, stop.event, engines, status, notice)
    status.clear()
    return ({} if stop.requested else document(contenders, settings)), stop.requested


def _add_layers(document: dict[str, Any], models: tuple[Path, ...], engines: Sequence[EngineSettings]) -> None:
    """Profile each model once for each profiler; the results say which backends `auto` has chosen."""
    from dataclasses import asdict

    from edgeseg.runtime.engines.layer_times import layer_table, layer_times, profiler_of

    found: dict[str, Any] = {}
    document["layers"] = found
    pairs = [(model, engine) for model in models for engine in engines]
    for (model, engine), result in zip(pairs, document["results"], strict=True):
        backend = result["summary"]["backend"]
        name = f"{model} by {profiler_of(backend)}"
        if name not in found:
            layers = layer_times(model, replace(engine, backend=backend))
            say(f"\n{name}\n{layer_table(layers)}")
            found[name] = [asdict(layer) for layer in layers]
