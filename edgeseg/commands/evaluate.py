"""`edgeseg evaluate`: how good a model is on labelled pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeseg.commands.options import CLASSES, FLIP, MODEL_SIZE, lines_of
from edgeseg.core.console import PATH, note, say
from edgeseg.core.errors import UsageError
from edgeseg.runtime.commands.options import engine_options
from edgeseg.runtime.engines.settings import take_engine_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeseg.core.metrics import Scores
    from edgeseg.data.base import Dataset, Sample


@click.command()
@click.argument("model", type=PATH)
@click.option("--data", metavar="FORMAT:PATH", help="Labelled pictures.  [default: what it was trained on]")
@CLASSES
@click.option("--split", default="val", show_default=True, help="Of the data set.")
@click.option("--json", "json_path", type=PATH, help="Write the scores as JSON.")
@click.option("--out", type=PATH, help="Folder for report.html, confusion.png, worst.png and scores.json.")
@click.option(
    "--interval-over",
    "over",
    type=click.Choice(("drives", "pictures")),
    default="drives",
    help="What the 95 % intervals are over. One drive alone: pictures.",
)
@click.option("--against", type=PATH, metavar="FILE", help="scores.json of another model, to say which is better.")
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
    over: str,
    against: Path | None,
    **options: Any,
) -> None:
    """Measure how good MODEL is: a run directory, a .keras file or an .onnx file.

    IoU and boundary F1 by class, their means, pixel accuracy, and the pictures with the lowest mean IoU. In brackets:
    95 % intervals of IoU.
    """
    from dataclasses import asdict

    from edgeseg.core.files import check_writable, write_whole
    from edgeseg.data.argument import data_of_model, open_dataset, with_classes
    from edgeseg.evaluation.against import compare, read_earlier
    from edgeseg.evaluation.evaluate import evaluate as measure
    from edgeseg.evaluation.evaluate import load_predictor
    from edgeseg.evaluation.intervals import units_of, with_intervals
    from edgeseg.runtime.engines.manifest import file_sha256
    from edgeseg.training.progress import evaluation_progress

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
    with load_predictor(model, engine, size, flip, note) as predictor:
        data = data_of_model(data, predictor.spec.trained_on, "--data")
        if not data:
            raise UsageError(f"{model} does not say what it was trained on; name labelled pictures by --data")
        dataset, samples = named or labelled(data)
        dataset.check_crop(predictor.spec.crop)
        earlier = read_earlier(against, dataset.classes, samples) if against else None
        with evaluation_progress(len(samples)) as show:
            scores = measure(predictor, samples, dataset.classes, show, boundaries=True)
        units = units_of(scores, samples, over)
        scores = with_intervals(scores, units)
        say("\n".join([*_lines(scores), *lines_of(dataset.remarks)]))
        for path in documents:
            measured = model / "model.keras" if model.is_dir() else model
            of = {"model": str(model), "sha256": file_sha256(measured), "data": data, "split": split}
            write_whole(path, json.dumps({**asdict(scores), "about": of}, indent=1) + "\n")
        if out:
            from edgeseg.evaluation.report import write_evaluation_report

            used = f"{predictor.spec.input_size}{', averaged with the mirrored picture' if flip else ''}"
            about = [("model", str(model)), ("data", data), ("split", split), ("network input", used)]
            write_evaluation_report(out, predictor, scores, samples, about)
            say(f"see {out / 'report.html'}")
        if against and earlier:
            say(compare(scores, against, earlier, units))


def _lines(scores: Scores) -> list[str]:
    from edgeseg.evaluation.intervals import brackets, describe, percent

    width = max(map(len, (*scores.iou, "class")))
    boundaries, intervals = scores.boundary_f1_of_class or {}, scores.intervals
    level = percent(intervals.level) if intervals else ""
    of_all, of_class = (f" {brackets(intervals.miou)}", intervals.iou) if intervals else ("", {})
    lines = [
        f"mean IoU {scores.miou:.4f}{of_all}, frequency-weighted IoU {scores.frequency_weighted_iou:.4f}, "
        f"pixel accuracy {scores.pixel_accuracy:.4f}, boundary F1 {_number(scores.boundary_f1)}, "
        f"{scores.images} images",
        *([describe(intervals)] if intervals else []),
        f"  {'class':<{width}}  {'IoU':>6}  {level:>14}  {'boundary F1':>11}  {'of labels':>9}",
    ]
    for (name, value), share in zip(scores.iou.items(), scores.shares(), strict=True):
        if value is None:
            lines.append(f"  {name:<{width}}  does not occur")
        else:
            boundary = _number(boundaries.get(name))
            lines.append(
                f"  {name:<{width}}  {value:6.4f}  {brackets(of_class.get(name)):>14}  {boundary:>11}  {share:9.3%}"
            )
    worst = scores.worst(5)
    if len(worst) > 1:
        lines.append("lowest mean IoU:")
        lines += [f"  {each.miou:.4f}  pixel accuracy {each.pixel_accuracy:.4f}  {each.name}" for each in worst]
    return lines


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
