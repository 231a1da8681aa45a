"""`edgeseg evaluate`, `edgeseg predict` and `edgeseg report`: how good a model is, and what it makes of pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeseg.console import CLASSES, SIZE, say
from edgeseg.errors import UsageError
from edgeseg.runtime.engine_options import engine_options, take_engine_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeseg.data.base import Dataset, Sample
    from edgeseg.metrics import Scores

PATH = click.Path(path_type=Path)
BAD_PICTURES = 3  # the exit code of a DataError
STOPPED = 130
MODEL_SIZE = click.option("--size", type=SIZE, help="Of the network's input, not for ONNX.  [default: as trained]")
FLIP = click.option("--flip", is_flag=True, help="Average with the mirrored picture: twice the time, not for ONNX.")


@click.command()
@click.argument("model", type=PATH)
@click.option("--data", metavar="FORMAT:PATH", help="Labelled pictures.  [default: what it was trained on]")
@CLASSES
@click.option("--split", default="val", show_default=True, help="Of the data set.")
@click.option("--json", "json_path", type=PATH, help="Write the scores as JSON.")
@click.option("--out", type=PATH, help="Folder for report.html, confusion.png, worst.png and scores.json.")
@MODEL_SIZE
@FLIP
@engine_options
def evaluate(
    model: Path,
    data: str | None,
    classes: str | None,
    split: str,
    json_path: Path | None,
    out: Path | None,
    **options: Any,
) -> None:
    """Measure how good MODEL is: a run directory, a .keras file or an .onnx file.

    IoU and boundary F1 by class, their means, pixel accuracy, and the pictures with the lowest mean IoU.
    """
    from dataclasses import asdict

    from edgeseg.data import open_dataset
    from edgeseg.data.options import with_classes
    from edgeseg.evaluate import evaluate as measure
    from edgeseg.evaluate import load_predictor
    from edgeseg.files import check_writable, write_whole
    from edgeseg.progress import evaluation_progress

    if classes and not data:
        raise UsageError("--classes without --data; name labelled pictures by --data: a model's own have its classes")
    data = with_classes(data, classes) if data else None
    documents = [path for path in (json_path, out / "scores.json" if out else None) if path]
    for path in documents:
        check_writable(path)

    def labelled(data: str) -> tuple[Dataset, Sequence[Sample]]:
        dataset = open_dataset(data)
        return dataset, dataset.split(split)

    named = labelled(data) if data else None  # before the model, which takes seconds to load
    engine, size, flip = take_engine_settings(options), options["size"], options["flip"]
    with load_predictor(model, engine, size, flip) as predictor:
        data = data or predictor.spec.trained_on
        if not data:
            raise UsageError(f"{model} does not say what it was trained on; name labelled pictures by --data")
        dataset, samples = named or labelled(data)
        dataset.check_crop(predictor.spec.crop)
        with evaluation_progress(len(samples)) as show:
            scores = measure(predictor, samples, dataset.classes, show, boundaries=True)
        say("\n".join(_lines(scores)))
        for path in documents:
            write_whole(path, json.dumps(asdict(scores), indent=1) + "\n")
        if out:
            from edgeseg.run_report import write_evaluation_report

            used = f"{predictor.spec.input_size}{', averaged with the mirrored picture' if flip else ''}"
            about = [("model", str(model)), ("data", data), ("split", split), ("network input", used)]
            write_evaluation_report(out, predictor, scores, samples, about)
            say(f"see {out / 'report.html'}")


def _lines(scores: Scores) -> list[str]:
    width = max(map(len, (*scores.iou, "class")))
    boundaries = scores.boundary_f1_of_class or {}
    lines = [
        f"mean IoU {scores.miou:.4f}, frequency-weighted IoU {scores.frequency_weighted_iou:.4f}, "
        f"pixel accuracy {scores.pixel_accuracy:.4f}, boundary F1 {_number(scores.boundary_f1)}, "
        f"{scores.images} images",
        f"  {'class':<{width}}  {'IoU':>6}  {'boundary F1':>11}  {'of labels':>9}",
    ]
    for (name, value), share in zip(scores.iou.items(), scores.shares(), strict=True):
        if value is None:
            lines.append(f"  {name:<{width}}  does not occur")
        else:
            lines.append(f"  {name:<{width}}  {value:6.4f}  {_number(boundaries.get(name)):>11}  {share:9.3%}")
    worst = scores.worst(5)
    if len(worst) > 1:
        lines.append("lowest mean IoU:")
        lines += [f"  {each.miou:.4f}  pixel accuracy {each.pixel_accuracy:.4f}  {each.name}" for each in worst]
    return lines


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


@click.command()
@click.argument("model", type=PATH)
@click.argument("images", nargs=-1, required=True)
@click.option("--out", type=PATH, required=True, help="Folder for masks, overlays and contact.png: new or empty.")
@click.option("--colour", is_flag=True, help="Also write masks in the classes' colours.")
@click.option("--coco", type=PATH, metavar="FILE", help="Also write the masks as COCO polygons, to correct in a tool.")
@click.option("--coco-tolerance", type=click.FloatRange(0, 20), default=1.0, help="So many pixels may an outline move.")
@click.option("--coco-min-area", type=click.IntRange(1), default=16, help="Pixels; smaller regions are left out.")
@MODEL_SIZE
@FLIP
@engine_options
def predict(
    model: Path,
    images: tuple[str, ...],
    out: Path,
    colour: bool,
    coco: Path | None,
    coco_tolerance: float,
    coco_min_area: int,
    **options: Any,
) -> int:
    """Write what MODEL sees in IMAGES (files, folders, globs): class-id masks, overlays, a contact sheet.

    MODEL is a run directory, a .keras file or an .onnx file. A picture that cannot be read is named and passed over;
    the exit code is then 3.
    """
    from edgeseg.data.coco_writer import CocoDocument
    from edgeseg.data.mask_files import check_free
    from edgeseg.files import check_writable, write_whole
    from edgeseg.predict import find_pictures
    from edgeseg.predict import predict as run_prediction
    from edgeseg.predictors import load_predictor
    from edgeseg.progress import SampleProgress
    from edgeseg.quiet import stderr_held_back
    from edgeseg.signals import StopRequest

    check_free(out)
    pictures = find_pictures(images)
    if coco:
        check_writable(coco)
    engine = take_engine_settings(options)
    with load_predictor(model, engine, **options) as predictor, StopRequest() as stop:
        document = CocoDocument(predictor.spec.classes, coco_min_area, coco_tolerance) if coco else None
        with SampleProgress("predicting") as progress, stderr_held_back():  # decoders write about broken files there
            progress.start(len(pictures))
            done = run_prediction(
                predictor, pictures, out, colour, document, lambda: stop.requested, progress.step, progress.say
            )
        if coco and document:
            write_whole(coco, json.dumps(document.document()) + "\n")
    say(f"{done.written} of {len(pictures)} pictures: {out}")
    if stop.requested and done.written + len(done.failed) < len(pictures):
        click.echo("stopped before the last picture; what is written is whole", err=True)
        return STOPPED
    return BAD_PICTURES if done.failed else 0


@click.command()
@click.argument("run", type=PATH)
def report(run: Path) -> None:
    """Draw the pictures and report.html of RUN anew, also of a run that is under way or was killed."""
    from edgeseg.data import open_dataset
    from edgeseg.errors import ModelError
    from edgeseg.run_directory import RunDirectory

    directory = RunDirectory(run)
    settings = directory.settings()
    history = directory.read_history()
    if not history:
        raise ModelError(f"{run}: no epoch in its history; expected a run that has ended one: train on with --resume")
    samples = open_dataset(settings.data).split("val")

    from edgeseg.run_report import write_run_report

    write_run_report(directory, history, samples)
    say(f"see {directory.report}")
