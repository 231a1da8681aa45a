"""`cvat:PATH`: CVAT's own XML, 'CVAT for images 1.1' and 'CVAT for video 1.1', drawn into masks by z_order.

PATH is the ZIP archive as CVAT exports it, an annotations.xml, or a folder of either. The pictures are in the archive,
in `images/` (in a folder of the subset there), beside the XML, or in the folder of the option `images`; those of a
video are called `frame_000000`, and so on. The subsets Train, Validation and Test are the splits if each picture has
one; otherwise whole drives are chosen (`edgeseg.data.splits`).

The classes are the labels that the task declares, in its order and colours, but for those of points and the like.
Polygons and boxes have pixel edges; the module `edgeseg.data.cvat.shapes` has the sources. What is occluded is
drawn as all others, what is outside is not.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from edgeseg.core.errors import DataError, UsageError, nearest
from edgeseg.core.labels import ClassMap, Colour, folded
from edgeseg.data.base import BrokenSample, EncodedSample, Sample
from edgeseg.data.cvat.annotation import LINES, WITHOUT_AREA, CvatFile, CvatFrame
from edgeseg.data.cvat.shapes import CvatDrawing, annotation_of, left_out
from edgeseg.data.cvat.sources import CvatSource, cvat_sources
from edgeseg.data.cvat.zip_members import ZipMember
from edgeseg.data.reading.causes import why_no_class
from edgeseg.data.reading.drawn import (
    DRAWN_OPTIONS,
    DrawnSample,
    DrawRule,
    drawn_classes,
    errors_name,
    parse_line_width,
    reject_duplicate_images,
)
from edgeseg.data.reading.pictures import Encoded, PictureFile
from edgeseg.data.reading.shapes import Annotation, Omissions, distinct_colours
from edgeseg.data.splits import FOLDER_SPLITS, SPLIT_OPTIONS, ListedDataset, SplitRule

TRACKS = ("check", "listed")


class CvatSample(DrawnSample):
    """A picture and its element of the XML."""

    def __init__(
        self, image: PictureFile, frame: CvatFrame, classes: ClassMap, rule: DrawRule, how: CvatDrawing
    ) -> None:
        super().__init__(str(image), image, classes, rule)
        self.labelled_in = frame.where
        self.frame, self.how = frame, how

    def _annotation(self) -> Annotation:
        return annotation_of(self.frame, self.how)


class ZippedSample(EncodedSample):
    """A picture in an archive; it is read when it is asked for, once for picture and labels."""

    def __init__(
        self, member: ZipMember, frame: CvatFrame, classes: ClassMap, rule: DrawRule, how: CvatDrawing
    ) -> None:
        super().__init__(str(member), classes)
        self.image = Path(member.archive, member.name)  # a name only: two elements of one picture are told by it
        self.labelled_in = frame.where
        self.member, self.frame, self.rule, self.how = member, frame, rule, how

    def _opened(self) -> Sample:
        picture = Encoded(self.member.read(), str(self.member))
        return CvatSample(picture, self.frame, self.classes, self.rule, self.how)


class Cvat(ListedDataset):
    """The annotations are held in memory, the pictures are not."""

    OPTIONS: ClassVar = {
        **DRAWN_OPTIONS,
        "line_width": "draw polylines so many pixels wide; without it they are left out",
        "tracks": "if a file seems to hold keyframes only: check refuses it, listed takes what is there (check)",
        **SPLIT_OPTIONS,
    }

    def __init__(
        self,
        argument: str,
        *,
        names: str = "",
        unlabelled: str = "ignore",
        images: str = "",
        sizes: str = "check",
        edges: str = "",
        leave_out: str = "",
        line_width: str = "0",
        tracks: str = "check",
        **split: str,
    ) -> None:
        if tracks not in TRACKS:
            raise UsageError(f"option tracks={tracks}{nearest(tracks, TRACKS)}; expected {' or '.join(TRACKS)}")
        self._how = CvatDrawing(parse_line_width(line_width), own_ellipses=not edges)
        sources = cvat_sources(Path(os.path.expanduser(argument)), argument, images)
        gap = next((source.file.keyframes_only for source in sources if source.file.keyframes_only), "")
        if gap and tracks == "check":
            raise DataError(
                f"{gap}: only keyframes are in it; expected every frame: export again as 'CVAT for video 1.1', or say "
                f"tracks=listed if all is there"
            )
        files = [source.file for source in sources]
        with errors_name(files[0].where, lambda: _why_no_class(files, self._how)):
            found = _class_names(files, bool(self._how.line_width))
            classes, background = drawn_classes(found, names, unlabelled, in_order=True)
        self.classes = _coloured(classes, files)
        self._rule = DrawRule(background, sizes, edges or "pixel", leave_out=leave_out)
        self.edges = self._rule.fill
        pairs = [pair for source in sources for pair in self._samples_of(source)]
        self._divide(
            reject_duplicate_images(sample for _, sample in pairs), [key for key, _ in pairs], SplitRule.parse(split)
        )

    def _samples_of(self, source: CvatSource) -> list[tuple[str, Sample]]:
        """Return the samples with what their pictures are called, without suffix."""
        file = source.file
        frames = list(file.frames)
        if file.video:
            listed = {frame.number for frame in frames}
            others = source.pictures.numbers(frames[0].subset if frames else "")
            frames += [file.frame(number) for number in sorted(others - listed)]
        made = [(frame, self._sample(frame, source)) for frame in frames]
        for frame, sample in made:
            name = sample.name if sample else frame.where
            self._rule.tell_left_out(left_out(frame, self._how), self.remarks.of(name))
        return [(_key(frame, source.prefix), sample) for frame, sample in made if sample]

    def _sample(self, frame: CvatFrame, source: CvatSource) -> Sample | None:
        try:
            image = source.pictures.find(frame) if frame.name else None
        except DataError as error:
            return BrokenSample(frame.where, self.classes, error)
        if isinstance(image, ZipMember):
            return ZippedSample(image, frame, self.classes, self._rule, self._how)
        if image:
            return CvatSample(image, frame, self.classes, self._rule, self._how)
        if frame.number is not None and not frame.shapes:
            return None  # nothing is visible in it, and its picture was not exported
        hint = "" if frame.number is None else "; of a task made of pictures, export 'CVAT for images 1.1'"
        problem = DataError(
            f"{frame.where}: no image {frame.name!r} beside it or in images/; export with 'Save images', or say "
            f"images=FOLDER{hint}"
        )
        return BrokenSample(frame.where, self.classes, problem)


def _key(frame: CvatFrame, prefix: str) -> str:
    split = FOLDER_SPLITS.get(frame.subset.casefold(), frame.subset)
    name = frame.name.replace("\\", "/")
    stem = name if frame.number is not None else re.sub(r"\.[^./]*$", "", name)
    return "/".join(part for part in (split, prefix, stem or frame.where) if part)


def _class_names(files: Iterable[CvatFile], with_lines: bool) -> list[str]:
    """Return the labels that are declared for something that has an area, or drawn so; all that occur if none are."""
    files = list(files)
    kinds = [kind for kind in WITHOUT_AREA if kind != LINES or not with_lines]
    drawn = [each.label for file in files for frame in file.frames for each in frame.shapes if each.kind not in kinds]
    used = {folded(name) for name in drawn}
    declared = [label for file in files for label in file.labels]
    kept = [
        label.name for label in declared if (label.kind not in kinds and not label.parent) or folded(label.name) in used
    ]
    return kept if declared else drawn


def _why_no_class(files: Sequence[CvatFile], how: CvatDrawing) -> str:
    def omitted(file: CvatFile) -> Omissions:
        return sum((Counter(left_out(frame, how)) for frame in file.frames), Counter())

    return why_no_class(files, omitted)


def _coloured(classes: ClassMap, files: Iterable[CvatFile]) -> ClassMap:
    """Return the classes in the colours that the files declare; one that another class has already is replaced."""
    declared: dict[str, Colour] = {}
    for label in (label for file in files for label in file.labels):
        if label.colour is not None:
            declared.setdefault(folded(label.name), label.colour)
    own: list[Colour | None] = []
    for name in classes.names:
        colour = declared.get(folded(name))
        own.append(None if colour in own else colour)
    others = distinct_colours(len(own), avoid=[colour for colour in own if colour])
    return ClassMap(classes.names, tuple(colour or next(others) for colour in own), classes.ignore_index)
