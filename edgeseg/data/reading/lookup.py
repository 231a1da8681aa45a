"""Where the picture of an annotation lies. What a file says of paths is a hint, never followed out of the data."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from edgeseg.core.errors import DataError
from edgeseg.data.reading.listing import IMAGE_SUFFIXES

SUFFIXES = (*IMAGE_SUFFIXES, *(suffix.upper() for suffix in IMAGE_SUFFIXES))


def find_image(root: Path, folders: Iterable[Path], hints: Iterable[str], stems: Iterable[str] = ()) -> Path | None:
    """Return the picture that the stems or the hints name, or None.

    Args:
        root: the data folder; a hint that leads out of it is not followed, only its last part is looked for.
        folders: where to look, first to last.
        hints: file names or paths as an annotation gives them; absolute ones are from another machine. Only asked for
            where the stems do not do.
        stems: the annotation's own names, tried with every image suffix; the first that is there counts.

    Raises:
        DataError: there are several pictures of a stem, and the hints name none or several of them.
    """
    bases = list(dict.fromkeys(folders))
    for base, stem in ((base, stem) for stem in dict.fromkeys(stems) for base in bases):
        found = [f"{base / stem}{suffix}" for suffix in SUFFIXES]
        # By inode: on a disk that ignores case, a.png and a.PNG are one file.
        found = list({os.stat(path).st_ino: path for path in found if os.path.isfile(path)}.values())
        if found:
            return Path(found[0] if len(found) == 1 else _named(found, hints))
    for hint in hints:
        parts = hint.replace("\\", "/").strip()
        exact = [_within(root, base, parts) for base in bases]  # first: monday/1.png is not the 1.png beside it
        for path in (*exact, *(base / parts.rpartition("/")[2] for base in bases)):
            if path and path.suffix.lower() in IMAGE_SUFFIXES and os.path.isfile(path):
                return path
    return None


def _named(found: list[str], hints: Iterable[str]) -> str:
    """Return the one of several pictures that an annotation means: a mask beside a picture has its name too."""
    names = {hint.replace("\\", "/").rpartition("/")[2].strip() for hint in hints}
    chosen = [path for path in found if os.path.basename(path) in names]
    if len(chosen) != 1:
        others = " and ".join(os.path.basename(path) for path in found)
        raise DataError(f"{os.path.dirname(found[0])}: {others} have one name; expected one picture: move the others")
    return chosen[0]


def _within(root: Path, base: Path, hint: str) -> Path | None:
    """Return the hint as a path under `base` if it stays in the data folder or in `base`."""
    path = os.path.normpath(os.path.join(base, hint))
    # Absolute, since the normal path of a picture in the current folder does not begin with that folder's ".".
    allowed = any(os.path.abspath(path).startswith(os.path.join(os.path.abspath(each), "")) for each in (root, base))
    return Path(path) if allowed and not os.path.isabs(hint) else None
