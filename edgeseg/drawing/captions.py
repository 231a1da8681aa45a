"""What is written onto a picture with its classes: the legend, and a line of figures."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap
from edgeseg.drawing.overlay import Picture

_LEAST = Size(180, 320)  # on a smaller picture text would hide what it explains
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_WHITE, _YELLOW, _DARK = (255, 255, 255), (0, 220, 255), 40


def mark_guessed(picture: Picture, names: Sequence[str]) -> Picture:
    """Write what of the model's spec is guessed along the lower edge of a (H, W, 3) uint8 BGR picture of any size.

    Returns:
        The same picture, unchanged where `names` is empty.
    """
    if not names:
        return picture
    text = f"not confirmed: {', '.join(names)}"
    height, width = picture.shape[:2]
    (at_full_size, _), _ = cv2.getTextSize(text, _FONT, 1.0, 1)
    scale = min(max(12, height // 36) / 30, 0.96 * width / at_full_size)
    line = max(6, round(scale * 30))
    band = picture[max(0, height - 3 * line // 2) :]
    band[:] = _DARK
    cv2.putText(band, text, (width // 50, band.shape[0] - line // 2), _FONT, scale, _YELLOW, 1, cv2.LINE_AA)
    return picture


class Captions:
    """Writes a legend and a line of text onto pictures of one size.

    The legend is drawn once and pasted into each picture: at 1280x720 both together take a fraction of a millisecond.

    Args:
        classes: names and colours.
        size: of the pictures; nothing is written on one smaller than 320x180.
        legend: whether to show the classes.
    """

    def __init__(self, classes: ClassMap, size: Size, legend: bool = True) -> None:
        self._fits = size.height >= _LEAST.height and size.width >= _LEAST.width
        self._line = max(12, size.height // 36)
        self._scale = self._line / 30
        self._margin = self._line  # clear of the red frame
        self._legend = self._draw_legend(classes, size) if legend and self._fits else None

    def write(self, picture: Picture, text: str) -> Picture:
        """Write into a (H, W, 3) uint8 BGR picture: the legend at the right, `text` at the left; return the same."""
        if not self._fits:
            return picture
        if self._legend is not None:
            height, width = self._legend.shape[:2]
            picture[self._margin : self._margin + height, -self._margin - width : -self._margin] = self._legend
        (width, _), _ = cv2.getTextSize(text, _FONT, self._scale, 1)
        inside = picture[self._margin :, self._margin : -self._margin]
        inside[: 3 * self._line // 2, : width + self._line] = _DARK
        self._text(inside, text, self._line // 2, self._line)
        return picture

    def _draw_legend(self, classes: ClassMap, size: Size) -> Picture:
        """One row a class; as many as find room."""
        line = self._line
        rows = min(len(classes), size.height // line - 3)
        widest = max(cv2.getTextSize(name, _FONT, self._scale, 1)[0][0] for name in classes.names[:rows])
        legend = np.full((rows * line + line // 2, min(size.width // 2, widest + 5 * line // 2), 3), _DARK, np.uint8)
        for index, (name, colour) in enumerate(zip(classes.names[:rows], classes.colours, strict=False)):
            top = index * line + line // 4
            legend[top + 1 : top + line - 1, line // 2 : 3 * line // 2] = colour[::-1]
            self._text(legend, name, 2 * line, top + 3 * line // 4)
        return legend

    def _text(self, picture: Picture, text: str, x: int, y: int) -> None:
        cv2.putText(picture, text, (x, y), _FONT, self._scale, _WHITE, 1, cv2.LINE_AA)
