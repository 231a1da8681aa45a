"""The table of data formats. A new one is one file in formats/ and one row here."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from edgeseg.data.base import Dataset


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
    "camvid": Format("edgeseg.data.formats.camvid:CamVid", "CamVid as SegNet split it: train/ with trainannot/"),
    "scenes": Format("edgeseg.data.formats.scenes:Scenes", "road scenes drawn as they are asked for; needs no data"),
    "voc-xml": Format("edgeseg.data.formats.voc_xml:VocXml", "PASCAL VOC XML with polygons, as Labelbox exports it"),
    "voc-masks": Format(
        "edgeseg.data.formats.voc_masks:VocMasks", "SegmentationClass/ with labelmap.txt, as CVAT exports it"
    ),
    "coco": Format("edgeseg.data.formats.coco:Coco", "COCO JSON with polygons and run lengths"),
    "cvat": Format("edgeseg.data.formats.cvat:Cvat", "CVAT's own XML, for images or for video, in a ZIP or a folder"),
    "labelme": Format("edgeseg.data.formats.labelme:LabelMe", "LabelMe JSON beside each picture"),
    "folder": Format("edgeseg.data.formats.folder:Folder", "images/ and masks/ of ids or colours, with classes.txt"),
    "kitti-road": Format("edgeseg.data.formats.kitti_road:KittiRoad", "KITTI's road benchmark: road and not road"),
    "kitti-semantic": Format(
        "edgeseg.data.formats.kitti_semantic:KittiSemantic", "KITTI's semantic benchmark, Cityscapes' ids"
    ),
    "cityscapes": Format(
        "edgeseg.data.formats.cityscapes:Cityscapes", "Cityscapes, fine annotations: 19, 20, 29 or 34 classes"
    ),
    "comma10k": Format(
        "edgeseg.data.formats.comma10k:Comma10k", "comma.ai's drives: imgs/ with masks/ of five colours"
    ),
    "tfrecord": Format(
        "edgeseg.data.formats.tfrecord:TFRecords", "what `edgeseg data pack` wrote, and others' image and mask"
    ),
}
DECLARED = "dataset.toml"
DECLARED_FORMAT = Format("edgeseg.data.formats.declared:Declared", "a data set of one's own, declared in one file")
"""Named by its path, without a format before it."""
