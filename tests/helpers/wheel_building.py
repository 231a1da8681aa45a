"""The wheel, built as `edgeseg bundle` builds it."""

from __future__ import annotations

from pathlib import Path

from edgeseg.bundle.own_wheel import wheel_of_checkout
from tests.helpers.places import ROOT


def build_wheel(folder: Path) -> Path:
    """Return the wheel, built inside `folder`. Raises UsageError with what the build complained of."""
    built = folder / "built"
    built.mkdir()
    return wheel_of_checkout(ROOT, built)
