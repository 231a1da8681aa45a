"""`edgeseg bundle`: the command."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeseg.bundle.settings import BundleSettings
from edgeseg.bundle.targets import TARGETS
from edgeseg.core.console import PATH, note, say, setting_options
from edgeseg.core.errors import UsageError
from edgeseg.core.option_types import number

if TYPE_CHECKING:
    from edgeseg.bundle.maker import Made

_NOT_OPTIONS = ("target", "spec", "camera", "wheels", "equal_pixels")


def _verify(context: click.Context, _: click.Parameter, path: Path | None) -> None:
    if path is None:
        return
    from edgeseg.bundle.archive import verify

    say(f"{path}: {verify(path).files} files, all as they were packed")
    context.exit()


@click.command()
@click.option("--model", type=PATH, help="ONNX file from edgeseg export, or any with --spec.")
@click.option("--out", required=True, type=PATH, help="The bundle to write, a .tar.gz.")
@click.option(
    "--jetpack",
    type=click.Choice(tuple(TARGETS)),
    help="The device's system; debian12, on aarch64, is for trying without a Jetson.",
)
@setting_options(BundleSettings, leave_out=_NOT_OPTIONS)
@click.option("--spec", type=PATH, metavar="FILE", help="Spec of a model that holds none.")
@click.option(
    "--settings", "camera", type=PATH, metavar="FILE", help="For edgeseg-camera --config.  [default: one by --jetpack]"
)
@click.option(
    "--wheels",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="FOLDER",
    help="Wheels that count before the package index, such as onnxruntime-gpu.",
)
@click.option(
    "--equal-pixels",
    type=number(0, 1),
    help="Least share of golden pixels on the device.  [default: 0.9999 for fp32, 0.999 for fp16, 0.97 for int8]",
)
@click.option(
    "--sign",
    type=PATH,
    multiple=True,
    metavar="KEY.pem",
    help="Sign it by an Ed25519 key, into BUNDLE.sig; without --model, the bundle that --out names. May be repeated.",
)
@click.option(
    "--verify",
    type=PATH,
    metavar="BUNDLE",
    is_eager=True,
    expose_value=False,
    callback=_verify,
    help="Hold every file of a bundle against its checksum, and end.",
)
def bundle(model: Path | None, out: Path, jetpack: str | None, sign: tuple[Path, ...], **options: Any) -> None:
    """Put everything that a device without internet needs into one archive.

    That is edgeseg and what it needs for the device's Python, the model, settings, a few golden frames with their
    masks, and install.sh. cv2 and tensorrt are the device's own and never in it.
    """
    if model is None and sign:
        from edgeseg.bundle.archive import verify

        _sign(out, verify(out).manifest, sign)
        return
    if model is None or jetpack is None:
        raise UsageError(
            f"Missing option '--{'jetpack' if model else 'model'}'; expected the device's system and a model, or --sign"
        )
    from edgeseg.bundle.maker import make_bundle

    settings = BundleSettings(TARGETS[jetpack], **options)
    made = make_bundle(model, out, settings, note)
    if sign:
        _sign(out, made.manifest, sign)
    say(_report(out, made))


def _sign(bundle: Path, manifest: Mapping[str, Any], keys: tuple[Path, ...]) -> None:
    from edgeseg.bundle.signing import sign

    say(f"{sign(bundle, manifest, keys, note)}: signed, for devices that trust the key (install.sh --trust)")


def _report(out: Path, made: Made) -> str:
    manifest, size = made.manifest, made.megabytes
    return f"""{out}: {size["bundle"]:.1f} MB for {manifest["target"]}, Python {manifest["python"]}; id {manifest["id"]}
  model {size["model"]:.1f} MB, {len(manifest["packages"])} packages {size["wheels"]:.1f} MB, \
golden frames {size["golden"]:.1f} MB
On the device: tar -xzf {out.name} && sudo {made.folder}/install.sh
As an update: sudo edgeseg-camera --install {out.name}"""
