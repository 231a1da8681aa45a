"""`edgeseg replay`: the command."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeseg.core.console import PATH, note, say
from edgeseg.core.errors import UsageError
from edgeseg.core.option_types import number
from edgeseg.runtime.commands.options import engine_options
from edgeseg.runtime.engines.settings import take_engine_settings

if TYPE_CHECKING:
    from edgeseg.runtime.measure.budgets import Budget
    from edgeseg.runtime.sinks.kinds.recording import Recording

STOPPED = 130
SHEET_SUFFIXES = (".png", ".jpg")


@click.command()
@click.argument("recording", type=PATH)
@click.option("--model", type=PATH, help="ONNX file that is tested; may be left out with --rejected.")
@engine_options
@click.option("--budgets", type=PATH, help="Limits for masks and times.  [default: RECORDING/budgets.toml, if there]")
@click.option("--write-budgets", is_flag=True, help="Write RECORDING/budgets.toml, with some room for what was found.")
@click.option(
    "--equal-pixels",
    type=number(0, 1),
    help="Least share of pixels as recorded, of all frames together; counts before the budgets' own.",
)
@click.option("--json", "json_path", type=PATH, help="Write the figures as JSON.")
@click.option("--rejected", type=PATH, help="Write a contact sheet (.png, .jpg) of the frames that a watch rejected.")
def replay(
    recording: Path,
    model: Path | None,
    budgets: Path | None,
    write_budgets: bool,
    equal_pixels: float | None,
    json_path: Path | None,
    rejected: Path | None,
    **options: Any,
) -> int:
    """Run the frames of RECORDING (edgeseg-camera --record) through a model again, and compare masks and times.

    Exit code 1 if a budget is broken.
    """
    from edgeseg.core.files import check_writable, write_whole
    from edgeseg.core.signals import StopRequest
    from edgeseg.runtime.sources.picture_limit import limit_here

    limit_here()  # before what comes next loads OpenCV
    from edgeseg.runtime.engines.choose import load_engine
    from edgeseg.runtime.measure.budgets import draft, read_budgets, with_equal_pixels
    from edgeseg.runtime.measure.replay import replay as run_again
    from edgeseg.runtime.sinks.kinds.recording import Recording

    recorded, own = Recording.read(recording), recording / "budgets.toml"
    if rejected:
        say(_write_rejected(recorded, rejected))
    if model is None:
        if not rejected:
            raise UsageError("neither --model nor --rejected was given; expected one of them, or both")
        return 0
    if write_budgets and budgets:
        raise UsageError("--write-budgets makes a new file; leave --budgets out")
    for path in filter(None, (json_path, own if write_budgets else None)):
        check_writable(path)
    chosen = budgets or (own if own.exists() and not write_budgets else None)
    limits = with_equal_pixels(read_budgets(chosen) if chosen else [], equal_pixels)
    settings = take_engine_settings(options)
    with (
        StopRequest() as stop,
        load_engine(model, settings, note) as engine,
        click.progressbar(length=len(recorded), label="replaying", file=sys.stderr) as bar,
    ):
        figures = run_again(recorded, engine, stop.event, lambda: bar.update(1))
    broken = [] if stop.requested else [_broken(each, figures) for each in limits if _is_broken(each, figures)]
    figures["broken"] = broken
    say(_table(figures))
    if stop.requested:
        note("stopped before its time; no budget was judged and nothing was written")
        return STOPPED
    if json_path:
        write_whole(json_path, json.dumps(figures, indent=1) + "\n")
    if write_budgets:
        write_whole(own, draft(figures))
        say(f"budgets: {own}")
    say("\n".join(broken) if broken else f"{len(limits)} budgets, all kept")
    return int(bool(broken))


def _write_rejected(recorded: Recording, path: Path) -> str:
    """Write the contact sheet, if there is anything to show, and return what is to be said of it."""
    import cv2

    from edgeseg.core.files import check_writable, write_whole
    from edgeseg.runtime.measure.rejected import MOST_SHOWN, rejected_frames, sheet_of

    if path.suffix.lower() not in SHEET_SUFFIXES:
        raise UsageError(f"--rejected {path}: expected a file name that ends in {' or '.join(SHEET_SUFFIXES)}")
    check_writable(path)
    frames = rejected_frames(recorded)
    if not frames:
        return f"rejected: none of {len(recorded)} frames; no sheet was written"
    write_whole(path, cv2.imencode(path.suffix.lower(), sheet_of(frames))[1].tobytes())
    shown = "" if len(frames) <= MOST_SHOWN else f", {MOST_SHOWN} of them shown"
    return f"rejected: {len(frames)} of {len(recorded)} frames{shown}: {path}"


def _value(budget: Budget, figures: dict[str, Any]) -> float:
    table, _, key = budget.name.partition(".")
    return float(figures[table][key])


def _is_broken(budget: Budget, figures: dict[str, Any]) -> bool:
    return budget.broken_by(_value(budget, figures))


def _broken(budget: Budget, figures: dict[str, Any]) -> str:
    unit, bound = ("", "at least") if budget.at_least else (" ms", "at most")
    return f"BROKEN {budget.name}: {_value(budget, figures):.5g}{unit}, {bound} {budget.limit:g}{unit} was allowed"


def _table(figures: dict[str, Any]) -> str:
    masks = figures["masks"]
    lines = [
        f"{figures['frames']} frames: {masks['equal_pixels']:.4%} of the pixels as recorded, "
        f"{masks['worst_frame']:.4%} in {masks['worst_frame_name']}",
        f"mean IoU with the recorded masks {masks['mean_iou']:.4f}",
        f"{figures['fps']:.1f} frames a second by {figures['backend']} on {figures['device']}",
        *(f"  {name}: {iou:.4f}" for name, iou in masks["iou"].items() if iou is not None and iou < 1),
        f"{'ms':<14}{'mean':>9}{'p50':>9}{'p99':>9}{'max':>9}{'recorded mean':>16}{'p50':>9}{'p99':>9}{'max':>9}",
    ]
    for stage in ("frame", "preprocess", "inference", "postprocess"):
        now, then = figures[stage], figures["recorded"][stage]
        keys = ("mean", "p50", "p99", "max")
        old = "".join(f"{then[key]:{width}.2f}" for key, width in zip(keys, (16, 9, 9, 9), strict=True))
        old = old if then["max"] else ""  # a bundle's golden frames have no times
        lines.append(f"{stage:<14}" + "".join(f"{now[key]:9.2f}" for key in keys) + old)
    return "\n".join(lines)
