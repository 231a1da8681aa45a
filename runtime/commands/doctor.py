"""`edgeseg doctor`: the command."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edgeseg.core.console import say


@click.command()
@click.argument("models", nargs=-1, type=click.Path(path_type=Path, exists=True), metavar="[MODEL]...")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON instead of a table.")
def doctor(models: tuple[Path, ...], as_json: bool) -> int:
    """Look at this machine: what a camera needs, what is missing or wrong, and the remedy for each.

    Of each MODEL (an ONNX file, an engine, or a folder of them) and of the cache it is said whether the TensorRT engine
    still holds. Exit code 1 if something is missing without which no model runs.
    """
    from edgeseg.runtime.doctor.examine import examine, table
    from edgeseg.runtime.doctor.findings import MachineUnderTest

    findings = examine(MachineUnderTest(models=models))
    say(json.dumps([finding.to_dict() for finding in findings], indent=1) if as_json else table(findings))
    return int(any(finding.state == "missing" for finding in findings))
