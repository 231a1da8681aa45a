"""ONNX Runtime on a GPU, against stand-ins that fail as the real ones do: what it says, and what it goes on with."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeseg.core.errors import EngineError
from edgeseg.runtime import api
from edgeseg.runtime.engines.choose import load_engine, open_engine
from edgeseg.runtime.engines.settings import EngineSettings
from edgeseg.runtime.net import load
from tests.helpers.colour_model import numbered_frame
from tests.helpers.gpu import cuda_stand_in
from tests.helpers.gpu.cuda_stand_in import Cuda, LogicError, OutOfMemoryError, Session

WriteModel = Callable[..., Path]
ON_CUDA = EngineSettings(backend="onnxruntime-cuda")


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Cuda:
    return cuda_stand_in.use(monkeypatch)


def test_masks_go_through_the_bound_memory(device: Cuda, write_model: WriteModel) -> None:
    with load_engine(write_model(), ON_CUDA) as engine:
        for index in range(3):
            class_map = engine.run(numbered_frame(index)).class_map
            assert [int(class_map[16, x]) for x in (5, 30, 55)] == [0, 1, 2]
    (session,) = Session.made
    assert session.options["enable_cuda_graph"] == "1"
    assert session.fallback == 0  # else a failed provider is printed, and the CPU takes its place


def test_a_graph_that_cannot_be_captured_is_gone_before_the_first_frame(device: Cuda, write_model: WriteModel) -> None:
    """ONNX Runtime captures after its first runs: outside of the session's making."""
    Session.capture_error = RuntimeError("CUDA failure 900: operation not permitted when stream is capturing")
    with load_engine(write_model(), ON_CUDA) as engine:
        for index in range(6):
            class_map = engine.run(numbered_frame(index)).class_map
            assert [int(class_map[16, x]) for x in (5, 30, 55)] == [0, 1, 2]
    assert [each.options["enable_cuda_graph"] for each in Session.made] == ["1", "0"]


def test_what_is_not_the_graph_s_fault_is_said(device: Cuda, write_model: WriteModel) -> None:
    Session.run_error = RuntimeError("CUDNN_STATUS_EXECUTION_FAILED\n at line 3")
    with (
        load_engine(write_model(), dataclasses.replace(ON_CUDA, cuda_graph=False)) as engine,
        pytest.raises(EngineError, match="CUDNN_STATUS_EXECUTION_FAILED at line 3"),
    ):
        engine.run(numbered_frame(0))


@pytest.mark.parametrize(
    ("settings", "graph"),
    [(EngineSettings(), "1"), (EngineSettings(embedded=True), "0"), (EngineSettings(cuda_graph=False), "0")],
)
def test_in_a_program_of_one_s_own_nothing_is_captured(
    device: Cuda, write_model: WriteModel, settings: EngineSettings, graph: str
) -> None:
    load_engine(write_model(), dataclasses.replace(settings, backend="onnxruntime-cuda")).close()
    assert [each.options["enable_cuda_graph"] for each in Session.made] == [graph]


@pytest.mark.parametrize(
    ("engine", "graph"),
    [(None, "0"), (EngineSettings(in_flight=2), "0"), (EngineSettings(embedded=False), "1")],
)
def test_the_stream_of_a_program_is_such_a_one_unless_it_says_otherwise(
    device: Cuda, write_model: WriteModel, pictures: Path, engine: EngineSettings | None, graph: str
) -> None:
    chosen = engine and dataclasses.replace(engine, backend="onnxruntime-cuda")
    masks = list(api.stream(str(pictures), write_model(), backend="onnxruntime-cuda", engine=chosen, every_frame=True))
    assert len(masks) == 12
    load(write_model(), backend="onnxruntime-cuda", engine=chosen).close()
    assert [each.options["enable_cuda_graph"] for each in Session.made] == [graph] * 2


@pytest.mark.usefixtures("process")
def test_streams_and_events_go_before_their_context(device: Cuda, write_model: WriteModel) -> None:
    """pycuda's destructors make the context current: without one they end the process."""
    engine = load_engine(write_model(), ON_CUDA)
    engine.run(numbered_frame(0))
    engine.close()
    gc.collect()
    assert sorted(device.events[:-1]) == ["Event gone", "Event gone", "Stream gone"]
    assert device.events[-1] == "context gone"
    del engine


CALLS = {
    "init": LogicError("cuInit failed: forward compatibility was attempted\non non supported HW"),
    "retain_primary_context": LogicError("cuDevicePrimaryCtxRetain failed: out of memory"),
    "pagelocked_empty": OutOfMemoryError("cuMemHostAlloc failed: out of memory"),
    "Stream": LogicError("cuStreamCreate failed: invalid\ndevice context"),
    "Event": LogicError("cuEventCreate failed: operation not supported"),
}


@pytest.mark.parametrize("call", CALLS)
def test_an_error_while_the_engine_is_made_is_one_line_and_auto_moves_on(
    device: Cuda, write_model: WriteModel, call: str
) -> None:
    device.fail_at[call] = CALLS[call]
    with pytest.raises(EngineError) as caught:
        load_engine(write_model(), ON_CUDA)
    assert "\n" not in str(caught.value)
    gc.collect()
    if "context gone" in device.events:
        assert device.events[-1] == "context gone"
    said: list[str] = []
    with open_engine(write_model(), notice=said.append) as engine:
        assert engine.backend in ("onnxruntime-cpu", "openvino")
        assert np.unique(engine.run(numbered_frame(0)).class_map).tolist() == [0, 1, 2]
    assert "not onnxruntime-cuda (" in said[0]


def test_a_provider_that_fails_is_told_by_its_reason_and_not_printed(
    device: Cuda, write_model: WriteModel, capfd: pytest.CaptureFixture[str]
) -> None:
    Session.create_error = RuntimeError("CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version")
    with pytest.raises(Exception, match="CUDA driver version is insufficient"):
        load_engine(write_model(), ON_CUDA)
    assert capfd.readouterr().out == ""


def test_the_default_logger_is_silent_while_a_provider_loads_and_as_it_was_then(
    device: Cuda, write_model: WriteModel
) -> None:
    load_engine(write_model(), ON_CUDA).close()
    assert device.severities == [4, 2]
