"""The `edgeseg-camera` command."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeseg.core.console import PATH, SIZE, Command, run_command, say, sentence, setting_option
from edgeseg.core.errors import EdgesegError, UsageError
from edgeseg.core.files import write_whole
from edgeseg.core.option_types import number, number_in
from edgeseg.core.signals import StopRequest
from edgeseg.runtime.commands.options import engine_options
from edgeseg.runtime.road_settings import RoadSettings
from edgeseg.runtime.service.config import config_option, is_by_file
from edgeseg.runtime.service.installer import install_option, rollback_option
from edgeseg.runtime.settings import LoopSettings
from edgeseg.runtime.sources.source import RATES, SourceOptions

if TYPE_CHECKING:
    from edgeseg.runtime.engines.base import Engine
    from edgeseg.runtime.engines.watchdog import Watchdog
    from edgeseg.runtime.loop import Outcome, Watcher
    from edgeseg.runtime.records import Ledger
    from edgeseg.runtime.service.log import Log
    from edgeseg.runtime.service.metrics import Metrics
    from edgeseg.runtime.service.plan import CameraPlan


def _source_options(command: Callable[..., int]) -> Callable[..., int]:
    for each in reversed(fields(SourceOptions)):
        command = setting_option(each, "source-")(command)
    return command


def _road_options(command: Callable[..., int]) -> Callable[..., int]:
    for each in reversed(fields(RoadSettings)):
        command = setting_option(each, "road-")(command)
    return command


def _loop_option(name: str, *spellings: str, unset: str = "", **details: Any) -> Callable[[Command], Command]:
    """Return the option of a setting of LoopSettings, explained by it; `unset` says what holds without it."""
    each = next(each for each in fields(LoopSettings) if each.name == name)
    if each.metadata["between"]:
        details["type"] = number_in(each.metadata["between"])
    if not details.get("multiple"):
        details["default"] = each.default
    text = f"{sentence(each.metadata['help'])}.{f'  [default: {unset}]' if unset else ''}"
    return click.option(*(spellings or [f"--{name.replace('_', '-')}"]), name, help=text, **details)


def _list_cameras(context: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked:
        from edgeseg.runtime.sources.list_cameras import list_cameras

        say(list_cameras())
        context.exit()


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="edgeseg", message="%(package)s %(version)s")
@click.argument("source")
@config_option
@click.option(
    "--model",
    type=PATH,
    help="ONNX file from edgeseg export, or any with --spec.  [default: for scenes:// the one that comes with edgeseg]",
)
@engine_options
@_loop_option("every_frame", is_flag=True)
@click.option("--loop", is_flag=True, help="Begin again when the source ends.")
@click.option(
    "--source-rate", type=number_in(RATES), help="Frames a second: asked of a camera, or to play anything else at."
)
@click.option("--source-size", type=SIZE, help="Frame size to ask a camera for (csi://, v4l2://).")
@_source_options
@_loop_option("frames")
@_loop_option("seconds")
@_loop_option("deadline_ms", unset="500 for cameras, else none")
@click.option("--no-deadline", is_flag=True, help="Masks of any age are good ones.")
@_loop_option("stall_seconds")
@_loop_option("frozen_ms", unset="500 for cameras, else 0")
@_loop_option("plausibility", "--plausibility/--no-plausibility")
@_loop_option("give_up_seconds", unset="never, but at once at the start")
@_loop_option("max_pixels")
@_loop_option("outputs", "--output", multiple=True, metavar="URI")
@click.option("--record", type=PATH, help="Keep frames, masks and times here, for edgeseg replay.")
@_loop_option("opacity")
@_loop_option("live_token", type=PATH)
@_loop_option("live_tls", type=PATH)
@_loop_option("legend", "--legend/--no-legend")
@click.option("--report", type=click.Choice(["road"]), help="Add what each mask says of the road to the --stats lines.")
@_road_options
@_loop_option("quota", metavar="AMOUNT")
@_loop_option("stats", type=PATH)
@click.option("--summary", "summary_path", type=PATH, help="Write the summary as JSON.")
@click.option("--quiet", is_flag=True, help="Print errors only.")
@click.option("--log-json", is_flag=True, help="Say everything as lines of JSON on standard error.")
@click.option("--metrics-port", type=number(1, 65535, whole=True), help="Serve Prometheus metrics at 127.0.0.1:PORT.")
@click.option(
    "--check-config",
    is_flag=True,
    help="Check all of this, say what it would do, and end; code 2 if anything is wrong.",
)
@click.option(
    "--install",
    type=PATH,
    metavar="BUNDLE",
    is_eager=True,
    expose_value=False,
    callback=install_option,
    help="Verify a bundle and install it, where a bundle's install.sh installed this one.",
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
    from edgeseg.runtime.sources.picture_limit import limit_here

    limit_here(options["max_pixels"])  # before what comes next loads OpenCV
    from edgeseg.runtime.service.log import JsonLog, TextLog
    from edgeseg.runtime.service.plan import camera_plan

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
    from edgeseg.runtime.engines.choose import load_engine
    from edgeseg.runtime.engines.watchdog import Watchdog
    from edgeseg.runtime.loop import run
    from edgeseg.runtime.service.systemd import Service

    plan.check_writable()
    for remark in plan.remarks:
        log.notice(remark)
    with contextlib.ExitStack() as held:
        watchdog = Watchdog()
        held.callback(watchdog.close)
        watchers: list[Watcher] = [log, held.enter_context(Service())]
        if metrics_port is not None:
            watchers.append(held.enter_context(_metrics(metrics_port)))
        return run(
            plan.source,
            lambda: _watched(load_engine(plan.model, plan.engine, log.notice), watchdog),
            plan.settings,
            stop.event,
            watch=_each(watchers),
            notice=log.notice,
            model=str(plan.model),
        )


def _check_config(options: dict[str, Any]) -> None:
    from edgeseg.runtime.service.check import check_report
    from edgeseg.runtime.service.plan import camera_plan

    try:
        plan = camera_plan(options, is_by_file())
    except EdgesegError as error:  # a source that is not there is a wrong setting here, code 2
        raise UsageError(str(error)) from error
    say(check_report(plan, click.get_current_context()))


def _watched(engine: Engine, watchdog: Watchdog) -> Engine:
    engine.watchdog = watchdog
    return engine


def _each(watchers: list[Watcher]) -> Watcher:
    def watch(ledger: Ledger, seconds: float) -> None:
        for watcher in watchers:
            watcher(ledger, seconds)

    return watch


def _metrics(port: int) -> Metrics:
    from edgeseg.runtime.service.metrics import Metrics

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
