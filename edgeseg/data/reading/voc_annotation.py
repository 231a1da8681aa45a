"""PASCAL VOC annotation XML, with the polygons that Labelbox and others add to it.

`<object><name>Road</name><polygon><x1>3.5</x1><y1>7</y1><x2>...` or `<bndbox>` with xmin, ymin, xmax and ymax.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from edgeseg.core.errors import DataError
from edgeseg.core.geometry import Size
from edgeseg.data.reading.polygons import BOX, Points
from edgeseg.data.reading.shapes import Annotation, Shape, points_from
from edgeseg.data.reading.xml_file import parse_xml
from edgeseg.data.remarks import LeftOut

TURNED = ("robndbox", "rotated_box", "rbndbox")  # roLabelImg and its offspring
CORNERS = ("xmin", "ymin", "xmax", "ymax")
DELETED = LeftOut("LabelMe's web tool keeps what was deleted", False, "objects marked <deleted>")
EMPTY = LeftOut("they have no point", what="empty polygons", kind="empty")
PART = LeftOut("the objects that they are of are drawn", False, "<part>s of objects")
POINT = re.compile(r"([xy])([0-9]{1,9})$")


@dataclass(frozen=True)
class VocAnnotation:
    """One file.

    Attributes:
        paths: what it says of its picture's name, the most exact first; hints, not to be trusted.
        annotation: size and shapes.
    """

    paths: tuple[str, ...]
    annotation: Annotation


def parse_voc(text: bytes, where: str, first_pixel: int = 0) -> VocAnnotation:
    """Read an annotation file. Raises DataError, naming `where` and the line or the object.

    The picture's first pixel is number `first_pixel` of a `<bndbox>`. Polygons are from other tools and begin with 0.
    """
    root = parse_xml(text, where, "PASCAL VOC XML")
    if root.tag == "annotations" and (root.find("image") is not None or root.find("track") is not None):
        raise DataError(f"{where}: CVAT's own XML; expected <annotation> of PASCAL VOC: read it as cvat:PATH")
    if root.tag != "annotation":
        raise DataError(f"{where}: <{root.tag}> is the outermost element; expected <annotation> of PASCAL VOC")
    shapes: list[Shape] = []
    left_out: Counter[tuple[LeftOut, str]] = Counter()
    for number, each in enumerate(root.iter("object"), 1):
        name = " ".join(_text(each, "name").split())
        if _text(each, "deleted") == "1":
            left_out[DELETED, name] += 1
            continue
        shapes += _shapes(each, f"{where}: object {number}", first_pixel)
        empty = sum(not len(polygon) for polygon in each.findall("polygon"))
        left_out.update({(EMPTY, name): empty, (PART, name): len(each.findall("part"))})
    paths = tuple(filter(None, (_text(root, "filename"), _text(root, "path"))))
    return VocAnnotation(paths, Annotation(_size(root), shapes, False, +left_out))


def _text(element: Element, tag: str) -> str:
    return (element.findtext(tag) or "").strip()


def _size(root: Element) -> Size | None:
    values = [_text(root, f"size/{tag}") for tag in ("height", "width")]
    if not all(re.fullmatch(r"[0-9]{1,6}", value) for value in values):
        return None
    size = Size(*(int(value) for value in values))
    return size if all(size) else None


def _shapes(element: Element, place: str, first_pixel: int) -> list[Shape]:
    name = " ".join(_text(element, "name").split())
    if not name:
        raise DataError(f"{place} has no <name>; expected the class it is of")
    place = f"{place} ({name})"
    polygons = [_polygon(each, place) for each in element.findall("polygon") if len(each)]
    if polygons:
        return [Shape(name, place, points) for points in polygons]
    box = element.find("bndbox")
    turned = next((tag for tag in TURNED if element.find(tag) is not None), None)
    if box is None and turned:
        raise DataError(
            f"{place} is a turned box <{turned}>; expected <polygon> or <bndbox>: export its corners as a polygon"
        )
    if box is None:
        raise DataError(f"{place} has neither <polygon> nor <bndbox>; expected one of them: label it or remove it")
    return [Shape(name, place, points_from((_text(box, tag) for tag in CORNERS), place) - first_pixel, kind=BOX)]


def _polygon(element: Element, place: str) -> Points:
    """Return the points in the order of their numbers, which is not always the order they are written in."""
    values: dict[tuple[int, str], str] = {}
    for child in element:
        match = POINT.match(child.tag)
        if match:
            if (int(match[2]), match[1]) in values:
                raise DataError(f"{place}: <{child.tag}> stands twice; expected one polygon with each point once")
            values[int(match[2]), match[1]] = child.text or ""
        elif child.tag == "pt":  # as LabelMe's web tool and its offspring write points
            number = len(values)
            values[number, "x"], values[number, "y"] = _text(child, "x"), _text(child, "y")
    numbers = {number for number, _ in values}
    for number in numbers:
        for axis in "xy":
            if (number, axis) not in values:
                raise DataError(f"{place}: <{axis}{number}> is missing; expected an x and a y for every point")
    return points_from((values[key] for key in sorted(values)), place)
