"""Options that several commands share."""

from __future__ import annotations

import click

from edgeseg.core.console import SIZE

MODEL_SIZE = click.option("--size", type=SIZE, help="Of the network's input, not for ONNX.  [default: as trained]")
FLIP = click.option("--flip", is_flag=True, help="Average with the mirrored picture: twice the time, not for ONNX.")
CLASSES = click.option(
    "--classes", metavar="NEW=OLD,OLD;NEW=*", help="Merge classes, as ?classes= behind the data does."
)
