"""The `edgeseg-camera` command."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeseg.console import SIZE, run_command, say, setting_option
from edgeseg.errors import EdgesegError, UsageError
from edgeseg.files import write_whole
from edgeseg.runtime.config_file import config_option, is_by_file
from edgeseg.runtime.engine_options import engine_options
from edgeseg.runtime.road_settings import RoadSettings
from edgeseg.runtime.rollback import rollback_option
from edgeseg.runtime.source import SourceOptions
from edgeseg.signals import StopRequest

if TYPE_CHECKING:
    from edgeseg.runtime.camera_plan import CameraPlan
    from edgeseg.runtime.engines import Engine
    from edgeseg.runtime.hang_guard import HangGuard
    from edgeseg.runtime.logs import Log
    from edgeseg.runtime.loop import Outcome, Watcher
    from edgeseg.runtime.metrics import Metrics
    from edgeseg.runtime.records import Ledger


_SECONDS = click.FloatRange(0, min_open=True)


def _source_options(command: Callable[..., int]) -> Callable[..., int]:
    for each in reversed(fields(SourceOptions)):
        command = setting_option(each, "source-")(command)
    return command


def _road_options(command: Callable[..., int]) -> Callable[..., int]:
    for each in reversed(fields(RoadSettings)):
        command = setting_option(each, "road-")(command)
    return command


def _list_cameras(context: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked:
        from edgeseg.runtime.v4l2 import list_cameras

        say(list_cameras())
        context.exit()


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="edgeseg", message="%(package)s %(version)s")
@click.argument("source")
@config_option
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    help="ONNX file from edgeseg export, or any with --spec.  [default: for scenes:// the one that comes with edgeseg]",
)
@engine_options
@click.option("--every-frame", is_flag=True, help="Process each frame, at full speed, instead of the newest.")
@click.option("--loop", is_flag=True, help="Begin again when the source ends.")
@click.option("--source-rate", type=float, help="Frames a second: asked of a camera, or to play anything else at.")
@click.option("--source-size", type=SIZE, help="Frame size to ask a camera for (csi://, v4l2://).")
@_source_options
@click.option("--frames", type=click.IntRange(1), help="Stop after so many masks.")
@click.option("--seconds", type=_SECONDS, help="Stop after so many seconds.")
@click.option("--deadline-ms", type=_SECONDS, help="Older masks are delivered as stale.")
@click.option("--stall-seconds", type=_SECONDS, default=2.0, help="A camera without a frame so long is opened again.")
@click.option(
    "--frozen-ms",
    type=click.FloatRange(0),
    help="Masks of a picture unchanged for so long are stale, 0 for never.  [default: 500 for cameras, else 0]",
)
@click.option(
    "--give-up-seconds",
    type=click.FloatRange(0),
    help="End with code 3 when a camera is away for so long; inf: never.  [default: never, but at once at the start]",
)
@click.option(
    "--output",
    "outputs",
    multiple=True,
    metavar="URI",
    help="file://overlay.mkv (.mkv, .mp4, .avi), a folder/ for class-map PNG files, unix://SOCKET for other programs, "
    "or display:// for a window; may be given several times.",
)
@click.option(
    "--record", type=click.Path(path_type=Path), help="Keep frames, masks and times here, for edgeseg replay."
)
@click.option("--opacity", type=click.FloatRange(0, 1), default=0.5, help="Of the classes in overlays.")
@click.option("--legend/--no-legend", default=True, help="Show class names, frame rate and latency on overlays.")
@click.option("--report", type=click.Choice(["road"]), help="Add what each mask says of the road to the --stats lines.")
@_road_options
@click.option("--quota", metavar="AMOUNT", help="Keep the newest 90min or 20GB of each overlay video, in segments.")
@click.option("--stats", type=click.Path(path_type=Path), help="Write one line of JSON a captured frame.")
@click.option("--summary", "summary_path", type=click.Path(path_type=Path), help="Write the summary as JSON.")
@click.option("--quiet", is_flag=True, help="Print errors only.")
@click.option("--log-json", is_flag=True, help="Say everything as lines of JSON on standard error.")
@click.option("--metrics-port", type=click.IntRange(1, 65535), help="Serve Prometheus metrics at 127.0.0.1:PORT.")
@click.option(
    "--check-config",
    is_flag=True,
    help="Check all of this, say what it would do, and end; code 2 if anything is wrong.",
)
@click.option(
    "--rollback",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=rollback_option,
    help="Go back to the version before this one, where a bundle's install.sh installed it.",
)
@click.option(
    "--list", is_flag=True, is_eager=True, expose_value=False, callback=_list_cameras, help="Show the cameras found."
)
def camera(
    summary_path: Path | None,
    quiet: bool,
    log_json: bool,
    metrics_port: int | None,
    check_config: bool,
    **options: Any,
) -> int:
    """Stream SOURCE through a model and report the latency of every frame.

    SOURCE is csi://0, v4l2:///dev/video0, rtsp://HOST/PATH, http://HOST/PATH (MJPEG), gst://PIPELINE, a video file,
    a folder or glob of images, or scenes:// (the built-in drive). A camera that goes away is opened again.

    Exit codes: 0 the stream ended or was stopped, 2 wrong usage or an output that failed, 3 the source failed,
    4 the model cannot be used, 5 the engine failed.
    """
    # Heavy imports wait until here: --help must answer at once.
    from edgeseg.runtime.camera_plan import camera_plan
    from edgeseg.runtime.logs import JsonLog, TextLog

    options["summary_path"] = summary_path
    if check_config:
        _check_config(options)
        return 0
    log = JsonLog() if log_json else TextLog(quiet)
    try:
        with StopRequest() as stop:
            plan = camera_plan(options, is_by_file())
            outcome = _run(plan, log, metrics_port, stop)
        _finish(outcome, summary_path, log)
    except EdgesegError as error:
        if not log_json:
            raise
        log.error(error)
        return error.exit_code
    return 0


def _run(plan: CameraPlan, log: Log, metrics_port: int | None, stop: StopRequest) -> Outcome:
    from edgeseg.runtime.engines import load_engine
    from edgeseg.runtime.hang_guard import HangGuard
    from edgeseg.runtime.loop import run
    from edgeseg.runtime.service import Service

    plan.check_writable()
    for remark in plan.remarks:
        log.notice(remark)
    with contextlib.ExitStack() as held:
        guard = HangGuard()
        held.callback(guard.close)
        watchers: list[Watcher] = [log, held.enter_context(Service())]
        if metrics_port is not None:
            watchers.append(held.enter_context(_metrics(metrics_port)))
        return run(
            plan.source,
            lambda: _guarded(load_engine(plan.model, plan.engine, log.notice), guard),
            plan.settings,
            stop.event,
            watch=_each(watchers),
            notice=log.notice,
            model=str(plan.model),
        )


def _check_config(options: dict[str, Any]) -> None:
    from edgeseg.runtime.camera_plan import camera_plan
    from edgeseg.runtime.check_config import check_report

    try:
        plan = camera_plan(options, is_by_file())
    except EdgesegError as error:  # a source that is not there is a wrong setting here, code 2
        raise UsageError(str(error)) from error
    say(check_report(plan, click.get_current_context()))


def _guarded(engine: Engine, guard: HangGuard) -> Engine:
    engine.guard = guard
    return engine


def _each(watchers: list[Watcher]) -> Watcher:
    def watch(ledger: Ledger, seconds: float) -> None:
        for watcher in watchers:
            watcher(ledger, seconds)

    return watch


def _metrics(port: int) -> Metrics:
    from edgeseg.runtime.metrics import Metrics

    return Metrics(port)


def _finish(outcome: Outcome, summary_path: Path | None, log: Log) -> None:
    errors: list[EdgesegError] = [outcome.error] if outcome.error else []
    try:
        if summary_path:
            write_whole(summary_path, json.dumps(outcome.summary.to_dict(), indent=1) + "\n")
        log.summary(outcome.summary)
    except UsageError as error:
        errors.append(error)
    errors += [UsageError(failure) for failure in outcome.failures]
    for other in errors[1:]:
        log.error(other)
    if errors:
        raise errors[0]


def main() -> None:
    """Run the command as a program."""
    run_command(camera, "edgeseg-camera")
