"""Frame slots in unnamed shared memory: the capture process writes a frame, the parent reads it in place."""

from __future__ import annotations

import mmap
import os

import numpy as np
from numpy.typing import NDArray

from edgeseg.geometry import Size

SLOTS = 6
"""One being written, one ready, one in the engine, two at the outputs, one to spare: the newest always finds room."""


class Ring:
    """`SLOTS` frames of one size over a memory file descriptor.

    Unnamed memory (memfd) vanishes with the last process that maps it, even after SIGKILL; a named segment would stay.
    """

    def __init__(self, fd: int, size: Size) -> None:
        """Map the memory behind `fd` as frames of `size`; the descriptor may be closed afterwards."""
        self.size = size
        shape = (SLOTS, size.height, size.width, 3)
        self.frames: NDArray[np.uint8] = np.frombuffer(mmap.mmap(fd, _bytes(size)), np.uint8).reshape(shape)


def create_memory(size: Size) -> int:
    """Return a new memory file descriptor that holds a ring of frames of `size`."""
    fd = os.memfd_create("edgeseg-frames", os.MFD_CLOEXEC)
    os.ftruncate(fd, _bytes(size))
    return fd


def _bytes(size: Size) -> int:
    return SLOTS * size.height * size.width * 3
