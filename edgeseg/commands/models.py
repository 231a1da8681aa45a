"""`edgeseg models`: what can be trained, and what it costs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from edgeseg.core.console import PATH, SIZE, say
from edgeseg.core.geometry import Size
from edgeseg.core.option_types import number
from edgeseg.models.registry import ARCHITECTURES, ENCODERS
from edgeseg.training.settings import TrainSettings

MOST_CLASSES = 255


@click.command()
@click.option("--size", type=SIZE, default=str(TrainSettings.size), help="The network's input size.")
@click.option("--model", type=click.Choice(list(ARCHITECTURES)), help="Only this architecture.")
@click.option("--encoder", type=click.Choice(list(ENCODERS)), help="Only this encoder.")
@click.option("--width", type=number(0, 4), default=0.0, help="Multiplies the numbers of filters; 0: the usual.")
@click.option(
    "--score-stride",
    type=click.Choice(["1", "2", "4"]),
    default="1",
    help="Where unet's decoder ends.",
)
@click.option("--classes", type=number(1, MOST_CLASSES, whole=True), default=11, help="Number of classes.")
@click.option("--latency", is_flag=True, help="Export each and time it with ONNX Runtime on this CPU.")
@click.option("--json", "json_path", type=PATH, help="Write the table as JSON.")
def models(
    size: Size,
    model: str | None,
    encoder: str | None,
    width: float,
    score_stride: str,
    classes: int,
    latency: bool,
    json_path: Path | None,
) -> None:
    """List architectures and encoders with parameters and GFLOPs at a size.

    A multiplication and an addition count as two operations; convolutions alone are counted. ms is the median time a
    frame of the network's size, preprocessing and argmax included.
    """
    from edgeseg.core.files import check_writable, write_whole
    from edgeseg.models.options import check_input_size

    if json_path:
        check_writable(json_path)

    from edgeseg.models.listing import networks

    chosen, left_out = networks(model, encoder, width, int(score_stride))
    for each in chosen:
        check_input_size(each, size)  # said before TensorFlow's four seconds

    from edgeseg.commands.models_table import measure

    say(f"{'model':<8}{'encoder':<20}{'width':>6}{'parameters':>13}{'GFLOPs':>9}{'ms' if latency else '':>9}  {size}")
    costs = []
    for each in chosen:
        cost = measure(each, size, classes, latency)
        costs.append(asdict(cost))
        line = f"{cost.architecture:<8}{cost.encoder:<20}{cost.width:>6g}{cost.parameters:>13,}{cost.gflops:>9.2f}"
        say(line if cost.latency_ms is None else f"{line}{cost.latency_ms:>9.1f}")
    if left_out:
        say(f"left out, since they are published at other widths only: {', '.join(left_out)}")
    if json_path:
        write_whole(json_path, json.dumps({"size": str(size), "classes": classes, "models": costs}, indent=1) + "\n")
