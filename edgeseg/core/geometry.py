"""How a picture's shape meets the network's: one rule for training, evaluation, the camera graph and the overlay."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import NamedTuple

from edgeseg.core.errors import UsageError

FITS = ("stretch", "crop", "pad")
ROUNDING = 1e-6  # by so much shares may add up to more than 1


class Size(NamedTuple):
    """Height and width in pixels; written WIDTHxHEIGHT, as with cameras."""

    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    @classmethod
    def parse(cls, text: str) -> Size:
        """Read `576x160`. Raises UsageError."""
        match = re.fullmatch(r"(\d{1,5})[xX](\d{1,5})", text.strip())
        if not match or "0" in (match[1].lstrip("0") or "0", match[2].lstrip("0") or "0"):
            raise UsageError(f"size {text!r}; expected WIDTHxHEIGHT in pixels, for example 576x160")
        return cls(height=int(match[2]), width=int(match[1]))


SIZE_8K = Size(4320, 7680)


class Box(NamedTuple):
    """A rectangle in pixels: left, top, width, height."""

    x: int
    y: int
    width: int
    height: int


class _Shares(NamedTuple):
    x: float
    y: float
    width: float
    height: float


class Crop(_Shares):
    """A rectangle as shares (0 to 1) of a picture's width and height, so that it holds for every picture size.

    Raises UsageError for one that is empty or not inside the picture.
    """

    __slots__ = ()

    def __new__(cls, x: float, y: float, width: float, height: float) -> Crop:
        crop = super().__new__(cls, x, y, width, height)
        inside = 0 <= x < 1 and 0 <= y < 1 and x + width <= 1 + ROUNDING and y + height <= 1 + ROUNDING
        if not (inside and width > 0 and height > 0):  # so written, nan is refused too
            raise UsageError(
                f"crop {list(crop)}; expected shares of the picture, x, y, width, height, that lie within 0 to 1"
            )
        return crop

    @classmethod
    def parse(cls, text: str, picture: Size) -> Crop:
        """Read `X,Y,W,H` in pixels of `picture`. Raises UsageError."""
        match = re.fullmatch(r"(\d{1,5}),(\d{1,5}),(\d{1,5}),(\d{1,5})", text.replace(" ", ""))
        if not match:
            raise UsageError(f"crop {text!r}; expected X,Y,W,H in pixels, for example 0,200,1280,520")
        x, y, width, height = (int(group) for group in match.groups())
        if not (width and height and x + width <= picture.width and y + height <= picture.height):
            raise UsageError(f"crop {text} lies outside the picture of {picture}; give X,Y,W,H inside it")
        return cls(x / picture.width, y / picture.height, width / picture.width, height / picture.height)


@dataclass(frozen=True)
class Placement:
    """Which part of the picture (`source`) fills which part of the network's input (`target`).

    Pixels of the network outside `target` are padding; pixels of the picture outside `source` are never seen.
    """

    picture: Size
    network: Size
    source: Box
    target: Box

    @property
    def pads(self) -> bool:
        return self.target != Box(0, 0, self.network.width, self.network.height)

    @property
    def crops(self) -> bool:
        return self.source != Box(0, 0, self.picture.width, self.picture.height)


def place(picture: Size, network: Size, fit: str = "stretch", crop: Crop | None = None) -> Placement:
    """Lay a picture onto the network's input.

    Args:
        picture: the picture's size.
        network: the network's input size.
        fit: `stretch` scales both sides freely; `crop` keeps the aspect and cuts what hangs over, evenly on both
            sides; `pad` keeps the aspect and fills up, evenly on both sides.
        crop: the part of the picture that is used at all; None for the whole.
    """
    if fit not in FITS:
        raise UsageError(f"fit {fit!r}; expected one of {', '.join(FITS)}")
    source = _pixels(crop, picture) if crop else Box(0, 0, picture.width, picture.height)
    target = Box(0, 0, network.width, network.height)
    if fit == "crop":
        inner = _largest_inside(Size(source.height, source.width), network)
        source = inner._replace(x=source.x + inner.x, y=source.y + inner.y)
    elif fit == "pad":
        target = _largest_inside(network, Size(source.height, source.width))
    return Placement(picture, network, source, target)


def place_through(
    camera: Size, picture: Size, network: Size, fit: str = "stretch", crop: Crop | None = None
) -> Placement:
    """Lay a picture onto the network's input that is first stretched to a camera graph's frame size.

    Args:
        camera: the frame size that the graph was exported for.
        picture: the picture's own size.
        network, fit, crop: see `place`.
    """
    placement = place(camera, network, fit, crop)
    x_scale, y_scale = picture.width / camera.width, picture.height / camera.height
    left, top, width, height = placement.source
    x, right = round(left * x_scale), round((left + width) * x_scale)
    y, bottom = round(top * y_scale), round((top + height) * y_scale)
    return replace(placement, picture=picture, source=Box(x, y, max(1, right - x), max(1, bottom - y)))


def _pixels(crop: Crop, picture: Size) -> Box:
    left, width = _span(crop.x, crop.width, picture.width)
    top, height = _span(crop.y, crop.height, picture.height)
    return Box(left, top, width, height)


def _span(start: float, share: float, side: int) -> tuple[int, int]:
    """Return first pixel and length, at least one pixel, of a share of a side."""
    first = min(round(start * side), side - 1)
    return first, max(1, min(round((start + share) * side), side) - first)


def _largest_inside(outer: Size, aspect: Size) -> Box:
    """The largest centred box in `outer` with the aspect of `aspect`, rounded to whole pixels."""
    scale = min(outer.width / aspect.width, outer.height / aspect.height)
    width = max(1, min(outer.width, round(aspect.width * scale)))
    height = max(1, min(outer.height, round(aspect.height * scale)))
    return Box((outer.width - width) // 2, (outer.height - height) // 2, width, height)
