"""Write any data set's labels as class-id PNG masks, the form that most other tools read."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import DataError, UsageError
from edgeseg.core.labels import IGNORE_INDEX, ClassMap
from edgeseg.core.whole_folders import replace_whole_folder
from edgeseg.data.base import Dataset, Sample
from edgeseg.data.parallel import map_in_order
from edgeseg.data.splits import check_split_names
from edgeseg.drawing.overlay import colourise

COLOUR_FOLDER = "colour"
CLASSES_FILE = "classes.json"


def write_masks(
    dataset: Dataset,
    out: Path,
    colour: bool = False,
    on_start: Callable[[int], None] = lambda samples: None,
    on_sample: Callable[[], None] = lambda: None,
) -> int:
    """Write `out/<split>/<name>.png`, 8-bit ids with void as 255, and `out/classes.json`; return how many masks.

    The folder takes its name when it is whole: until then, and after a kill, it is `.<name>.partial` beside it.

    Args:
        dataset: whose masks.
        out: a folder that is not there or empty.
        colour: also write `out/colour/<split>/<name>.png`, RGB in the classes' colours, void black.
        on_start: told the number of samples.
        on_sample: called after each mask.

    Raises:
        DataError: a mask cannot be read.
        UsageError: `out` has something in it, or cannot be written; or a split's name cannot be a folder's.
    """
    check_free(out)
    check_split_names(dataset.splits)
    files = []
    for split in dataset.splits:
        samples = dataset.split(split)
        names = file_names([sample.name for sample in samples])
        files += [(Path(split) / name, sample) for name, sample in zip(names, samples, strict=True)]
    on_start(len(files))

    def write(folder: Path) -> None:
        (folder / CLASSES_FILE).write_text(classes_document(dataset.classes))
        for _ in map_in_order(lambda file: _write(folder, *file, colour), files):
            on_sample()

    replace_whole_folder(out, write)
    return len(files)


def check_free(folder: Path) -> None:
    """Raise UsageError if `folder` is a file, has something in it or cannot be looked into."""
    try:
        taken = folder.exists() and not folder.is_dir()
        full = folder.is_dir() and any(folder.iterdir())
    except OSError as error:
        raise UsageError(f"{folder}: cannot be looked into ({error.strerror}); choose another folder") from error
    if taken:
        raise UsageError(f"{folder} is a file; expected a new or empty folder")
    if full:
        raise UsageError(f"{folder} is not empty; choose a new folder: nothing is overwritten")


def file_names(sources: Sequence[str]) -> list[str]:
    """Return a relative path ending in .png for each file, different from all others: its file name, if that is enough.

    Where two files of one name lie in different folders, the folders are kept; where two differ in their suffix
    alone, the suffix is.
    """
    paths = [Path(os.path.abspath(source)) for source in sources]
    parent = os.path.commonpath([path.parent for path in paths])
    relative = [path.relative_to(parent) for path in paths]
    for names in ([_bare(Path(path.name)) for path in relative], [_bare(path) for path in relative]):
        if len(set(names)) == len(names):
            break
    else:
        names = [str(path) for path in relative]
    return [f"{name}.png" for name in names]


def _bare(path: Path) -> str:
    return str(path.with_suffix("") if re.fullmatch(r"\.[A-Za-z]\w*", path.suffix) else path)


def _write(root: Path, name: Path, sample: Sample, colour: bool) -> None:
    class_map = sample.read_class_map()
    void = class_map == sample.classes.ignore_index
    write_png(root / name, np.where(void, np.uint8(IGNORE_INDEX), class_map))
    if colour:
        write_png(root / COLOUR_FOLDER / name, colourise(class_map, sample.classes))


def write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write a (H, W) or (H, W, 3) uint8 BGR picture, making its folder. Raises DataError and OSError."""
    done, encoded = cv2.imencode(".png", pixels)
    if not done:
        raise DataError(f"{path.name}: a mask of shape {pixels.shape} cannot be written as PNG; expected (H, W)")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded.tobytes())


def classes_document(classes: ClassMap) -> str:
    """Return the text of classes.json: what the ids of a mask file stand for."""
    entries = [
        {"id": index, "name": name, "colour": list(colour)}
        for index, (name, colour) in enumerate(zip(classes.names, classes.colours, strict=True))
    ]
    return json.dumps({"classes": entries, "ignore_index": IGNORE_INDEX}, indent=1) + "\n"
