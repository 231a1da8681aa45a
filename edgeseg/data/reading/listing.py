"""Which files a data folder holds: in a fixed order, whatever the case of their suffixes, links followed once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from edgeseg.core.errors import DataError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")


def data_folder(argument: str, example: str) -> Path:
    """Return the folder that a data argument names. Raises DataError, with `example` as what was expected."""
    folder = Path(os.path.expanduser(argument))
    if not argument or not folder.is_dir():
        raise DataError(f"{argument or 'no path'}: no such folder; expected {example}")
    return folder


def pictures_in(folder: Path) -> list[Path]:
    """Return the picture files of a folder and the folders in it, in a fixed order. Raises DataError."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected images in it")
    return files_in(folder, *IMAGE_SUFFIXES)


def files_in(folder: Path, *endings: str) -> list[Path]:
    """Return the files whose names end in one of the endings, in a folder and the folders in it, in a fixed order.

    Case does not matter. What is hidden is left out: a Mac's `._a.png` and `__MACOSX/`, a notebook's
    `.ipynb_checkpoints/`. Folders that are links are entered, each folder once, so that no file is listed twice and a
    link to a folder above has an end; a folder is found under its own name before that of a link.
    """
    wanted = tuple(ending.lower() for ending in endings) or ("",)
    return sorted(path for path in _walk(folder) if path.name.lower().endswith(wanted) and path.is_file())


def _walk(top: Path) -> Iterator[Path]:
    entered: set[tuple[int, int]] = set()
    for above in Path(os.path.realpath(top)).parents:  # a link to one of them would bring in what lies beside `top`
        _enter(str(above), entered)
    waiting = [top]
    while waiting:
        links: list[Path] = []
        for start in waiting:
            for folder, folders, names in os.walk(start):
                if not _enter(folder, entered):
                    folders.clear()
                    continue
                folders[:] = sorted(each for each in folders if is_visible(each))
                links += [Path(folder, each) for each in folders if os.path.islink(os.path.join(folder, each))]
                yield from (Path(folder, name) for name in names if is_visible(name))
        waiting = sorted(links)


def _enter(folder: str, entered: set[tuple[int, int]]) -> bool:
    """Remember a folder by what it is on the disk; return whether it is new."""
    try:
        status = os.stat(folder)
    except OSError:  # gone meanwhile
        return False
    key = status.st_dev, status.st_ino
    if key in entered:
        return False
    entered.add(key)
    return True


def is_visible(name: str) -> bool:
    """Return whether a file or folder is no hidden one."""
    return not name.startswith(".") and name != "__MACOSX"
