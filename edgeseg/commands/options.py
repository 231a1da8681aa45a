"""What several commands share: options, and how they say what reading has found."""

from __future__ import annotations

from collections.abc import Iterable

import click

from edgeseg.core.console import SIZE, note
from edgeseg.data.remarks import Remarks

MODEL_SIZE = click.option("--size", type=SIZE, help="Of the network's input, not for ONNX.  [default: as trained]")
FLIP = click.option("--flip", is_flag=True, help="Average with the mirrored picture: twice the time, not for ONNX.")
CLASSES = click.option(
    "--classes", metavar="NEW=OLD,OLD;NEW=*", help="Merge classes, as ?classes= behind the data does."
)


def lines_of(remarks: Remarks) -> list[str]:
    """Return what reading has found, a line each."""
    return remark_lines(remarks.warnings(), remarks.notes())


def remark_lines(warnings: Iterable[str], notes: Iterable[str], strict: bool = False) -> list[str]:
    """Return warnings, which are errors if that is asked for, and notes as they are said."""
    word = "error" if strict else "warning"
    return [*(f"{word}: {line}" for line in warnings), *(f"note: {line}" for line in notes)]


def say_remarks(remarks: Remarks) -> None:
    """Say on standard error what reading has found."""
    for line in lines_of(remarks):
        note(line)
