"""Where the picture of an annotation lies. What a file says of paths is a hint, never followed out of the data."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from edgeseg.data.files import IMAGE_SUFFIXES

SUFFIXES = (*IMAGE_SUFFIXES, *(suffix.upper() for suffix in IMAGE_SUFFIXES))


def find_image(root: Path, folders: Iterable[Path], hints: Iterable[str], stem: str = "") -> Path | None:
    """Return the picture that the hints or the stem name, or None.

    Args:
        root: the data folder; a hint that leads out of it is not followed, only its last part is looked for.
        folders: where to look, first to last.
        hints: file names or paths as an annotation gives them; absolute ones are from another machine.
        stem: the annotation's own name, tried with every image suffix.
    """
    bases = list(dict.fromkeys(folders))
    for base in bases:
        for suffix in SUFFIXES if stem else ():
            if os.path.isfile(base / f"{stem}{suffix}"):
                return base / f"{stem}{suffix}"
    for hint in hints:
        parts = hint.replace("\\", "/").strip()
        for base in bases:
            for path in (_within(root, base, parts), base / parts.rpartition("/")[2]):
                if path and path.suffix.lower() in IMAGE_SUFFIXES and os.path.isfile(path):
                    return path
    return None


def _within(root: Path, base: Path, hint: str) -> Path | None:
    """Return the hint as a path under `base` if it stays in the data folder or in `base`."""
    path = os.path.normpath(os.path.join(base, hint))
    allowed = any(path.startswith(os.path.normpath(folder) + os.sep) for folder in (root, base))
    return Path(path) if allowed and not os.path.isabs(hint) else None
