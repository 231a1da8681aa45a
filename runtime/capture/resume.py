"""Going on with a file, pictures or a drive whose capture process died, behind the frame that it had reached."""

from __future__ import annotations

from collections.abc import Callable

from edgeseg.runtime.sources.reader import Reader

_STEP = 10  # frames between two signs of life


def pass_over(reader: Reader, frames: int, loop: bool, is_alive: Callable[[], object]) -> None:
    """Read and drop so many frames of a source that was opened anew; with `loop`, they may be of several passes.

    By reading, since seeking is exact in few containers. `is_alive` is called now and then meanwhile.
    """
    passed = 0
    while frames:
        asked = min(frames, _STEP)
        given = reader.skip(asked)
        passed, frames = passed + given, frames - given
        is_alive()
        if given < asked:  # the end: `passed` is a whole pass
            if not (loop and passed):
                return
            reader.rewind()
            frames %= passed
