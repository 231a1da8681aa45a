"""TensorRT's engine against stand-ins: what is registered, in which order things go, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from edgeseg.core.errors import EngineError
from edgeseg.runtime.engines.backends import tensorrt as tensorrt_engine
from edgeseg.runtime.engines.choose import load_engine
from edgeseg.runtime.engines.settings import EngineSettings
from edgeseg.runtime.engines.tensorrt_library import load_plugins
from tests.helpers.colour_model import VIDEO_SIZE
from tests.helpers.gpu import tensorrt_stand_in

WriteModel = Callable[..., Path]
ON_TENSORRT = EngineSettings(backend="tensorrt", in_flight=2)


def test_an_engine_with_a_plugin_is_read(monkeypatch: pytest.MonkeyPatch, write_model: WriteModel) -> None:
    path = write_model()
    tensorrt_stand_in.use(monkeypatch, path)
    with load_engine(path, ON_TENSORRT) as engine:
        assert engine.run(np.zeros((*VIDEO_SIZE, 3), np.uint8)).class_map.max() == 0
    assert len(tensorrt_stand_in.REGISTERED) == 1


def test_tensorrt_rtx_has_no_plugins_to_register() -> None:
    load_plugins(SimpleNamespace(__name__="tensorrt_rtx"), None)


@pytest.mark.parametrize("version", ["10.13.2.6", "10.15.1"])
def test_a_version_without_code_for_the_gpu_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, write_model: WriteModel, version: str
) -> None:
    path = write_model()
    tensorrt_stand_in.use(monkeypatch, path)
    monkeypatch.setattr(tensorrt_stand_in.TRT, "__version__", version)
    with pytest.raises(EngineError, match="has no code for Orin's GPU") as caught:
        load_engine(path, ON_TENSORRT)
    assert "tensorrt:26.05-py3" in str(caught.value)


class Slot(tensorrt_stand_in.InferenceSlot):
    """Whose second one there is no memory for."""

    made = 0
    closed = 0

    def __init__(self, *arguments: object) -> None:
        Slot.made += 1
        if Slot.made == 2:
            raise RuntimeError("cuMemHostAlloc failed: out of memory")
        super().__init__(*arguments)  # type: ignore[arg-type]

    def close(self) -> None:
        Slot.closed += 1
        super().close()


def test_a_second_slot_that_cannot_be_had_leaves_nothing_of_the_first(
    monkeypatch: pytest.MonkeyPatch, write_model: WriteModel
) -> None:
    path = write_model()
    tensorrt_stand_in.use(monkeypatch, path)
    monkeypatch.setattr(tensorrt_engine, "InferenceSlot", Slot)
    Slot.made = Slot.closed = 0
    with pytest.raises(EngineError, match="tensorrt cannot be started: RuntimeError: cuMemHostAlloc failed"):
        load_engine(path, ON_TENSORRT)
    assert (Slot.made, Slot.closed) == (2, 1)
