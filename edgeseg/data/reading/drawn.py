"""Samples whose labels are drawn at the size of their picture, and the options that their formats share."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from edgeseg.core.errors import DataError, UsageError, nearest
from edgeseg.core.geometry import Size
from edgeseg.core.labels import IGNORED, ClassMap, folded
from edgeseg.data.base import BrokenSample, Image, Mask, Sample
from edgeseg.data.reading.pictures import MAX_PIXELS, PictureFile, align_mask_to_exif, read_image, read_picture
from edgeseg.data.reading.polygons import OPENCV, PIXEL
from edgeseg.data.reading.shapes import Annotation, NoClassError, Omissions, Shape, classes_from_names, draw
from edgeseg.data.remarks import LeftOut, Tell

DRAWN_OPTIONS = {
    "names": "the class list, in order and joined by commas; without it, the names found in the data",
    "unlabelled": "the class of pixels under no shape, or ignore (ignore)",
    "images": "the folder of the pictures, if it is none of the usual ones",
    "sizes": "where labels state another size than their picture has: check, scale them, or ignore it (check)",
    "leave_out": "what is left out knowingly, so that it is counted without a warning: crowd, linestrip and the like",
    "edges": "what coordinates are: pixel (edges of pixels) or inclusive (pixels); else as the format's own tool draws",
}
EDGES = ("pixel", "inclusive")
SIZES = ("check", "scale", "ignore")
OUTSIDE = LeftOut("were they drawn at another size?", what="objects outside the picture", kind="outside")
UNSEEN = LeftOut("too small or too thin for how they are filled", what="objects that cover no pixel", kind="unseen")
KINDS_LEFT_OUT = (
    *("outside", "unseen", "crowd", "line", "linestrip", "polyline", "point", "points", "cuboid", "skeleton", "tag"),
    *("empty", "background"),
)
SAME_ASPECT = 0.01  # a resized picture's sides are whole pixels


@dataclass(frozen=True)
class DrawRule:
    """How a format draws.

    Attributes:
        unlabelled: the class id of pixels under no shape.
        sizes: one of SIZES.
        edges: one of EDGES.
        leave_out: some of KINDS_LEFT_OUT, joined by commas, which are left out knowingly.
        inclusive: the rule of `edgeseg.data.reading.polygons` that the format's own tool has for inclusive edges.

    Raises UsageError for another.
    """

    unlabelled: int
    sizes: str = "check"
    edges: str = "inclusive"
    inclusive: str = OPENCV
    leave_out: str = ""

    def __post_init__(self) -> None:
        if self.edges not in EDGES:
            raise UsageError(f"option edges={self.edges}{nearest(self.edges, EDGES)}; expected {' or '.join(EDGES)}")
        if self.sizes not in SIZES:
            raise UsageError(f"option sizes={self.sizes}{nearest(self.sizes, SIZES)}; expected {', '.join(SIZES)}")
        for kind in filter(None, self.leave_out.split(",")):
            if kind not in KINDS_LEFT_OUT:
                known = ", ".join(KINDS_LEFT_OUT)
                raise UsageError(f"option leave_out={kind}{nearest(kind, KINDS_LEFT_OUT)}; expected some of {known}")

    @property
    def fill(self) -> str:
        """The rule that figures are filled by."""
        return PIXEL if self.edges == "pixel" else self.inclusive

    def tell_left_out(self, left_out: Omissions, tell: Tell) -> None:
        """Tell what a sample's annotation leaves out, as a warning unless it is known."""
        known = self.leave_out.split(",")
        for (remark, label), count in left_out.items():
            tell(
                replace(remark, is_warning=False) if remark.kind and remark.kind in known else remark,
                count,
                label=label,
            )


class DrawnSample(Sample):
    """A picture and an annotation that is drawn at the picture's size."""

    def __init__(self, name: str, image: PictureFile, classes: ClassMap, rule: DrawRule) -> None:
        super().__init__(name, classes)
        self.image = image
        self.rule = rule
        self.labelled_in = name

    def _image(self) -> Image:
        return read_image(self.image, self.bits, self.tell)

    def _class_map(self) -> Mask:
        annotation = self._annotation()
        picture = read_picture(self.image)
        # A tool that ignores the EXIF tag labels the pixels as stored, and says so by the size it writes.
        size = picture.stored if annotation.size == picture.stored else picture.upright
        shapes, left_out = self._at(annotation, size), Counter(annotation.left_out)

        def on_unseen(shape: Shape) -> None:
            if shape.label is not None and folded(shape.label) != IGNORED:
                left_out[OUTSIDE if _is_outside(shape, size) else UNSEEN, shape.label] += 1

        drawn = draw(shapes, size, self.classes, self.rule.unlabelled, self.rule.fill, on_unseen)
        self.rule.tell_left_out(left_out, self.tell)
        self._examine(shapes, size)
        return align_mask_to_exif(drawn, self.image)

    def _examine(self, shapes: Sequence[Shape], size: Size) -> None:
        """Tell what of the shapes, as they lie in a picture of a size, may be wrong."""

    def _at(self, annotation: Annotation, size: Size) -> Sequence[Shape]:
        """Return the shapes for a picture of a size; a picture that was resized after labelling lies elsewhere."""
        stated = annotation.size
        if stated is None or stated == size or self.rule.sizes == "ignore":
            return annotation.shapes
        if self.rule.sizes == "scale":
            return [_scaled(shape, stated, size) for shape in annotation.shapes]
        if not annotation.exact and not _looks_resized(annotation.shapes, stated, size):
            return annotation.shapes
        raise DataError(
            f"{self.labelled_in}: labelled at {stated}, but the picture is {size}; expected one size: say sizes=scale "
            f"if the picture was resized, or sizes=ignore if {stated} is wrong"
        )

    @abstractmethod
    def _annotation(self) -> Annotation:
        """Read the labels. Raises DataError."""


def _looks_resized(shapes: Sequence[Shape], stated: Size, size: Size) -> bool:
    """Return whether a stated size that may be a placeholder is meant: of the picture's aspect, and all lies in it."""
    if abs(stated.width * size.height / (stated.height * size.width) - 1) > SAME_ASPECT:
        return False
    points = [shape.points for shape in shapes if shape.points is not None]
    return bool(points) and bool((np.concatenate(points) <= (stated.width, stated.height)).all())


def _is_outside(shape: Shape, size: Size) -> bool:
    if shape.points is not None:
        (left, top), (right, bottom) = shape.points.min(axis=0), shape.points.max(axis=0)
    else:
        (left, top), region = shape.origin, np.zeros((1, 1)) if shape.region is None else shape.region
        right, bottom = left + region.shape[1], top + region.shape[0]
    return bool(right <= 0 or bottom <= 0 or left >= size.width or top >= size.height)


def _scaled(shape: Shape, stated: Size, size: Size) -> Shape:
    factors = np.array([size.width / stated.width, size.height / stated.height])
    if shape.points is not None:
        return replace(shape, points=shape.points * factors)
    if shape.region is None:
        return shape
    width, height = (max(1, round(side)) for side in shape.region.shape[::-1] * factors)
    if width * height > MAX_PIXELS:
        raise DataError(f"{shape.place}: a region of {width}x{height} pixels once it is scaled; correct the sizes")
    region = cv2.resize(shape.region.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST_EXACT) > 0
    left, top = (round(place) for place in np.array(shape.origin) * factors)
    return replace(shape, region=region, origin=(left, top))


def parse_line_width(text: str) -> int:
    """Return the pixels of the option `line_width`. Raises UsageError."""
    if not (text.isascii() and text.isdigit() and len(text) < 4):
        raise UsageError(f"option line_width={text}; expected pixels from 0 to 999")
    return int(text)


def reject_duplicate_images(samples: Iterable[Sample]) -> list[Sample]:
    """Return the samples, broken where they label a picture that an earlier one labels: each lacks the other's."""
    first: dict[str, str] = {}
    kept: list[Sample] = []
    for sample in samples:
        image, labelled_in = getattr(sample, "image", None), getattr(sample, "labelled_in", sample.name)
        picture = str(image) if isinstance(image, Path) else ""
        if picture in first:
            problem = DataError(
                f"{labelled_in}: {picture} is labelled in {first[picture]} already; expected all labels of a "
                f"picture in one place: join them"
            )
            kept.append(BrokenSample(sample.name, sample.classes, problem))
            continue
        if picture:
            first[picture] = labelled_in
        kept.append(sample)
    return kept


@contextmanager
def errors_name(where: object, why_no_class: Callable[[], str] | None = None) -> Iterator[None]:
    """Begin what a DataError says with the place; where no class is found, go on with why, if that is known."""
    try:
        yield
    except NoClassError as error:
        raise DataError(f"{where}: {why_no_class() if why_no_class else error}") from error
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def drawn_classes(found: Iterable[str], names: str, unlabelled: str, in_order: bool = False) -> tuple[ClassMap, int]:
    """Return the classes of drawn labels and the id of unlabelled pixels, by the options of DRAWN_OPTIONS.

    `found` is only read if `names` is empty.
    """
    listed = [name.strip() for name in names.split(",") if name.strip()]
    unlabelled = "" if folded(unlabelled) == IGNORED else unlabelled
    classes = classes_from_names(
        [*(listed or found), *([unlabelled] if unlabelled else [])], in_order=bool(listed) or in_order
    )
    index = classes.index(unlabelled) if unlabelled else classes.ignore_index
    return classes, classes.ignore_index if index is None else index
