"""The `edgeseg` command. Each command parses, calls and prints; what it needs is imported when it runs."""

from __future__ import annotations

import click

from edgeseg.commands.benchmark import benchmark
from edgeseg.commands.bundle import bundle
from edgeseg.commands.data import data
from edgeseg.commands.demo import demo
from edgeseg.commands.evaluate import evaluate
from edgeseg.commands.export import export
from edgeseg.commands.inspect import inspect
from edgeseg.commands.models import models
from edgeseg.commands.predict import predict
from edgeseg.commands.train import report, train
from edgeseg.core.console import run_command
from edgeseg.runtime.commands.doctor import doctor
from edgeseg.runtime.commands.engine import engine
from edgeseg.runtime.commands.replay import replay


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="edgeseg", message="%(package)s %(version)s")
def cli() -> None:
    """Semantic segmentation on embedded NVIDIA GPUs: train, evaluate, export, benchmark.

    Data sets are named FORMAT:PATH; sizes are WIDTHxHEIGHT. In the vehicle, edgeseg-camera streams a camera.
    """


cli.add_command(train)
cli.add_command(evaluate)
cli.add_command(predict)
cli.add_command(report)
cli.add_command(data)
cli.add_command(models)
cli.add_command(export)
cli.add_command(inspect)
cli.add_command(engine)
cli.add_command(bundle)
cli.add_command(benchmark)
cli.add_command(replay)
cli.add_command(doctor)
cli.add_command(demo)


def main() -> None:
    """Run the command as a program."""
    run_command(cli, "edgeseg")
