"""Engines that hang in C after a few frames, or spoil the process, and a camera command that knows them."""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import EngineError
from edgeseg.runtime.engines import registry
from edgeseg.runtime.engines.base import GraphEngine
from edgeseg.runtime.engines.graph_form import Tensor
from edgeseg.runtime.engines.model_file import ModelFile
from edgeseg.runtime.engines.settings import EngineSettings

GOOD_FRAMES = 6
AN_HOUR_S = 3600


class Hanging(GraphEngine):
    """Hangs while Python goes on, as in a call that waits for a device."""

    backend, device = "hanging", "test"
    library: type[ctypes.CDLL] = ctypes.CDLL

    def __init__(self, model: ModelFile, settings: EngineSettings) -> None:
        size = (1, *model.spec.input_size)
        camera = model.spec.camera_size or model.spec.input_size
        self._adopt(model, [Tensor("frame", "uint8", (1, *camera, 3))], [Tensor("class_map", "uint8", size)])
        self._class_map: NDArray[np.uint8] = np.zeros(size, np.uint8)
        self._left = GOOD_FRAMES

    def _infer(self, value: NDArray[Any]) -> tuple[Sequence[NDArray[Any]], float | None]:
        self._left -= 1
        if self._left < 0:
            os.write(2, f"hangs at {time.monotonic()}\n".encode())
            self.hang()
        return [self._class_map], None

    def hang(self) -> None:
        self.library(None).sleep(AN_HOUR_S)


class HangingWithTheInterpreter(Hanging):
    """Hangs holding Python's lock: no Python runs any more."""

    library = ctypes.PyDLL


class HangingAtTheEnd(Hanging):
    """Fails as after a sticky CUDA error, and then hangs where its memory should be freed."""

    def hang(self) -> None:
        raise EngineError("cuCtxSynchronize failed: an illegal memory access was encountered")

    def close(self) -> None:
        ctypes.CDLL(None).sleep(AN_HOUR_S)


class AbortingAtExit(Hanging):
    """Fails as after a sticky CUDA error: what is left is destroyed at Python's exit, and ends the process with 134."""

    def hang(self) -> None:
        atexit.register(os.abort)
        raise EngineError("cuCtxSynchronize failed: an illegal memory access was encountered")


if __name__ == "__main__":
    registry.BACKENDS["onnxruntime-cpu"] = f"tests.helpers.hanging_engine:{sys.argv.pop(1)}"
    from edgeseg.runtime.commands.camera import main

    main()
