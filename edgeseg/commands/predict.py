"""`edgeseg predict`: what a model makes of pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from edgeseg.commands.options import FLIP, MODEL_SIZE, say_remarks
from edgeseg.core.console import PATH, note, say
from edgeseg.core.option_types import number
from edgeseg.runtime.commands.options import engine_options
from edgeseg.runtime.engines.settings import take_engine_settings

BAD_PICTURES = 3  # the exit code of a DataError
STOPPED = 130


@click.command()
@click.argument("model", type=PATH)
@click.argument("images", nargs=-1, required=True)
@click.option("--out", type=PATH, required=True, help="Folder for masks, overlays and contact.png: new or empty.")
@click.option("--colour", is_flag=True, help="Also write masks in the classes' colours.")
@click.option("--coco", type=PATH, metavar="FILE", help="Also write the masks as COCO polygons, to correct in a tool.")
@click.option("--coco-tolerance", type=number(0, 20), default=1.0, help="So many pixels may an outline move.")
@click.option(
    "--coco-min-area", type=number(1, 2**53, whole=True), default=16, help="Pixels; smaller regions are left out."
)
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
    from edgeseg.core.files import check_writable, write_whole
    from edgeseg.core.quiet import suppress_stderr
    from edgeseg.core.signals import StopRequest
    from edgeseg.data.tools.write_coco import CocoDocument
    from edgeseg.data.tools.write_masks import check_free
    from edgeseg.evaluation.predict import find_pictures
    from edgeseg.evaluation.predict import predict as run_prediction
    from edgeseg.evaluation.predictors import load_predictor
    from edgeseg.training.progress import SampleProgress

    check_free(out)
    pictures = find_pictures(images)
    if coco:
        check_writable(coco)
    engine = take_engine_settings(options)
    with load_predictor(model, engine, notice=note, **options) as predictor, StopRequest() as stop:
        document = CocoDocument(predictor.spec.classes, coco_min_area, coco_tolerance) if coco else None
        with SampleProgress("predicting") as progress, suppress_stderr():  # decoders write about broken files there
            progress.start(len(pictures))
            done = run_prediction(
                predictor, pictures, out, colour, document, lambda: stop.requested, progress.step, progress.say
            )
        if coco and document:
            write_whole(coco, json.dumps(document.document()) + "\n")
    say_remarks(done.remarks)
    say(f"{done.written} of {len(pictures)} pictures: {out}")
    if stop.requested and done.written + len(done.failed) < len(pictures):
        note("stopped before the last picture; what is written is whole")
        return STOPPED
    return BAD_PICTURES if done.failed else 0
