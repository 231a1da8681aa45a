"""Pictures that cannot follow the one before: what a decoder made of damaged data without a word about it.

Neither libjpeg nor FFmpeg tells all damage: a flipped bit mostly makes another valid code, and VP9 has no check at all.
"""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.runtime.capture.sketch import (
    GROWTH,
    NEIGHBOURS,
    Sketch,
    change_between,
    has_turned,
    light_between,
    sketch_of,
    strange_blocks,
)
from edgeseg.runtime.sources.corruption import LONGEST_GROUP_S, UNKNOWN_GROUP_S

_USUAL_FACTOR = 2.0
_FIRST_USUAL = 0.01  # before anything is known of the scene
# A cut may lead from a scene at rest to one that moves. Only where pictures stand alone: frames that hand damage on
# look like another scene that goes on.
_NEW_SCENE_USUAL, _NEW_SCENE_MOVED = 0.035, 0.012
_MOVED_GROWTH = 0.015  # share of the fine blocks
_CHANGE_FACTOR, _CHANGE_LEVELS = 2.0, 6  # by which a fine block's change may exceed what is usual there
_CHANGE_FORGETTING = 0.95  # a frame
_FIRST_CHANGE = 30  # levels
_FORGETTING = 0.97  # a frame: what is usual is the most of the last second or so
_CUT_SHARE = 0.6  # of the blocks: another scene; damage leaves what was coded before it
_LONGEST_PERIOD_S = 0.09  # at 8 pictures a second road videos were implausible, at 12 none was
_REPEATED_GROWTH = 0.08  # share of the rows


def _follows_turned(sketch: Sketch, other: Sketch) -> bool:
    return sketch.filled <= other.repeated + _REPEATED_GROWTH and has_turned(
        sketch, other, _USUAL_FACTOR * _FIRST_USUAL + GROWTH
    )


class _Places:
    """How much each place of the scene usually changes from frame to frame: a sky hardly, a road much.

    A block is out of place if it changes by more than that and some levels. So smaller damage is seen than by what is
    strange, where the scene is quiet.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._usual = np.full(shape[:2], _FIRST_CHANGE, np.float32)

    def share(self, change: NDArray[np.float32]) -> float:
        """Return the share of blocks out of place."""
        return float((change > _CHANGE_FACTOR * self._usual + _CHANGE_LEVELS).mean())

    def learn(self, change: NDArray[np.float32]) -> None:
        self._usual = np.maximum(
            np.asarray(cv2.dilate(change, NEIGHBOURS), np.float32), _CHANGE_FORGETTING * self._usual
        )


class _Suspicion:
    """What is held against the pictures since one that could not follow the last good one."""

    def __init__(self, sketch: Sketch, strange: NDArray[np.bool_], is_small: bool, now: float) -> None:
        self.last, self.since, self.is_small = sketch, now, is_small
        self.is_cut = bool(strange.mean() >= _CUT_SHARE)
        self.pictures = 0
        self.is_told = True  # whether the decoder has complained of all of them
        self._places = strange

    def add(self, sketch: Sketch, is_corrupt: bool) -> None:
        self.is_told = self.is_told and is_corrupt
        # Against the last one and not the last good one, from which by and by the whole scene moves away.
        self.last, self._places = sketch, self._places | strange_blocks(sketch, self.last)
        self.pictures += 1

    def strange_elsewhere(self, sketch: Sketch) -> float:
        """Return the share of blocks that do not follow the last picture and were not under suspicion."""
        places = cv2.dilate(self._places.astype(np.uint8), NEIGHBOURS).astype(bool)
        return float((strange_blocks(sketch, self.last) & ~places).mean())


class PlausibilityWatch:
    """Says of each picture of a stream whether it can follow the last good one.

    It cannot if more of its blocks are strange, more of them out of place or more of its rows repeated than this scene
    has shown lately. Where pictures stand alone, one is good again that follows the last good one or another rejected
    one: a cut costs one picture. In a predicted stream damage is handed on up to the next key frame, which must follow
    what was not damaged; only a change of nearly all is taken for a cut.

    All frames must be shown to it: over frames left out, a scene jumps. So it does between the pictures of a camera of
    less than eleven a second, of which nothing is said.
    """

    def __init__(self) -> None:
        self._good: Sketch | None = None
        self._suspicion: _Suspicion | None = None
        self._is_predicted = False
        self._now: float | None = None
        self._periods = deque[float](maxlen=5)
        self._usual, self._usual_moved = _FIRST_USUAL, _FIRST_USUAL

    def begin_again(self) -> None:
        """Take note that the next picture follows none: what is usual here stays known."""
        self._good = self._suspicion = None

    def is_implausible(self, picture: NDArray[np.uint8], is_key: bool | None, is_corrupt: bool, now: float) -> bool:
        """Take the next picture.

        Args:
            picture: (H, W, 3) uint8 BGR.
            is_key: whether it was decoded without any other; None where that is not known.
            is_corrupt: whether the decoder has complained of it: no picture is measured by it.
            now: its time in seconds.
        """
        return self.judge(sketch_of(picture), is_key, is_corrupt, now)

    def judge(self, sketch: Sketch, is_key: bool | None, is_corrupt: bool, now: float) -> bool:
        """Take the next picture by its sketch."""
        self._is_predicted = self._is_predicted or not is_key
        is_slow = self._is_slow(now)
        if self._good is None or self._good.blocks.shape != sketch.blocks.shape or is_slow:
            self._places = _Places(sketch.fine.shape)
            return self._accept(sketch)
        light = light_between(sketch, self._good)
        strange, change = strange_blocks(sketch, self._good, light), change_between(sketch, self._good, light)
        follows = self._is_usual(strange) and sketch.filled <= self._good.repeated + _REPEATED_GROWTH
        is_placed = self._is_placed(change)
        if follows and is_placed and not is_corrupt and not self._is_handed_on:
            return self._accept(sketch, strange, change)
        is_from_good = self._suspicion is None or not self._is_predicted
        if is_from_good and not is_corrupt and _follows_turned(sketch, self._good):
            return self._accept(sketch)  # no measure for what comes: damage is to be seen in a turn, too
        if self._suspicion is None:
            self._suspicion = _Suspicion(sketch, strange, follows, now)
        elif not is_corrupt and self._is_over(self._suspicion, sketch, is_key, now):
            self._places = _Places(sketch.fine.shape)  # of a scene that is gone
            if not self._is_predicted:
                self._usual = max(self._usual, _NEW_SCENE_USUAL)
                self._usual_moved = max(self._usual_moved, _NEW_SCENE_MOVED)
            return self._accept(sketch)
        self._suspicion.add(sketch, is_corrupt)
        return True if not is_corrupt else not (follows and is_placed)

    def _is_slow(self, now: float) -> bool:
        """Whether pictures come too seldom to follow each other, by the median: one that is late says nothing."""
        if self._now is not None:
            self._periods.append(now - self._now)
        self._now = now
        return bool(self._periods) and sorted(self._periods)[len(self._periods) // 2] > _LONGEST_PERIOD_S

    @property
    def _is_handed_on(self) -> bool:
        """Whether what was wrong is too small to be seen to go again."""
        return self._is_predicted and self._suspicion is not None and self._suspicion.is_small

    def _is_usual(self, strange: NDArray[np.bool_]) -> bool:
        return bool(strange.mean() <= _USUAL_FACTOR * self._usual + GROWTH)

    def _is_placed(self, change: NDArray[np.float32]) -> bool:
        frames = 1 if self._suspicion is None else 1 + self._suspicion.pictures
        return (
            self._places.share(np.asarray(change / frames, np.float32))
            <= _USUAL_FACTOR * self._usual_moved + _MOVED_GROWTH
        )

    def _is_over(self, suspicion: _Suspicion, sketch: Sketch, is_key: bool | None, now: float) -> bool:
        """Whether a picture that does not follow the last good one is good all the same."""
        if suspicion.is_cut or not self._is_predicted:
            usual = self._usual if self._is_predicted else max(self._usual, _NEW_SCENE_USUAL)
            if strange_blocks(sketch, suspicion.last).mean() <= _USUAL_FACTOR * usual + GROWTH:
                return True
            if not self._is_predicted and _follows_turned(sketch, suspicion.last):
                return True
        elif is_key:
            return suspicion.is_told or suspicion.strange_elsewhere(sketch) <= _USUAL_FACTOR * self._usual + GROWTH
        return now - suspicion.since > (UNKNOWN_GROUP_S if is_key is None else LONGEST_GROUP_S)

    def _accept(
        self, sketch: Sketch, strange: NDArray[np.bool_] | None = None, change: NDArray[np.float32] | None = None
    ) -> bool:
        """Take a picture as good; without the last two it follows none."""
        if strange is not None and change is not None and self._suspicion is None:
            self._usual = max(float(strange.mean()), _FORGETTING * self._usual)
            self._usual_moved = max(self._places.share(change), _FORGETTING * self._usual_moved)
            self._places.learn(change)
        self._good, self._suspicion = sketch, None
        return False
