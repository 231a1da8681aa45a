"""`edgeseg-camera --rollback`: the version before this one again, on a device that a bundle's install.sh set up."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from edgeseg.core.errors import UsageError
from edgeseg.runtime.machine.child import child_environment


def rollback_option(context: click.Context, _: click.Parameter, asked: bool) -> None:
    """Click's callback of the option."""
    if asked:
        roll_back(Path(sys.prefix))


def roll_back(environment: Path) -> NoReturn:
    """Become `install.sh --rollback`, which is shell and so needs no Python that works.

    Args:
        environment: the virtual environment that runs, PREFIX/versions/ID/venv.

    Raises:
        UsageError: no bundle was installed there, or its installer cannot be run.
    """
    version = environment.resolve().parent
    prefix = version.parent.parent
    installer = prefix / "current" / "install.sh"
    if version.parent.name != "versions" or not installer.is_file():
        raise UsageError(
            f"{environment}: not installed by a bundle's install.sh; expected PREFIX/versions/ID/venv, "
            f"as in /opt/edgeseg: use the edgeseg-camera of that installation"
        )
    try:
        os.execve(installer, [str(installer), "--rollback"], child_environment())
    except OSError as error:
        raise UsageError(f"{installer}: cannot be run ({error.strerror}); run it by sh as root") from error
