"""`edgeseg engine build`: a TensorRT engine, built on the device that will run it."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import click

from edgeseg.core.console import PATH, note, run_command, say, setting_options
from edgeseg.runtime.engines.settings import BuildSettings

_REFRESH_S = 0.5
_LINE_S = 10.0


@click.group()
def engine() -> None:
    """Build TensorRT engines."""


@engine.command()
@click.argument("model", type=PATH)
@click.option("--out", type=PATH, help="The engine; <engine>.json comes beside it.  [default: MODEL as .engine]")
@click.option("--spec", type=PATH, metavar="FILE", help="Spec of a model that holds none.")
@click.option("--accept-changed-model", is_flag=True, help="Take a graph that was changed since its proof.")
@click.option("--if-stale", is_flag=True, help="Do nothing where the engine is there and holds for this GPU.")
@setting_options(BuildSettings)
def build(
    model: Path, out: Path | None, spec: Path | None, accept_changed_model: bool, if_stale: bool, **options: Any
) -> None:
    """Build a TensorRT engine of MODEL (an ONNX file) for this computer's GPU.

    Needs TensorRT, which comes with JetPack; neither TensorFlow nor onnx. TensorRT-RTX builds without a GPU too. The
    engine is a plain file, for trtexec as well.
    """
    build_and_say(
        model, out or model.with_suffix(".engine"), BuildSettings(**options), spec, if_stale, accept_changed_model
    )


def build_and_say(
    model: Path,
    target: Path,
    settings: BuildSettings | None = None,
    spec: Path | None = None,
    if_stale: bool = False,
    accept_changed: bool = False,
) -> None:
    """Build an engine, show how far it is, and say what was built. Raises as tensorrt_builder.build_engine."""
    from edgeseg.runtime.engines.model_file import open_model_file
    from edgeseg.runtime.engines.tensorrt_builder import build_engine

    settings = settings or BuildSettings()
    found = open_model_file(model, spec, accept_changed)
    if found.remark:
        note(found.remark)
    if if_stale and not _is_stale(found, target, settings):
        say(f"{target}: holds, nothing to do")
        return
    start = time.monotonic()
    show = BuildProgress()
    try:
        manifest = build_engine(found, target, settings, show)
    finally:
        show.clear()
    key = manifest.key
    say(
        f"{target}: {key.precision}, {target.stat().st_size / 1e6:.1f} MB, {key.library} {key.version}, GPU {key.gpu}, "
        f"compute capability {key.compute_capability}, built in {time.monotonic() - start:.0f} s"
    )


def _is_stale(found: Any, target: Path, settings: BuildSettings) -> bool:
    from edgeseg.runtime.engines.manifest import why_stale
    from edgeseg.runtime.engines.tensorrt_builder import device_to_build_for, engine_key
    from edgeseg.runtime.engines.tensorrt_library import library

    trt = library()
    return why_stale(target, engine_key(found, settings, trt, device_to_build_for(trt, settings))) is not None


class BuildProgress:
    """Shows the phase on standard error: in place on a terminal, else a line now and then."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._said_at = float("-inf")

    def __call__(self, phase: str, share: float) -> None:
        now = time.monotonic()
        if now - self._said_at < (_REFRESH_S if self._live else _LINE_S):
            return
        self._said_at = now
        text = f"building the engine: {phase[:60]} {share:.0%}"
        click.echo(f"\r\x1b[2K{text}" if self._live else text, err=True, nl=not self._live)

    def clear(self) -> None:
        if self._live:
            click.echo("\r\x1b[2K", err=True, nl=False)


def main() -> None:
    """Run the group as a program, which needs no training side."""
    run_command(engine, "edgeseg engine")
