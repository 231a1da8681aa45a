"""`edgeseg doctor`: the command."""

from __future__ import annotations

import json

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON instead of a table.")
def doctor(as_json: bool) -> int:
    """Look at this machine: what a camera needs, what is missing or wrong, and the remedy for each.

    Exit code 1 if something is missing without which no model runs.
    """
    from edgeseg.runtime.doctor import examine, table

    findings = examine()
    click.echo(json.dumps([finding.to_dict() for finding in findings], indent=1) if as_json else table(findings))
    return int(any(finding.state == "missing" for finding in findings))
