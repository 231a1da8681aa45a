"""`edgeseg inspect`: what is in a model file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeseg.core.console import PATH, SIZE, say
from edgeseg.core.errors import UsageError
from edgeseg.core.geometry import Size
from edgeseg.core.option_types import number

if TYPE_CHECKING:
    from edgeseg.core.spec import ModelSpec
    from edgeseg.export.inspection import Inspection


BUNDLES = (".tar.gz", ".tgz")
RECIPES = ("bisenetv2", "ddrnet", "pidnet", "segformer", "torchvision", "twinlitenet", "yolo-semantic")
"""Those of edgeseg.export.foreign.recipes, which is not imported for a --help."""


@click.command()
@click.argument("file", type=PATH)
@click.option("--json", "json_path", type=PATH, help="Write it all as JSON.")
@click.option("--write-spec", type=PATH, metavar="FILE", help="Draft a spec for a model from elsewhere, for --spec.")
@click.option(
    "--as", "recipe", type=click.Choice(RECIPES), help="With --write-spec: what it is, for pixels and classes as there."
)
@click.option("--output", metavar="NAME", help="With --write-spec: which output is the mask, where it has several.")
@click.option("--size", type=SIZE, help="With --write-spec: the network's input size, where the file leaves it free.")
@click.option("--classes", type=number(1, 255, whole=True), help="With --write-spec: number of classes, likewise.")
@click.option(
    "--camera-size", type=SIZE, help="With --write-spec: the camera's; frames then keep their shape and are padded."
)
def inspect(file: Path, json_path: Path | None, write_spec: Path | None, **options: Any) -> None:
    """Show what is in FILE, any ONNX file, a TensorRT engine of edgeseg's, or a bundle (.tar.gz).

    Inputs and outputs, operators, parameters, GFLOPs, transposed convolutions, precision, and where it came from; its
    model card, and of a bundle the packages.
    """
    from dataclasses import asdict

    from edgeseg.core.files import check_writable, write_whole

    given = [f"--{'as' if name == 'recipe' else name.replace('_', '-')}" for name, value in options.items() if value]
    if given and not write_spec:
        raise UsageError(f"{given[0]} without --write-spec; give the file to write by --write-spec FILE")
    for path in filter(None, (json_path, write_spec)):
        check_writable(path)

    if file.name.endswith(BUNDLES):
        _show_bundle(file, json_path)
        return
    from edgeseg.runtime.engines.registry import is_engine

    if is_engine(file):
        _show_engine(file, json_path)
        return

    from edgeseg.export.inspection import inspect_onnx, lines_of

    found = inspect_onnx(file)
    for line in (*lines_of(found), *_card_lines(file)):
        say(line)
    if json_path:
        document = {**asdict(found), "spec": found.spec and found.spec.to_document()}
        write_whole(json_path, json.dumps(document, indent=1) + "\n")
    if write_spec:
        write_whole(write_spec, _draft(found, **options).to_json() + "\n")


def _card_lines(file: Path) -> list[str]:
    from edgeseg.export.model_card import card_beside, card_of

    try:
        card = card_of(file)
    except UsageError as error:
        return [f"card: {error}"]
    return ["", f"{card_beside(file)}:", *card.splitlines()] if card else []


def _show_bundle(file: Path, json_path: Path | None) -> None:
    """Hold it against its checksums, and show what is in it."""
    from edgeseg.bundle.archive import verify
    from edgeseg.core.files import write_whole

    found = verify(file)
    for line in found.lines():
        say(line)
    if json_path:
        write_whole(
            json_path, json.dumps({"manifest": found.manifest, "bill_of_materials": found.bill}, indent=1) + "\n"
        )


def _draft(
    found: Inspection,
    recipe: str | None,
    output: str | None,
    size: Size | None,
    classes: int | None,
    camera_size: Size | None,
) -> ModelSpec:
    """Draft a spec, and say what was chosen and what is guessed."""
    from edgeseg.core.spec import guesses_line
    from edgeseg.export.foreign.apply import draft_by_recipe, with_camera_size
    from edgeseg.export.foreign.draft import draft_spec
    from edgeseg.export.foreign.recipes import RECIPES

    chosen = RECIPES[recipe] if recipe else None
    draft = (
        draft_by_recipe(found, chosen, size, classes, output) if chosen else draft_spec(found, size, classes, output)
    )
    if camera_size:
        draft = with_camera_size(draft, chosen, camera_size)
    spec = draft.spec
    say(f"mask: {draft.chosen.why}, read as {spec.tensors.gives} of {len(spec.classes)} classes")
    for line in draft.others:
        say(f"not: {line}")
    if chosen:
        say(f"{chosen.title}: {chosen.source}; licence: {chosen.licence}")
        say(chosen.remark) if chosen.remark else None
    say(guesses_line(spec) or "nothing is guessed: it is as the recipe and the file say; check the masks all the same")
    return spec


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
