"""pip, as a program of its own: it builds, and it downloads for other computers."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

from edgeseg.core.errors import UsageError
from edgeseg.runtime.machine.child import run_child

EPOCH = 315_532_800
"""1980, the earliest that a zip file can say: every file of a bundle has this date; equal input gives equal bytes."""
_SETUPTOOLS = 77  # pyproject.toml's, for its licence field


def build_isolation() -> list[str]:
    """Return the option to build with what is installed, where that can be: it takes no network then, and less time."""
    try:
        is_enough = int(metadata.version("setuptools").partition(".")[0]) >= _SETUPTOOLS
    except (metadata.PackageNotFoundError, ValueError):
        is_enough = False
    return ["--no-build-isolation"] if is_enough else []


def run_pip(command: str, *arguments: str, remedy: str) -> None:
    """Run a pip command. Raises UsageError with the last thing that it complained of, and the remedy."""
    options = ("--disable-pip-version-check", "--no-input", "--retries", "2", command, *arguments)
    date = {"SOURCE_DATE_EPOCH": str(EPOCH)}
    done = run_child("pip", *options, variables=date, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode == 0:
        return
    if "No module named 'pip'" in done.stderr:
        raise UsageError(f"{sys.executable} has no pip, which fetches packages: {sys.executable} -m ensurepip")
    lines = done.stderr.strip().splitlines() or ["no reason given"]
    errors = [line.partition(": ")[2] for line in lines if line.lower().startswith("error: ")]
    raise UsageError(f"pip {command}: {(errors or lines)[-1]}; {remedy}")
