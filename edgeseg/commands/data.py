"""`edgeseg data`: look at a data set, check it, convert its labels or pack it, before anything is trained on it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import click

from edgeseg.commands.options import CLASSES, remark_lines, say_remarks
from edgeseg.core.console import PATH, SIZE, given, say, setting_options
from edgeseg.core.errors import UsageError
from edgeseg.core.geometry import FITS, Crop, Size
from edgeseg.core.option_types import number
from edgeseg.data.argument import open_dataset, with_classes
from edgeseg.data.feeding.augment import Augmentation
from edgeseg.data.tools.pack_settings import ENCODINGS, PackSettings
from edgeseg.training.presets import network_size, picture_size, window_size
from edgeseg.training.settings import TrainSettings, check_window

NOT_GOOD = 3  # the exit code of a DataError
DRAWS = 4
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".pdf", ".svg")


def data_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the argument DATA, and --classes, which goes into it."""

    @click.argument("data", metavar="FORMAT:PATH")
    @CLASSES
    @wraps(command)
    def with_data(data: str, classes: str | None, **options: Any) -> Any:
        return command(data=with_classes(data, classes), **options)

    return with_data


@click.group()
def data() -> None:
    """List the data formats, check a data set, write its masks, pack it, preview what a network will see."""


@data.command()
def formats() -> None:
    """List the formats of FORMAT:PATH, one line each."""
    from edgeseg.data.registry import FORMATS

    width = max(map(len, FORMATS)) + 1
    for name, each in FORMATS.items():
        say(f"{name + ':':<{width}}  {each.description}")


@data.command()
@data_argument
@click.option("--out", type=PATH, help="Folder for check.json and check.png, which are not written without it.")
@click.option("--strict", is_flag=True, help="Warnings are errors.")
def check(data: str, out: Path | None, strict: bool) -> int:
    """Prove that every picture and every label of a data set is right; exit code 3 if not.

    All errors are listed, one line each. With --out, check.json has all that was found, and check.png shows the labels
    over their pictures, the rarest classes first.
    """
    from edgeseg.core.files import check_writable, replace_whole, write_whole
    from edgeseg.core.quiet import suppress_stderr
    from edgeseg.data.remarks import number
    from edgeseg.data.tools.check import check_dataset
    from edgeseg.training.progress import SampleProgress

    written = [out / "check.json", out / "check.png"] if out else []
    for path in written:
        check_writable(path)
    dataset = open_dataset(data)
    started = time.perf_counter()
    with SampleProgress("checking") as progress, suppress_stderr():  # decoders write about broken files there
        report = check_dataset(dataset, progress.start, progress.step, progress.say)
    remarks = remark_lines(report.warnings, report.notes, strict)
    if strict:
        report.errors, report.warnings = [*report.errors, *report.warnings], []
    seconds = time.perf_counter() - started

    if written:
        from edgeseg.figures.data import draw_check

        write_whole(written[0], json.dumps(report.document(data), indent=1) + "\n")
        replace_whole(written[1], lambda partial: draw_check(report, partial))
    samples = report.total.samples
    say("\n".join([*report.table(), *remarks]))
    speed = f"{number(samples, 'sample')} in {seconds:.1f} s, {samples / seconds:.0f} a second"
    where = f"see {written[0]} and {written[1]}" if written else "--out DIR writes check.json and check.png"
    say(f"{speed}; {where}")
    say(report.verdict)
    return NOT_GOOD if report.errors else 0


@data.command()
@data_argument
@click.option("--out", type=PATH, required=True, help="Folder for <split>/<name>.png: new or empty.")
@click.option("--colour", is_flag=True, help="Also write masks in the classes' colours, under colour/.")
def masks(data: str, out: Path, colour: bool) -> None:
    """Write the labels of a data set as 8-bit PNG masks of class ids (void is 255), with classes.json beside them."""
    from edgeseg.core.quiet import suppress_stderr
    from edgeseg.data.tools.write_masks import check_free, write_masks
    from edgeseg.training.progress import SampleProgress

    check_free(out)
    dataset = open_dataset(data)
    with SampleProgress("writing") as progress, suppress_stderr():
        count = write_masks(dataset, out, colour, progress.start, progress.step)
    say_remarks(dataset.remarks)
    say(f"{count} masks and classes.json: {out}")


@data.command()
@data_argument
@click.option("--out", type=PATH, required=True, help="Folder for the shards and dataset.json: new or empty.")
@click.option("--split", "splits", multiple=True, help="Only this split; may be given several times.")
@click.option(
    "--size", type=SIZE, help="Bring pictures and masks to this size, as training does.  [default: their own]"
)
@click.option("--fit", default=PackSettings.fit, help=f"How a picture's shape meets the size: {', '.join(FITS)}.")
@click.option("--crop", metavar="X,Y,W,H", help="Pack only this part of the pictures, in their pixels.")
@click.option("--encoding", type=click.Choice(ENCODINGS), default=PackSettings.encoding, help="Of the pictures.")
@click.option("--quality", type=number(1, 100, whole=True), default=PackSettings.quality, help="Of JPEG.")
@click.option(
    "--shard-mb", type=number(1, 100_000, whole=True), default=PackSettings.shard_mb, help="Megabytes a shard."
)
@click.option("--overwrite", is_flag=True, help="Replace the pack that is there, once the new one is whole.")
def pack(data: str, out: Path, splits: tuple[str, ...], crop: str | None, overwrite: bool, **options: Any) -> None:
    """Write a data set as TFRecord shards, which train faster than loose files; read them as tfrecord:DIR.

    raw reads fastest and is exact, 4 bytes a pixel; jpeg is a tenth of that and not exact; png is exact and less
    than twice as fast as loose files. Masks are always exact.
    """
    settings = PackSettings(**options)

    from edgeseg.core.quiet import suppress_stderr
    from edgeseg.core.signals import StopRequest
    from edgeseg.data.tools.pack import check_place, write_pack
    from edgeseg.models.options import preprocessing
    from edgeseg.training.progress import SampleProgress

    check_place(out, overwrite)
    dataset = open_dataset(data)
    blue, green, red = (round(channel) for channel in preprocessing(TrainSettings.model).mean)
    settings = replace(settings, padding=(blue, green, red))
    if crop is not None:
        first = dataset.split(next(iter(splits or dataset.splits)))[0].read_image()
        settings = replace(settings, crop=Crop.parse(crop, Size(*first.shape[:2])))
    with SampleProgress("packing") as progress, StopRequest() as stop, suppress_stderr():

        def done() -> None:
            progress.step()
            if stop.requested:
                raise KeyboardInterrupt

        packed = write_pack(dataset, out, settings, data, splits, overwrite, progress.start, done)
    say_remarks(dataset.remarks)
    shards = [shard for listed in packed.splits.values() for shard in listed]
    size = sum(shard.bytes for shard in shards) / 1e6
    say(f"{packed.samples} samples, {size:.0f} MB in {len(shards)} shard(s): {out}; read it as tfrecord:{out}")


@data.command()
@data_argument
@click.option("--out", type=PATH, default="preview.png", help="The picture to write.")
@click.option("--augment", is_flag=True, help=f"Also show {DRAWS} draws of the augmentation for each picture.")
@click.option("--size", type=SIZE, help="The network's input size; that of edgeseg train without it.")
@click.option("--train-size", type=SIZE, help="The size of the augmented windows; that of edgeseg train without it.")
@click.option("--fit", default="stretch", help=f"How a picture's shape meets the network's: {', '.join(FITS)}.")
@click.option("--crop", metavar="X,Y,W,H", help="Use only this part of the pictures, in their pixels.")
@click.option("--split", default="train", help="Of the data set.")
@click.option("--count", type=number(1, 100, whole=True), default=4, help="Pictures, evenly spread over the split.")
@click.option("--seed", type=number(0, 2**31 - 1, whole=True), default=0, help="Decides the augmentation.")
@setting_options(Augmentation)
def preview(
    data: str,
    out: Path,
    augment: bool,
    size: Size | None,
    train_size: Size | None,
    fit: str,
    crop: str | None,
    split: str,
    count: int,
    seed: int,
    **changes: Any,
) -> None:
    """Draw what a network will see: pictures at its size, labels laid over, augmented as in training.

    They come through the code that feeds the training loop, so what does not match here would not match there. An
    option of the augmentation implies --augment, as --train-size does.
    """
    from edgeseg.core.files import check_writable, replace_whole
    from edgeseg.core.geometry import Crop, place

    check_writable(out)
    if out.suffix.lower() not in PICTURES:
        raise UsageError(f"{out}: no kind of picture; expected a name that ends in {', '.join(PICTURES)}")
    augmentation = Augmentation(**changes) if augment or train_size or given(changes) else None
    dataset = open_dataset(data)
    samples = dataset.split(split)
    picture = Size(*samples[0].read_class_map().shape)
    cut = Crop.parse(crop, picture) if crop else None
    dataset.check_crop(cut)
    size = size or network_size(picture_size(dataset), cut)
    window = train_size or window_size(size)
    check_window(window, size)
    place(size, size, fit)  # a wrong fit is said before TensorFlow's four seconds

    from edgeseg.data.feeding.pipeline import FittedSamples
    from edgeseg.data.feeding.preview import network_views, spread
    from edgeseg.figures.data import draw_views
    from edgeseg.models.options import preprocessing

    blue, green, red = (round(channel) for channel in preprocessing(TrainSettings.model).mean)
    fitted = FittedSamples(spread(samples, count), size, fit, cut, padding=(blue, green, red))
    views = network_views(fitted, augmentation, DRAWS, seed, window)
    replace_whole(out, lambda partial: draw_views(views, dataset.classes, partial))
    drawn = f", draws of {window}" if augmentation else ""
    say(f"{len(views)} of {len(samples)} pictures of {split} at {size}{drawn}: {out}")
