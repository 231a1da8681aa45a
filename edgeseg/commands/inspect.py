"""`edgeseg inspect`: what is in a model file."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edgeseg.core.console import PATH, SIZE, say
from edgeseg.core.geometry import Size


@click.command()
@click.argument("file", type=PATH)
@click.option("--json", "json_path", type=PATH, help="Write it all as JSON.")
@click.option("--write-spec", type=PATH, metavar="FILE", help="Draft a spec for a model from elsewhere, for --spec.")
@click.option("--size", type=SIZE, help="With --write-spec: the network's input size, where the file leaves it free.")
@click.option("--classes", type=click.IntRange(1, 255), help="With --write-spec: number of classes, likewise.")
def inspect(
    file: Path, json_path: Path | None, write_spec: Path | None, size: Size | None, classes: int | None
) -> None:
    """Show what is in FILE, any ONNX file or a TensorRT engine of edgeseg's.

    Inputs and outputs, operators, parameters, GFLOPs, transposed convolutions, precision, and where it came from.
    """
    from dataclasses import asdict

    from edgeseg.core.files import check_writable, write_whole

    for path in filter(None, (json_path, write_spec)):
        check_writable(path)

    from edgeseg.runtime.engines.manifest import is_engine

    if is_engine(file):
        _show_engine(file, json_path)
        return

    from edgeseg.export.inspection import inspect_onnx, lines_of

    found = inspect_onnx(file)
    for line in lines_of(found):
        say(line)
    if json_path:
        document = {**asdict(found), "spec": found.spec and found.spec.to_document()}
        write_whole(json_path, json.dumps(document, indent=1) + "\n")
    if write_spec:
        from edgeseg.export.spec_draft import GUESSED, draft_spec

        write_whole(write_spec, draft_spec(found, size, classes).to_json() + "\n")
        say(f"{write_spec}: guessed, so correct what is wrong: {GUESSED}")


def _show_engine(file: Path, json_path: Path | None) -> None:
    """An engine says nothing without its GPU; its manifest says what it was built from and for."""
    from edgeseg.core.files import write_whole
    from edgeseg.core.spec import spec_lines
    from edgeseg.runtime.engines.manifest import EngineManifest, file_sha256

    manifest = EngineManifest.read(file)
    key = manifest.key
    is_whole = "" if file_sha256(file) == manifest.engine_sha256 else "; NOT the file that was built: build it again"
    say(f"{file}: TensorRT engine, {key.precision}, {file.stat().st_size / 1e6:.1f} MB{is_whole}")
    say(f"built by {key.library} {key.version} for GPU {key.gpu}, compute capability {key.compute_capability}")
    say(f"from an ONNX file of SHA-256 {key.onnx_sha256}")
    for line in spec_lines(manifest.spec):
        say(line)
    if json_path:
        write_whole(json_path, manifest.to_json())
