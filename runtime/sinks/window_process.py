"""The window's process: shows the pictures that come on standard input until that ends or the user closes it."""

from __future__ import annotations

import os
import select
import struct
import sys
from typing import NoReturn

import cv2
import numpy as np

from edgeseg.core.errors import one_line
from edgeseg.core.geometry import Size
from edgeseg.runtime.machine.child import begin_child

SIZE = struct.Struct("<II")  # height and width of the BGR picture that follows on standard input
_POLL_S = 0.02  # how soon a key is seen while no pictures come
_ESC = 27


def main() -> NoReturn:
    """Run with the arguments: parent's process id, title. Exit code 0: the user or the parent ended it."""
    parent, title = sys.argv[1:]
    begin_child(int(parent))
    try:
        cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        cv2.waitKey(1)
    except cv2.error as error:
        print(one_line(error), file=sys.stderr)
        sys.exit(1)
    os.write(sys.stdout.fileno(), b"1")
    shown: Size | None = None
    while True:
        if select.select([0], [], [], _POLL_S)[0]:
            header = _read(SIZE.size)
            size = Size(*SIZE.unpack(header))
            picture = np.frombuffer(_read(size.height * size.width * 3), np.uint8).reshape(*size, 3)
            if size != shown:
                cv2.resizeWindow(title, size.width, size.height)
                shown = size
            cv2.imshow(title, picture)
        if cv2.waitKey(1) in (_ESC, ord("q")) or cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) < 1:
            sys.exit(0)


def _read(count: int) -> bytearray:
    data = bytearray(count)
    rest = memoryview(data)
    while rest:
        got = os.readv(0, [rest])
        if not got:  # the parent has closed
            sys.exit(0)
        rest = rest[got:]
    return data
