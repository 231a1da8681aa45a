"""Pictures that cannot follow the one before: what a decoder made of damaged data without a word about it.

Neither libjpeg nor FFmpeg tells all damage: a flipped bit mostly makes another valid code, and VP9 has no check at all.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.runtime.sources.corruption import LONGEST_GROUP_S, UNKNOWN_GROUP_S

_ACROSS = 40  # blocks: of 32x32 pixels at 1280x720, and of 16x16
_BLOCK = 8  # sampled pixels across a block
_MARGIN = 16  # grey levels by which a block's mean may leave the range of what was there and around it
_GROWTH = 0.02  # share of the blocks
_USUAL_FACTOR = 2.0
_FIRST_USUAL = 0.01  # before anything is known of the scene
_NEW_SCENE_USUAL, _NEW_SCENE_MOVED = 0.035, 0.012  # a cut may lead from a scene at rest to one that moves
# Only where pictures stand alone: frames that hand damage on look like another scene that goes on.
_MOVED_GROWTH = 0.015  # share of the fine blocks
_CHANGE_FACTOR, _CHANGE_LEVELS = 2.0, 6  # by which a fine block's change may exceed what is usual there
_CHANGE_FORGETTING = 0.95  # a frame
_FIRST_CHANGE = 30  # levels
_LIT = 0.01  # less is no change of light
_FORGETTING = 0.97  # a frame: what is usual is the most of the last second or so
_CUT_SHARE = 0.6  # of the blocks: another scene; damage leaves what was coded before it
_REPEATED_GROWTH = 0.08  # share of the rows
_NEIGHBOURS = np.ones((3, 3), np.uint8)


class Sketch(NamedTuple):
    """What is kept of a picture.

    Attributes:
        blocks: (n, 40, 3) uint8, means.
        fine: (2n, 80, 3) uint8, means.
        repeated: share of the sampled rows that are equal to the one above, as a decoder fills what it lacks.
    """

    blocks: NDArray[np.uint8]
    fine: NDArray[np.uint8]
    repeated: float


def sketch_of(picture: NDArray[np.uint8]) -> Sketch:
    """Return the sketch of (H, W, 3) uint8 BGR."""
    down = max(1, round(_ACROSS * picture.shape[0] / picture.shape[1]))
    sample = cv2.resize(picture, (_ACROSS * _BLOCK, down * _BLOCK), interpolation=cv2.INTER_NEAREST)
    fine = cv2.resize(sample, (2 * _ACROSS, 2 * down), interpolation=cv2.INTER_AREA)
    blocks = cv2.resize(fine, (_ACROSS, down), interpolation=cv2.INTER_AREA)
    rows = sample.reshape(len(sample), -1)
    repeated = float((rows[1:] == rows[:-1]).all(axis=1).mean())
    return Sketch(np.asarray(blocks, np.uint8), np.asarray(fine, np.uint8), repeated)


def strange_blocks(sketch: Sketch, other: Sketch) -> NDArray[np.bool_]:
    """Return which blocks, (n, 40), lie outside the range of those there and around it in the other picture.

    Either way round: motion hides within that range. Brightness that changes all over is taken out if that helps.
    """
    plain = _strange(sketch.blocks, other.blocks)
    if plain.mean() <= _GROWTH:
        return plain
    gain = np.median((sketch.blocks.astype(np.float32) + 1) / (other.blocks.astype(np.float32) + 1))
    lit = _strange(sketch.blocks, np.asarray(cv2.convertScaleAbs(other.blocks, alpha=float(gain)), np.uint8))
    return lit if lit.mean() < plain.mean() / 2 else plain


def _strange(blocks: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.bool_]:
    distance = cv2.max(_outside(blocks, other), _outside(other, blocks))
    return np.asarray(_largest(distance) > _MARGIN)


def _largest(levels: Any) -> NDArray[np.uint8]:
    """Return the largest of three channels; fifteen times as fast as NumPy's max over the last axis."""
    return np.asarray(cv2.max(cv2.max(levels[..., 0], levels[..., 1]), levels[..., 2]), np.uint8)


def _outside(blocks: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.uint8]:
    low, high = cv2.erode(other, _NEIGHBOURS), cv2.dilate(other, _NEIGHBOURS)
    return np.asarray(cv2.max(cv2.subtract(blocks, high), cv2.subtract(low, blocks)), np.uint8)


def change_between(sketch: Sketch, other: Sketch) -> NDArray[np.float32]:
    """Return by how many levels each fine block, (2n, 80), has changed."""
    gain = float(np.median((sketch.blocks.astype(np.float32) + 1) / (other.blocks.astype(np.float32) + 1)))
    before = cv2.convertScaleAbs(other.fine, alpha=gain) if abs(gain - 1) > _LIT else other.fine
    return np.asarray(_largest(cv2.absdiff(sketch.fine, before)), np.float32)


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
            np.asarray(cv2.dilate(change, _NEIGHBOURS), np.float32), _CHANGE_FORGETTING * self._usual
        )


class _Suspicion:
    """What is held against the pictures since one that could not follow the last good one."""

    def __init__(self, sketch: Sketch, strange: NDArray[np.bool_], is_small: bool, now: float) -> None:
        self.last, self.since, self.is_small = sketch, now, is_small
        self.is_cut = bool(strange.mean() >= _CUT_SHARE)
        self.pictures = 0
        self._places = strange

    def add(self, sketch: Sketch) -> None:
        # Against the last one and not the last good one, from which by and by the whole scene moves away.
        self.last, self._places = sketch, self._places | strange_blocks(sketch, self.last)
        self.pictures += 1

    def strange_elsewhere(self, sketch: Sketch) -> float:
        """Return the share of blocks that do not follow the last picture and were not under suspicion."""
        places = cv2.dilate(self._places.astype(np.uint8), _NEIGHBOURS).astype(bool)
        return float((strange_blocks(sketch, self.last) & ~places).mean())


class PlausibilityWatch:
    """Says of each picture of a stream whether it can follow the last good one.

    It cannot if more of its blocks are strange, more of them out of place or more of its rows repeated than this scene
    has shown lately. Where pictures stand alone, one is good again that follows the last good one or another rejected
    one: a cut costs one picture. In a predicted stream damage is handed on up to the next key frame, which must follow
    what was not damaged; only a change of nearly all is taken for a cut.

    All frames must be shown to it: over frames left out, a scene jumps.
    """

    def __init__(self) -> None:
        self._good: Sketch | None = None
        self._suspicion: _Suspicion | None = None
        self._is_predicted = False
        self._usual, self._usual_moved = _FIRST_USUAL, _FIRST_USUAL

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
        if self._good is None or self._good.blocks.shape != sketch.blocks.shape:
            self._places = _Places(sketch.fine.shape)
            return self._accept(sketch)
        strange = strange_blocks(sketch, self._good)
        change = change_between(sketch, self._good)
        follows = self._is_usual(strange) and sketch.repeated <= self._good.repeated + _REPEATED_GROWTH
        is_placed = self._is_placed(change)
        if follows and is_placed and not is_corrupt and not self._is_handed_on:
            return self._accept(sketch, strange, change)
        if self._suspicion is None:
            self._suspicion = _Suspicion(sketch, strange, follows, now)
        elif not is_corrupt and self._is_over(self._suspicion, sketch, is_key, now):
            self._places = _Places(sketch.fine.shape)  # of a scene that is gone
            if not self._is_predicted:
                self._usual = max(self._usual, _NEW_SCENE_USUAL)
                self._usual_moved = max(self._usual_moved, _NEW_SCENE_MOVED)
            return self._accept(sketch)
        self._suspicion.add(sketch)
        return True if not is_corrupt else not (follows and is_placed)

    @property
    def _is_handed_on(self) -> bool:
        """Whether what was wrong is too small to be seen to go again."""
        return self._is_predicted and self._suspicion is not None and self._suspicion.is_small

    def _is_usual(self, strange: NDArray[np.bool_]) -> bool:
        return bool(strange.mean() <= _USUAL_FACTOR * self._usual + _GROWTH)

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
            if strange_blocks(sketch, suspicion.last).mean() <= _USUAL_FACTOR * usual + _GROWTH:
                return True
        elif is_key:
            return suspicion.strange_elsewhere(sketch) <= _USUAL_FACTOR * self._usual + _GROWTH
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
