"""Where pictures, masks and class list lie in a folder, by the names that people and tools give them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgeseg.core.errors import DataError
from edgeseg.data.reading.listing import IMAGE_SUFFIXES, files_in, is_visible

WHAT = "a class list, in the order of the ids, a line NAME R G B each"
IMAGES = ("images", "image", "imgs", "img", "JPEGImages", "pictures", "frames", "rgb")
MASKS = ("masks", "mask", "labels", "label", "annotations", "gt", "groundtruth", "ground_truth", "SegmentationClass")
LISTS = (
    *("classes.txt", "labelmap.txt", "label_colors.txt", "class_dict.csv", "classes.csv", "labels.txt", "labels.csv"),
    *("classes.json", "classes.yaml", "classes.yml", "data.yaml", "palette.txt", "class_names.txt"),
)
"""Names that other tools write. The first of each goes before the others, of which only one may be there."""


def images_of(root: Path, said: str = "") -> Path:
    """Return the folder of the pictures: the one that is said, else that of a usual name. Raises DataError."""
    return root / said if said else _usual_folder(root, IMAGES, "images")


def masks_of(root: Path, said: str = "") -> Path:
    """Return the folder of the masks, as `images_of` does. Raises DataError."""
    return root / said if said else _usual_folder(root, MASKS, "masks")


def class_list_of(root: Path, said: str = "") -> Path:
    """Return the class list: the file that is said, else that of a usual name. Raises DataError."""
    if said:
        if not (root / said).is_file():
            raise DataError(f"{root / said}: no such file; expected {WHAT}")
        return root / said
    found = _named(sorted(path for path in root.iterdir() if path.is_file()), LISTS)
    if len(found) > 1:
        listed = " and ".join(path.name for path in found)
        raise DataError(f"{root}: {listed} may be the class list; expected one of them: say palette=FILE")
    if not found:
        others = ", ".join(LISTS[1:])
        raise DataError(
            f"{root / LISTS[0]}: no such file, nor {others}; expected {WHAT}: write it, or say palette=FILE"
        )
    return found[0]


def _usual_folder(root: Path, names: Sequence[str], what: str) -> Path:
    there = sorted(path for path in root.iterdir() if path.is_dir() and is_visible(path.name))
    found = [path for path in _named(there, names) if files_in(path, *IMAGE_SUFFIXES)]
    if len(found) > 1:
        listed = " and ".join(f"{path.name}/" for path in found)
        raise DataError(f"{root}: {listed} may hold the {what}; expected one of them: say {what}=FOLDER")
    if not found:
        listed = ", ".join(f"{path.name}/" for path in there[:10]) or "no folder"
        usual = ", ".join(f"{name}/" for name in names[1:])
        raise DataError(
            f"{root / names[0]}: no such folder, or no picture in it; expected the {what} there, or in one of {usual}; "
            f"the data has {listed}: say {what}=FOLDER"
        )
    return found[0]


def _named(paths: Sequence[Path], names: Sequence[str]) -> list[Path]:
    """Return the paths of these names, whatever their case: the one of the first name alone if it is there."""
    first = [path for path in paths if path.name == names[0]]
    first = first or [path for path in paths if path.name.lower() == names[0].lower()]
    others = {name.lower() for name in names}
    return first or [path for path in paths if path.name.lower() in others]
