"""`edgeseg-camera --install` and `--rollback`: by the installer that a bundle has left on this device."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from edgeseg.core.errors import UsageError
from edgeseg.runtime.machine.child import child_environment


def rollback_option(context: click.Context, _: click.Parameter, asked: bool) -> None:
    """Click's callback of `--rollback`."""
    if asked:
        run_installer(Path(sys.prefix), "--rollback")


def install_option(context: click.Context, _: click.Parameter, bundle: Path | None) -> None:
    """Click's callback of `--install`."""
    if bundle is not None:
        run_installer(Path(sys.prefix), "--from", os.path.abspath(bundle))


def run_installer(environment: Path, *arguments: str) -> NoReturn:
    """Become the `install.sh` of the version that is current, which is shell and so needs no Python that works.

    Args:
        environment: the virtual environment that runs, PREFIX/versions/ID/venv.
        arguments: of install.sh.

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
        os.execve(installer, [str(installer), *arguments], child_environment())
    except OSError as error:
        raise UsageError(f"{installer}: cannot be run ({error.strerror}); run it by sh as root") from error
