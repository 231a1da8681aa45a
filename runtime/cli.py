"""The `edgeseg-camera` command."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeseg.console import run_command, say
from edgeseg.errors import EdgesegError, UsageError
from edgeseg.files import check_writable, write_whole
from edgeseg.signals import StopRequest

if TYPE_CHECKING:
    from edgeseg.runtime.loop import LoopSettings, Outcome
    from edgeseg.runtime.road import RoadSettings


def road_options(command: Callable[..., int]) -> Callable[..., int]:
    """Options of --report road. They are spelled out: edgeseg.runtime.road imports OpenCV, and --help must be quick."""
    options = (
        click.option("--road-class", metavar="NAME", help="Class that is free to drive on.  [default: road]"),
        click.option("--region", metavar="X,Y,W,H", help="Where shares and flicker are taken, in camera pixels."),
        click.option(
            "--bonnet", type=click.Path(path_type=Path), help="Picture of the camera's view, white where the bonnet is."
        ),
        click.option("--smooth", type=int, help="Give pixels the class that most of the last so many masks had."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="edgeseg", message="%(package)s %(version)s")
@click.argument("source")
@click.option("--model", required=True, type=click.Path(path_type=Path), help="ONNX file from edgeseg export.")
@click.option("--backend", default="auto", help="auto or onnxruntime-cpu.")
@click.option("--threads", type=click.IntRange(1), help="Host threads for the network.  [default: engine's choice]")
@click.option("--every-frame", is_flag=True, help="Process each frame, at full speed, instead of the newest.")
@click.option("--loop", is_flag=True, help="Begin again when the source ends.")
@click.option("--source-rate", type=float, help="Frames a second to play a file, folder or drive at.")
@click.option("--frames", type=click.IntRange(1), help="Stop after so many masks.")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="Stop after so many seconds.")
@click.option("--deadline-ms", type=click.FloatRange(0, min_open=True), help="Older masks are delivered as stale.")
@click.option(
    "--output",
    "outputs",
    multiple=True,
    metavar="URI",
    help="file://overlay.mkv (.mkv, .mp4, .avi), a folder/ for class-map PNG files, unix://SOCKET for other programs, "
    "or display:// for a window; may be given several times.",
)
@click.option("--opacity", type=click.FloatRange(0, 1), default=0.5, help="Of the classes in overlays.")
@click.option("--legend/--no-legend", default=True, help="Show class names, frame rate and latency on overlays.")
@click.option("--report", type=click.Choice(["road"]), help="Add what each mask says of the road to the --stats lines.")
@road_options
@click.option("--quota", metavar="AMOUNT", help="Keep the newest 90min or 20GB of each overlay video, in segments.")
@click.option("--stats", type=click.Path(path_type=Path), help="Write one line of JSON a captured frame.")
@click.option("--summary", "summary_path", type=click.Path(path_type=Path), help="Write the summary as JSON.")
@click.option("--quiet", is_flag=True, help="Print errors only.")
def camera(
    model: Path, backend: str, threads: int | None, summary_path: Path | None, quiet: bool, **options: Any
) -> int:
    """Stream SOURCE through a model and report the latency of every frame.

    SOURCE is a video file, a folder or glob of images, or scenes:// (the built-in drive).

    Exit codes: 0 the stream ended or was stopped, 2 wrong usage or an output that failed, 3 the source failed,
    4 the model cannot be used, 5 the engine failed.
    """
    # Heavy imports wait until here: --help must answer at once.
    from edgeseg.runtime.engines import open_engine
    from edgeseg.runtime.loop import LoopSettings, run
    from edgeseg.runtime.report import StatusLine
    from edgeseg.runtime.sources import parse_source

    with StopRequest() as stop:
        source = parse_source(options.pop("source"), options.pop("source_rate"), options.pop("loop"))
        road = _road_settings(options)
        settings = LoopSettings(**options, road=road)
        _check_places(source.location, model, settings, summary_path)
        status = None if quiet else StatusLine()
        outcome = run(
            source,
            lambda: open_engine(model, backend, threads),
            settings,
            stop.event,
            watch=status,
            notice=None if quiet else lambda text: click.echo(f"edgeseg-camera: {text}", err=True),
            model=str(model),
        )
    if status:
        status.clear()
    _finish(outcome, summary_path, quiet)
    return 0


def _road_settings(options: dict[str, Any]) -> RoadSettings | None:
    """Take the options of --report road out of `options`."""
    from edgeseg.runtime.road import RoadSettings

    wanted = options.pop("report")
    given = {key: options.pop(key) for key in ("road_class", "region", "bonnet", "smooth")}
    given = {key: value for key, value in given.items() if value is not None}
    if given and not wanted:
        raise UsageError(f"--{next(iter(given)).replace('_', '-')} belongs to --report road; add that")
    return RoadSettings(**given) if wanted else None


def _check_places(source: str, model: Path, settings: LoopSettings, summary: Path | None) -> None:
    """Raise UsageError if an output cannot be written, or would be written over an input or another output."""
    from edgeseg.runtime.sinks import sink_path

    outputs = [path for uri in settings.outputs if (path := sink_path(uri))]
    files = [path for path in (settings.stats, summary) if path]
    inputs = [model, Path(source) if Path(source).exists() else Path(source).parent] if source else [model]
    taken = {os.path.realpath(path) for path in inputs}
    for path in (*outputs, *files):
        real = os.path.realpath(path)
        if real in taken and not path.is_char_device():
            raise UsageError(f"{path} is an input or another output already; give each output a place of its own")
        taken.add(real)
    for path in files:
        check_writable(path)


def _finish(outcome: Outcome, summary_path: Path | None, quiet: bool) -> None:
    from edgeseg.runtime.report import table

    errors: list[EdgesegError] = [outcome.error] if outcome.error else []
    try:
        if summary_path:
            write_whole(summary_path, json.dumps(outcome.summary.to_dict(), indent=1) + "\n")
        if not quiet:
            say(table(outcome.summary))
    except UsageError as error:
        errors.append(error)
    errors += [UsageError(failure) for failure in outcome.failures]
    for other in errors[1:]:
        click.echo(f"edgeseg-camera: {other}", err=True)
    if errors:
        raise errors[0]


def main() -> None:
    """Run the command as a program."""
    run_command(camera, "edgeseg-camera")
