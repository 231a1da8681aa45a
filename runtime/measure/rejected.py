"""The frames of a recording that a watch rejected, on one sheet: was it right?"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.runtime.sinks.kinds.recording import RecordedFrame, Recording
from edgeseg.runtime.states import PICTURE_REASONS

MOST_SHOWN = 48
_ACROSS = 4
_WIDTH, _CAPTION = 320, 24  # pixels
_MARGIN = 4
_BACKGROUND, _TEXT = 40, (255, 255, 255)


def seen_in(record: dict[str, object]) -> list[str]:
    """Return what the watches saw in a recorded frame; of older recordings the one reason alone."""
    seen = record.get("seen", [record.get("reason")])
    return [reason for reason in seen if reason in PICTURE_REASONS] if isinstance(seen, list) else []


def rejected_frames(recording: Recording) -> list[RecordedFrame]:
    return [frame for frame in recording if seen_in(frame.record)]


def sheet_of(frames: list[RecordedFrame]) -> NDArray[np.uint8]:
    """Return a contact sheet, (H, W, 3) uint8 BGR, each frame with its id and what was seen in it.

    Of more than MOST_SHOWN frames, so many that lie evenly among them.

    Raises:
        UsageError: a frame cannot be read.
    """
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), MOST_SHOWN)).round().astype(int))
    cells = [_cell(frames[index]) for index in chosen]
    height = max(len(cell) for cell in cells)
    down = -(-len(cells) // _ACROSS)
    sheet = np.full((down * height, min(len(cells), _ACROSS) * cells[0].shape[1], 3), _BACKGROUND, np.uint8)
    for index, cell in enumerate(cells):
        top, left = index // _ACROSS * height, index % _ACROSS * cell.shape[1]
        sheet[top : top + len(cell), left : left + cell.shape[1]] = cell
    return sheet


def _cell(frame: RecordedFrame) -> NDArray[np.uint8]:
    picture = frame.picture()
    height = max(1, round(picture.shape[0] * _WIDTH / picture.shape[1]))
    cell = np.full((height + _CAPTION + _MARGIN, _WIDTH + _MARGIN, 3), _BACKGROUND, np.uint8)
    cell[:height, :_WIDTH] = cv2.resize(picture, (_WIDTH, height), interpolation=cv2.INTER_AREA)
    text = f"{frame.record['frame']}: {', '.join(seen_in(frame.record))}"
    cv2.putText(cell, text, (2, height + 17), cv2.FONT_HERSHEY_SIMPLEX, 0.45, _TEXT, 1, cv2.LINE_AA)
    return cell
