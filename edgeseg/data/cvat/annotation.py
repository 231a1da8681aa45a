"""CVAT's own XML, version 1.1, in its two forms: for images, and for video (docs.cvat.ai/docs/other/xml_format).

`<annotations><meta>...</meta><image name="a.png" width="30" height="20"><polygon label="road" points="0,1;2,3;4,5"/>`
or `<track label="road"><polygon frame="0" outside="0" keyframe="1" points=.../></track>`, an entry a frame: CVAT writes
those between the keyframes too (`dump_as_cvat_interpolation` in cvat/apps/dataset_manager/formats/cvat.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from xml.etree.ElementTree import Element

from edgeseg.core.errors import DataError
from edgeseg.core.geometry import Size
from edgeseg.core.labels import Colour
from edgeseg.data.reading.xml_file import parse_children

EXPECTED = "CVAT XML 1.1"
LINES = "polyline"
WITHOUT_AREA = (LINES, "points", "cuboid", "skeleton", "tag")
"""What covers no pixels. A skeleton is points, a tag is of the whole picture."""
NUMBER = re.compile(r"-?[0-9]{1,9}")
HEX_COLOUR = re.compile(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")


class CvatShape(NamedTuple):
    """An element as it is written; `label` is the track's if it has none, `place` names it within the frame."""

    kind: str
    label: str
    attributes: Mapping[str, str]
    place: str


class CvatLabel(NamedTuple):
    """A label that the task declares. `kind` is the only shape it is for, or any; `parent` the skeleton it is of."""

    name: str
    colour: Colour | None
    kind: str
    parent: str


@dataclass
class CvatFrame:
    """A picture or a frame, and what is drawn on it.

    Attributes:
        where: names it in messages.
        name: its picture's, as CVAT knows it; without suffix if it is a video's.
        size: what it was labelled at.
        subset: CVAT's word for a split; empty if there is none.
        number: of a video's frame.
        without_area: how many shapes cover no pixels, by kind (one of WITHOUT_AREA) and label.
    """

    where: str
    name: str
    size: Size | None
    subset: str = ""
    number: int | None = None
    shapes: list[CvatShape] = field(default_factory=list)
    without_area: Counter[tuple[str, str]] = field(default_factory=Counter)


class CvatFile:
    """One annotations.xml.

    Attributes:
        frames: of images in the order of the file, of a video by number.
        labels: what the task, job or project declares.
        video: it holds tracks.
        keyframes_only: why its tracks lack frames, or an empty text.
    """

    def __init__(self, text: bytes, where: str) -> None:
        self.where = where
        self.labels: list[CvatLabel] = []
        self.frames: list[CvatFrame] = []
        self._meta = Element("meta")
        self._tracks: list[tuple[str, list[tuple[int, bool]]]] = []
        self._by_number: dict[int, CvatFrame] = {}
        self._interpolated = False
        self._subset = ""
        self._tasks: set[str] = set()
        root = parse_children(text, where, EXPECTED, self._take)
        if root != "annotations":
            hint = ": read it as voc-xml:" if root == "annotation" else ""
            raise DataError(f"{where}: <{root}> is the outermost element; expected <annotations> of {EXPECTED}{hint}")
        mode = (self._meta.findtext(".//mode") or "").strip()
        self.video = bool(self._tracks) or (mode == "interpolation" and not self.frames)  # it may be exported as images
        if self._tracks and self.frames:
            raise DataError(f"{where}: images and tracks; expected {EXPECTED} for images or for video: export it again")
        if len(self._tasks) > 1:
            raise DataError(
                f"{where}: tracks of {len(self._tasks)} tasks, whose frames have the same numbers; expected one task: "
                f"export each by itself, or the project as 'CVAT for images 1.1'"
            )
        if self.video:
            self.frames = [self._by_number[number] for number in sorted(self._by_number)]
        self.keyframes_only = self._first_gap()

    def frame(self, number: int) -> CvatFrame:
        """Return the frame of a number, one without shapes if there is none."""
        if number not in self._by_number:
            size = _size(*(self._meta.findtext(f".//original_size/{side}") for side in ("height", "width")))
            where = f"{self.where}: frame {number}"
            self._by_number[number] = CvatFrame(where, f"frame_{number:06}", size, self._subset, number)
        return self._by_number[number]

    def _take(self, element: Element) -> None:
        if element.tag == "meta":
            self._meta = element
            self.labels += [_label(each) for labels in element.iter("labels") for each in labels.findall("label")]
        elif element.tag == "image":
            self._image(element)
        elif element.tag == "track":
            self._track(element)

    def _image(self, element: Element) -> None:
        name = element.get("name", "").strip()
        where = f"{self.where}: image {len(self.frames) + 1}{f' ({name})' if name else ''}"
        size = _size(element.get("height"), element.get("width"))
        frame = CvatFrame(where, name, size, element.get("subset", "").strip())
        for number, each in enumerate(element, 1):
            self._add(frame, CvatShape(str(each.tag), _name(each), each.attrib, f"{each.tag} {number}"))
        self.frames.append(frame)

    def _track(self, element: Element) -> None:
        label, number = _name(element), element.get("id") or str(len(self._tracks))
        place = f"track {number}"
        self._subset = element.get("subset", "").strip()
        self._tasks.add(element.get("task_id", ""))
        entries: list[tuple[int, bool]] = []
        for each in element:
            text = each.get("frame", "").strip()
            if not NUMBER.fullmatch(text) or int(text) < 0:
                raise DataError(f"{self.where}: {place}: frame {text[:40]!r}; expected its number: export it again")
            visible = not _is_set(each, "outside")
            entries.append((int(text), visible))
            self._interpolated |= "keyframe" in each.attrib and not _is_set(each, "keyframe")
            frame = self.frame(int(text))
            if visible:
                self._add(frame, CvatShape(str(each.tag), label, each.attrib, f"{place}: {each.tag}"))
        self._tracks.append((f"{place} ({label})", sorted(entries)))

    def _add(self, frame: CvatFrame, shape: CvatShape) -> None:
        if shape.kind in WITHOUT_AREA:
            frame.without_area[shape.kind, shape.label] += 1
        if shape.kind not in WITHOUT_AREA or shape.kind == LINES:
            frame.shapes.append(shape)

    def _first_gap(self) -> str:
        """Return where a track goes on without an entry, in a file that holds nothing between keyframes.

        Where there is any entry between keyframes, CVAT has written all, but for frames that are deleted.
        """
        if self._interpolated:
            return ""
        step = int(re.sub(r"\D", "", self._meta.findtext(".//frame_filter") or "")[:9] or 1) or 1
        stops = {text for each in self._meta.iter("stop_frame") if NUMBER.fullmatch(text := (each.text or "").strip())}
        end = int(stops.pop()) if len(stops) == 1 else 0
        for name, entries in self._tracks:
            # CVAT ends a track by an entry with outside="1", unless it ends with the video.
            following = [*(number for number, _ in entries[1:]), end]
            for (number, visible), after in zip(entries, following, strict=False):  # an empty track has an end alone
                if visible and after > number + step:
                    return f"{self.where}: {name} goes on behind frame {number}, but has no entry for {number + step}"
        return ""


def _name(element: Element) -> str:
    return " ".join(element.get("label", "").split())


def _is_set(element: Element, flag: str) -> bool:
    return element.get(flag, "").strip().lower() in ("1", "true")


def _size(height: str | None, width: str | None) -> Size | None:
    sides = [int(text) for text in (height, width) if text and re.fullmatch(r"\s*[0-9]{1,6}\s*", text)]
    return Size(*sides) if len(sides) == 2 and all(sides) else None


def _label(element: Element) -> CvatLabel:
    name, colour, kind, parent = (
        " ".join((element.findtext(tag) or "").split()) for tag in ("name", "color", "type", "parent")
    )
    match = HEX_COLOUR.fullmatch(colour)
    rgb = (int(match[1], 16), int(match[2], 16), int(match[3], 16)) if match else None
    return CvatLabel(name, rgb, kind, parent)
