"""Data sets of road images with class-id masks. Add a format in formats/, with a row in registry.py.

For a data set of one's own: `from edgeseg.data import Dataset, Sample` (docs/data.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgeseg.data.base import Dataset, Sample

__all__ = ["Dataset", "Sample"]


def __getattr__(name: str) -> Any:  # the base class is imported by whoever uses it, not by every module in this folder
    if name in __all__:
        from edgeseg.data import base

        return getattr(base, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
