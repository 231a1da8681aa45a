"""Class maps of pictures without labels, written so that people can look at them and tools can correct them.

out/masks/NAME.png      class ids at the picture's own size; 255 where the network never looked
out/overlays/NAME.jpg   the picture with the classes' colours over it
out/colour/NAME.png     on request: the classes' colours alone
out/contact.png         up to 24 of the overlays on one sheet
out/classes.json        what the ids stand for
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from edgeseg.core.errors import DataError, UsageError
from edgeseg.core.files import replace_whole, write_whole
from edgeseg.core.geometry import Size
from edgeseg.core.labels import IGNORE_INDEX
from edgeseg.data.base import Image, Mask
from edgeseg.data.parallel import map_in_order
from edgeseg.data.reading.listing import IMAGE_SUFFIXES, pictures_in
from edgeseg.data.reading.pictures import read_image
from edgeseg.data.remarks import Remarks
from edgeseg.data.tools.write_coco import CocoDocument
from edgeseg.data.tools.write_masks import (
    CLASSES_FILE,
    COLOUR_FOLDER,
    check_free,
    classes_document,
    file_names,
    write_png,
)
from edgeseg.drawing.captions import mark_guessed
from edgeseg.drawing.overlay import colourise, overlay
from edgeseg.evaluation.evaluate import predicted_class_map
from edgeseg.evaluation.predictors import BATCH, Predictor
from edgeseg.figures.plots import draw_contact_sheet

CONTACT_PICTURES = 24
CONTACT_WIDTH = 480  # pixels of a thumbnail
JPEG_QUALITY = 90


@dataclass
class Prediction:
    """What `predict` did: how many pictures it wrote, a line for each that it could not read, and what it found."""

    written: int = 0
    failed: list[str] = field(default_factory=list)
    thumbnails: dict[int, tuple[str, Image]] = field(default_factory=dict)
    remarks: Remarks = field(default_factory=Remarks)


class _Picture(NamedTuple):
    position: int
    path: Path
    name: str  # of its PNG files, within their folders
    image: Image | None = None
    problem: str = ""
    class_map: Any = None


class _Written(NamedTuple):
    picture: _Picture
    mask: Mask
    thumbnail: Image | None
    annotations: list[Any]


def find_pictures(sources: Sequence[str]) -> list[Path]:
    """Return the picture files that the sources name: files, folders (with the folders in them) and globs; each once.

    A file is taken whatever its suffix. Raises DataError for a source that names none.
    """
    found: dict[str, Path] = {}
    for source in sources:
        path = Path(os.path.expanduser(source))
        if os.path.isdir(path):
            paths = pictures_in(path)
        elif os.path.exists(path) or not glob.has_magic(source):
            paths = [path] if os.path.isfile(path) else []
        else:
            matches = sorted(Path(match) for match in glob.glob(str(path), recursive=True))
            paths = [each for each in matches if each.suffix.lower() in IMAGE_SUFFIXES and os.path.isfile(each)]
        if not paths:
            raise DataError(f"{source}: no picture there; expected a picture file, a folder or a glob of pictures")
        for each in paths:
            found.setdefault(os.path.abspath(each), each)
    return list(found.values())


def predict(
    predictor: Predictor,
    pictures: Sequence[Path],
    out: Path,
    colour: bool = False,
    coco: CocoDocument | None = None,
    stop: Callable[[], bool] = lambda: False,
    on_picture: Callable[[], None] = lambda: None,
    on_problem: Callable[[str], None] = lambda line: None,
) -> Prediction:
    """Write the class maps and overlays of pictures into a new folder; a picture that cannot be read is passed over.

    Args:
        predictor: the model.
        pictures: files, as `find_pictures` returns them.
        out: a folder that is not there or empty. Each file in it is whole, whenever the work ends.
        colour: also write masks in the classes' colours.
        coco: collects annotations of every picture, named by its path within the pictures' common folder.
        stop: asked before each batch; once it is true, only what was begun is finished.
        on_picture: called after each picture.
        on_problem: told each picture that cannot be read, when it is found.

    Raises:
        UsageError: `out` has something in it, or cannot be written.
        ModelError: the network has more classes than its spec.
    """
    check_free(out)
    done = Prediction()
    write_whole(out / CLASSES_FILE, classes_document(predictor.spec.classes))
    common = os.path.commonpath([path.absolute().parent for path in pictures])
    shown = set(np.linspace(0, len(pictures) - 1, CONTACT_PICTURES).astype(int).tolist())
    listed = [_Picture(index, *pair) for index, pair in enumerate(zip(pictures, _names(pictures), strict=True))]

    def write(picture: _Picture) -> _Written | _Picture:
        return picture if picture.problem else _write(predictor, picture, out, colour, coco, picture.position in shown)

    for each in map_in_order(
        write, _predicted(predictor, map_in_order(partial(_read, remarks=done.remarks), listed), stop)
    ):
        if isinstance(each, _Picture):
            done.failed.append(each.problem)
            on_problem(each.problem)
        else:
            done.written += 1
            if each.thumbnail is not None:
                done.thumbnails[each.picture.position] = (each.picture.path.name, each.thumbnail)
            if coco:
                file_name = os.path.relpath(each.picture.path.absolute(), common)
                coco.add(Path(file_name).as_posix(), each.mask, each.annotations)
        on_picture()
    if done.thumbnails:
        sheet = [done.thumbnails[index] for index in sorted(done.thumbnails)]
        replace_whole(out / "contact.png", lambda path: draw_contact_sheet(sheet, predictor.spec.classes, path))
    return done


def _names(pictures: Sequence[Path]) -> list[str]:
    return file_names([str(path) for path in pictures])


def _read(picture: _Picture, remarks: Remarks) -> _Picture:
    try:
        return picture._replace(image=read_image(picture.path, tell=remarks.of(str(picture.path))))
    except DataError as error:
        return picture._replace(problem=str(error))


def _predicted(predictor: Predictor, pictures: Iterable[_Picture], stop: Callable[[], bool]) -> Iterator[_Picture]:
    """Yield the pictures with their class maps, predicted a batch at a time."""
    waiting = iter(pictures)
    while not stop() and (some := list(islice(waiting, BATCH))):
        class_maps = iter(predictor.predict([each.image for each in some if each.image is not None]))
        for each in some:
            yield each if each.image is None else each._replace(class_map=next(class_maps))


def _write(
    predictor: Predictor, picture: _Picture, out: Path, colour: bool, coco: CocoDocument | None, shown: bool
) -> _Written:
    image, classes = picture.image, predictor.spec.classes
    assert image is not None
    size = Size(*image.shape[:2])
    mask = predicted_class_map(predictor, size, picture.class_map)
    blended = overlay(image, picture.class_map, predictor.placement(size), classes)
    mark_guessed(blended, predictor.spec.guessed)
    void = mask == classes.ignore_index
    replace_whole(
        out / "masks" / picture.name, lambda path: write_png(path, np.where(void, np.uint8(IGNORE_INDEX), mask))
    )
    replace_whole((out / "overlays" / picture.name).with_suffix(".jpg"), lambda path: _write_jpeg(path, blended))
    if colour:
        replace_whole(out / COLOUR_FOLDER / picture.name, lambda path: write_png(path, colourise(mask, classes)))
    return _Written(picture, mask, _thumbnail(blended) if shown else None, coco.annotations_of(mask) if coco else [])


def _write_jpeg(path: Path, image: Image) -> None:
    done, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise UsageError(f"{path}: a picture of {image.shape[1]}x{image.shape[0]} cannot be written as JPEG")
    path.write_bytes(encoded.tobytes())


def _thumbnail(image: Image) -> Image:
    height, width = image.shape[:2]
    scale = min(1.0, CONTACT_WIDTH / width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
