"""The official label table of Cityscapes (Cordts et al. 2016, cityscapesScripts/helpers/labels.py); KITTI uses its ids.

The option `labels` of the formats `cityscapes:` and `kitti-semantic:` chooses what of it is used:
- `train`: the 19 classes that are evaluated; everything else is ignored. The default.
- `founding`: 20 classes, for the founding KITTI post: the 19, and `other` for everything else, so nothing is ignored.
- `colours`: the 29 classes that a colour file tells apart, as a founding post has them. Of labels that share a colour,
  `unlabeled` stands for ego vehicle, rectification border, out of roi and static too (black), `pole` for polegroup;
  a license plate is `car`. Nothing is ignored.
- `all`: the 34 labels with ids 0 to 33, `unlabeled` among them; a pixel of no id (license plate, -1) is ignored.
"""

from __future__ import annotations

from typing import NamedTuple

from edgeseg.core.errors import UsageError, nearest
from edgeseg.core.labels import IGNORE_INDEX, ClassMap, Colour
from edgeseg.data.reading.colour_masks import ColourMask
from edgeseg.data.reading.masks import IdMask
from edgeseg.data.remarks import LeftOut

LICENSE_PLATE = 255  # its id is -1, which is 255 in an 8-bit file


class Label(NamedTuple):
    """A line of the table; its place is its id. `train_id` is 255 for what is not evaluated."""

    name: str
    train_id: int
    colour: Colour


TABLE = (
    Label("unlabeled", 255, (0, 0, 0)),
    Label("ego vehicle", 255, (0, 0, 0)),
    Label("rectification border", 255, (0, 0, 0)),
    Label("out of roi", 255, (0, 0, 0)),
    Label("static", 255, (0, 0, 0)),
    Label("dynamic", 255, (111, 74, 0)),
    Label("ground", 255, (81, 0, 81)),
    Label("road", 0, (128, 64, 128)),
    Label("sidewalk", 1, (244, 35, 232)),
    Label("parking", 255, (250, 170, 160)),
    Label("rail track", 255, (230, 150, 140)),
    Label("building", 2, (70, 70, 70)),
    Label("wall", 3, (102, 102, 156)),
    Label("fence", 4, (190, 153, 153)),
    Label("guard rail", 255, (180, 165, 180)),
    Label("bridge", 255, (150, 100, 100)),
    Label("tunnel", 255, (150, 120, 90)),
    Label("pole", 5, (153, 153, 153)),
    Label("polegroup", 255, (153, 153, 153)),
    Label("traffic light", 6, (250, 170, 30)),
    Label("traffic sign", 7, (220, 220, 0)),
    Label("vegetation", 8, (107, 142, 35)),
    Label("terrain", 9, (152, 251, 152)),
    Label("sky", 10, (70, 130, 180)),
    Label("person", 11, (220, 20, 60)),
    Label("rider", 12, (255, 0, 0)),
    Label("car", 13, (0, 0, 142)),
    Label("truck", 14, (0, 0, 70)),
    Label("bus", 15, (0, 60, 100)),
    Label("caravan", 255, (0, 0, 90)),
    Label("trailer", 255, (0, 0, 110)),
    Label("train", 16, (0, 80, 100)),
    Label("motorcycle", 17, (0, 0, 230)),
    Label("bicycle", 18, (119, 11, 32)),
)
_EVALUATED = sorted((label for label in TABLE if label.train_id != 255), key=lambda label: label.train_id)
TRAIN = ClassMap(tuple(label.name for label in _EVALUATED), tuple(label.colour for label in _EVALUATED))
FOUNDING = ClassMap((*TRAIN.names, "other"), (*TRAIN.colours, (0, 0, 0)))
ALL = ClassMap(tuple(label.name for label in TABLE), tuple(label.colour for label in TABLE))
_OF_COLOUR = {label.colour: label.name for label in reversed(TABLE)}  # of several, the first in the table
COLOURS = ClassMap(
    tuple(label.name for label in TABLE if _OF_COLOUR[label.colour] == label.name),
    tuple(label.colour for label in TABLE if _OF_COLOUR[label.colour] == label.name),
)
PLATE_COLOUR = (0, 0, 142)  # of a license plate, and of a car
LABELS = {"train": TRAIN, "founding": FOUNDING, "colours": COLOURS, "all": ALL}
LABELS_HELP = (
    "train: the 19 evaluated classes; founding: those and 'other'; colours: the 29 that differ in colour; all: the 34 "
    "labels (train)"
)


NOT_EVALUATED = LeftOut(
    "the benchmark does not count these labels, they are ignored",
    False,
    "pixels",
    option="labels=all or labels=founding",
)
NO_PLATES = LeftOut("the label license plate has no id of its own, they are ignored", False, "pixels")
PLATE = "license plate"


def classes_of(labels: str) -> ClassMap:
    """Return the classes of the option `labels`. Raises UsageError."""
    if labels not in LABELS:
        raise UsageError(f"option labels={labels}{nearest(labels, LABELS)}; expected one of {', '.join(LABELS)}")
    return LABELS[labels]


def _rest(labels: str) -> int:
    return len(TRAIN) if labels == "founding" else IGNORE_INDEX


def decode_ids(labels: str) -> IdMask:
    """Return what makes classes of a file of label ids."""
    if labels == "all":
        ids = (*((index, index) for index in range(len(TABLE))), (LICENSE_PLATE, IGNORE_INDEX))
        return IdMask(ids, left_out=(NO_PLATES, ((LICENSE_PLATE, PLATE),)))
    if labels == "colours":
        of_colour = {colour: index for index, colour in enumerate(COLOURS.colours)}
        known = ((index, of_colour[label.colour]) for index, label in enumerate(TABLE))
        return IdMask((*known, (LICENSE_PLATE, of_colour[PLATE_COLOUR])))
    pairs = [(index, label.train_id if label.train_id != 255 else _rest(labels)) for index, label in enumerate(TABLE)]
    unseen = tuple((index, label.name) for index, label in enumerate(TABLE) if label.train_id == IGNORE_INDEX)
    left_out = (NOT_EVALUATED, (*unseen, (LICENSE_PLATE, PLATE)))
    return IdMask((*pairs, (LICENSE_PLATE, _rest(labels))), left_out=left_out if labels == "train" else None)


def decode_train_ids(labels: str) -> IdMask:
    """Return what makes classes of a file of train ids. Raises UsageError for labels that it does not hold."""
    if labels in ("all", "colours"):
        raise UsageError(
            f"option labels={labels} with encoding=labelTrainIds; expected encoding=labelIds: train ids lack them"
        )
    return IdMask((*((index, index) for index in range(len(TRAIN))), (255, _rest(labels))))


def decode_colours(labels: str) -> ColourMask:
    """Return what makes classes of a file of colours. Raises UsageError for labels that share a colour."""
    if labels == "all":
        raise UsageError(
            "option labels=all with encoding=color; expected encoding=labelIds, or labels=colours: some labels share "
            "a colour"
        )
    if labels == "colours":
        return ColourMask.of(COLOURS)
    pairs = {label.colour: _rest(labels) for label in TABLE}
    pairs.update({label.colour: label.train_id for label in _EVALUATED})  # pole and polegroup share one
    unseen = {label.colour: label.name for label in reversed(TABLE) if pairs[label.colour] == IGNORE_INDEX}
    return ColourMask(tuple(pairs.items()), left_out=(NOT_EVALUATED, tuple(unseen.items())) if unseen else None)
