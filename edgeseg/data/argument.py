"""The data argument, and the table of formats. A new format is one small file and one line here.

`FORMAT:PATH`, `FORMAT:PATH?key=value&key=value`, the path of a `dataset.toml`, or a Python class
`package.module:Class` (with `package.module:Class:TEXT`, its constructor gets the text). Two options work for all of
them: `classes` merges classes, `ignore_mask` names a mask of what is never labelled rightly, such as the bonnet.
"""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from typing import NamedTuple

from edgeseg.data.base import Dataset
from edgeseg.data.merged import merged
from edgeseg.data.options import IGNORE_MASK, MERGE, check_options, split_argument
from edgeseg.errors import DataError, EdgesegError, UsageError, nearest


class Format(NamedTuple):
    """A line of the table: `module:Class`, and what a user reads about it."""

    target: str
    description: str

    def load(self) -> type[Dataset]:
        """Import the format's class."""
        module, _, class_name = self.target.partition(":")
        kind: type[Dataset] = getattr(import_module(module), class_name)
        return kind


FORMATS = {
    "camvid": Format("edgeseg.data.camvid:CamVid", "CamVid as SegNet split it: train/ with trainannot/"),
    "scenes": Format("edgeseg.data.scenes:Scenes", "road scenes drawn as they are asked for; needs no data"),
    "voc-xml": Format("edgeseg.data.voc_xml:VocXml", "PASCAL VOC XML with polygons, as Labelbox exports it"),
    "voc-masks": Format("edgeseg.data.voc_masks:VocMasks", "SegmentationClass/ with labelmap.txt, as CVAT exports it"),
    "coco": Format("edgeseg.data.coco:Coco", "COCO JSON with polygons and run lengths"),
    "labelme": Format("edgeseg.data.labelme:LabelMe", "LabelMe JSON beside each picture"),
    "folder": Format("edgeseg.data.folder:Folder", "images/ and masks/ of ids or colours, with classes.txt"),
    "kitti-road": Format("edgeseg.data.kitti_road:KittiRoad", "KITTI's road benchmark: road and not road"),
    "kitti-semantic": Format(
        "edgeseg.data.kitti_semantic:KittiSemantic", "KITTI's semantic benchmark, Cityscapes' ids"
    ),
    "cityscapes": Format("edgeseg.data.cityscapes:Cityscapes", "Cityscapes, fine annotations: 19, 20 or 34 classes"),
    "tfrecord": Format("edgeseg.data.tfrecord:TFRecords", "what `edgeseg data pack` wrote, and others' image and mask"),
}
DECLARED = "dataset.toml"
PYTHON_CLASS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$")


def open_dataset(argument: str) -> Dataset:
    """Open a data argument, for example `camvid:../data/camvid`, `scenes:train=200` or `roads/dataset.toml`.

    Raises:
        UsageError: the format or an option is unknown, or a value is out of range.
        DataError: the data is not as the format lays it out.
    """
    location, options = split_argument(argument)
    name, colon, rest = location.partition(":")
    rule, ignore_mask = options.pop(MERGE, None), options.pop(IGNORE_MASK, None)
    if name in FORMATS and colon:
        dataset = _open(name, FORMATS[name].load(), rest, options)
    elif colon and PYTHON_CLASS.match(name):
        dataset = _open_class(name, rest, options)
    elif location.endswith(".toml"):
        dataset = _open(DECLARED, Format("edgeseg.data.declared:Declared", "").load(), location, options)
    else:
        raise _unknown(location)
    if ignore_mask is not None:
        from edgeseg.data.ignore_mask import masked  # brings OpenCV

        dataset = masked(dataset, ignore_mask)
    if not dataset.splits:
        raise DataError(f"{argument}: no picture with labels in it; expected at least one, laid out as in docs/data.md")
    return dataset if rule is None else merged(dataset, rule)


def _open(name: str, kind: type[Dataset], text: str, options: dict[str, str]) -> Dataset:
    check_options(options, kind.OPTIONS, f"data format {name!r}")
    try:
        return kind(text, **options)
    except OSError as error:  # a folder that may not be read, a name that is too long
        raise DataError(f"{error.filename or text}: cannot be read ({error.strerror}); mend it, or --data") from error


def _open_class(module: str, rest: str, options: dict[str, str]) -> Dataset:
    """Open `package.module:Class:TEXT`. What its code raises becomes one line too."""
    class_name, _, text = rest.partition(":")
    name = f"{module}:{class_name}"
    kind = _imported(module, class_name)
    if not (isinstance(kind, type) and issubclass(kind, Dataset)):
        raise UsageError(f"{name} is no data set; expected a class on the base class edgeseg.data.Dataset")
    try:
        return _open(name, kind, text, options)
    except EdgesegError:
        raise
    except Exception as error:
        raise DataError(f"{name}: cannot be opened ({_one_line(error)}); correct the class") from error


def _imported(module: str, class_name: str) -> object:
    here = os.getcwd()
    added = here not in sys.path
    if added:  # a console script does not look into the folder it is called from, a user does
        sys.path.append(here)
    try:
        return getattr(import_module(module), class_name)
    except Exception as error:
        raise UsageError(
            f"{module}:{class_name} cannot be imported ({_one_line(error)}); expected package.module:Class, with the "
            f"package installed or in the current folder"
        ) from error
    finally:
        if added:
            sys.path.remove(here)


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _unknown(location: str) -> UsageError:
    name, colon, _ = location.partition(":")
    known = ", ".join(f"{each}:" for each in FORMATS)
    if colon:
        return UsageError(f"data format {name!r} is unknown{nearest(name, FORMATS)}; expected one of {known}")
    return UsageError(
        f"data {location!r}; expected FORMAT:PATH with a format of {known} (as in camvid:{location}), or the path of "
        f"a {DECLARED}"
    )
