"""ONNX files: a camera graph with damage, opened and run as the camera does it."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import EngineError
from edgeseg.runtime.engines.choose import load_engine
from edgeseg.runtime.engines.model_file import open_model_file
from edgeseg.runtime.engines.onnx_bytes import onnx_operators
from edgeseg.runtime.engines.proven import seal
from edgeseg.runtime.engines.settings import EngineSettings
from tests.faults.fuzzing import Fuzzer, WrongError
from tests.faults.mutate import damaged
from tests.helpers.colour_model import VIDEO_SIZE, numbered_frame, write_colour_model

_SETTINGS = EngineSettings(backend="onnxruntime-cpu", threads=1)


class OnnxFuzzer(Fuzzer):
    """What is taken must give the masks that the undamaged file gives."""

    codes = frozenset({4, 5})

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._path = write_colour_model(folder / "model.onnx")
        seal(self._path)  # as the export does
        self._valid = self._path.read_bytes()
        self._frame = numbered_frame(3, VIDEO_SIZE)
        self._mask = self._run()

    def make(self, draw: Random) -> bytes:
        return damaged(self._valid, draw)

    def use(self, made: bytes) -> str:
        self._path.write_bytes(made)
        onnx_operators(self._path)
        mask = self._run()
        spec = open_model_file(self._path).spec
        if mask.shape != self._mask.shape or not np.array_equal(mask, self._mask):
            raise WrongError("another mask, in silence")
        return f"{spec.name} {spec.classes.names}"

    def _run(self) -> NDArray[np.uint8]:
        with load_engine(self._path, _SETTINGS) as engine:
            if engine.frame_size != VIDEO_SIZE:
                raise EngineError("frames of another size: the camera says so, once")
            return np.array(engine.run(self._frame).class_map)
