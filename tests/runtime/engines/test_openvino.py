"""OpenVINO gives ONNX Runtime's masks: all but ties in float32, nearly all in bfloat16."""

from __future__ import annotations

import ctypes
import dataclasses
import gc
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeseg.core.errors import EngineError, ModelError
from edgeseg.core.geometry import Crop, Size
from edgeseg.export.camera_graph import camera_graph, with_camera
from edgeseg.runtime.engines.choose import backend_class, candidates, load_engine, open_engine
from edgeseg.runtime.engines.model_file import ModelFile
from edgeseg.runtime.engines.registry import GPU_BACKENDS
from edgeseg.runtime.engines.settings import EngineSettings
from tests.helpers.colour_model import COLOUR_SPEC, write_colour_model
from tests.helpers.foreign_models import foreign_model, noise

pytest.importorskip("openvino", reason="OpenVINO is not installed: pip install 'edgeseg[openvino]'")

CAMERA = Size(120, 200)


def deep_model(path: Path, with_confidence: bool = True, **changes: Any) -> Path:
    """Write a camera graph with a stride, a transposed convolution and enough arithmetic for roundings to tell."""
    spec = dataclasses.replace(COLOUR_SPEC, input_size=Size(64, 96), **changes)
    random = np.random.default_rng(0)

    def weights(name: str, *shape: int) -> onnx.TensorProto:
        values = random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
        return numpy_helper.from_array(values.astype(np.float32), name)

    same = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["pixels", "w1"], ["a"], strides=[2, 2], **same),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "w2"], ["c"], **same),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("ConvTranspose", ["d", "w3"], ["logits"], strides=[2, 2], kernel_shape=[4, 4], pads=[1] * 4),
    ]
    shape = [1, 3, *spec.input_size]
    graph = helper.make_graph(
        nodes,
        "deep",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape)],
        [weights("w1", 16, 3, 3, 3), weights("w2", 16, 16, 3, 3), weights("w3", 16, 3, 4, 4)],
    )
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(camera_graph(network, with_camera(spec, CAMERA), with_confidence), str(path))
    return path


@pytest.mark.parametrize(("backend", "equal", "confidence"), [("openvino", 0.9999, 1), ("openvino-bf16", 0.97, 8)])
def test_the_masks_are_onnx_runtime_s(tmp_path: Path, backend: str, equal: float, confidence: int) -> None:
    path = deep_model(tmp_path / "deep.onnx")
    frame = noise(CAMERA)
    with open_engine(path, "onnxruntime-cpu") as reference, open_engine(path, backend, threads=1) as engine:
        wanted, result = reference.run(frame), engine.run(frame)
        engine.run(np.zeros_like(frame))  # what was handed over stays
    assert len(np.unique(wanted.class_map)) == 3
    assert np.mean(result.class_map == wanted.class_map) >= equal
    assert wanted.confidence is not None
    assert result.confidence is not None
    difference = np.abs(result.confidence.astype(int) - wanted.confidence)
    assert difference.max() <= confidence
    assert engine.device.endswith("(f32)") == (backend == "openvino")


@pytest.mark.parametrize(
    "changes", [{}, {"fit": "pad"}, {"fit": "crop", "colour_order": "rgb"}, {"crop": Crop(0.1, 0.2, 0.5, 0.6)}]
)
def test_resize_and_argmax_on_the_host_give_the_graph_s_masks(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = deep_model(tmp_path / "deep.onnx", with_confidence=False, **changes)
    frame = np.asarray(cv2.GaussianBlur(noise(CAMERA), (0, 0), 2), np.uint8)
    with open_engine(path, "onnxruntime-cpu") as reference, open_engine(path, "openvino", threads=1) as engine:
        wanted, result = reference.run(frame), engine.run(frame)
        assert engine.frame_size == CAMERA
    assert len(np.unique(wanted.class_map)) == 3
    assert np.mean(result.class_map == wanted.class_map) >= 0.999
    assert result.preprocess_ms > 0  # the resize


def test_a_foreign_model_with_a_free_batch_runs(tmp_path: Path) -> None:
    path = foreign_model(tmp_path / "foreign.onnx", COLOUR_SPEC, batch="N")
    settings = EngineSettings(backend="openvino", spec=path.with_suffix(".json"))
    with load_engine(path, settings) as engine, open_engine(write_colour_model(tmp_path / "own.onnx", None)) as own:
        frame = noise(engine.frame_size)
        np.testing.assert_array_equal(engine.run(frame).class_map, own.run(frame).class_map)


def test_a_file_that_it_cannot_load_is_said_in_one_line(tmp_path: Path) -> None:
    path = deep_model(tmp_path / "deep.onnx")
    model = onnx.load(str(path))
    model.graph.node[0].op_type = "NoSuchOperator"
    onnx.save(model, str(path))
    with pytest.raises(ModelError, match="OpenVINO cannot load it") as caught:
        open_engine(path, "openvino")
    assert "\n" not in str(caught.value)


def test_without_it_its_name_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = __import__("importlib.util").util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "openvino" else find(name))
    with pytest.raises(EngineError, match=r"pip install 'edgeseg\[openvino\]'"):
        open_engine(deep_model(tmp_path / "deep.onnx"), "openvino")


@pytest.mark.parametrize("slowed", ["openvino", "onnxruntime-cpu"])
def test_auto_takes_the_faster_one_and_says_what_they_take(
    slowed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, said = backend_class(slowed), list[str]()
    run = kind._run

    def slow(*arguments: Any) -> Any:
        time.sleep(0.02)
        return run(*arguments)

    monkeypatch.setattr(kind, "_run", slow)
    with open_engine(deep_model(tmp_path / "deep.onnx"), notice=said.append) as engine:
        assert engine.backend in {"openvino", "onnxruntime-cpu", "tensorrt", "onnxruntime-cuda"} - {slowed}
        engine.run(np.zeros((*engine.frame_size, 3), np.uint8))  # the one that was closed is the other one
    if engine.backend in ("openvino", "onnxruntime-cpu"):
        assert re.match(rf"backend {engine.backend} \(onnxruntime-cpu \d+\.\d ms a frame, openvino \d+\.\d\)", said[0])


@pytest.mark.parametrize(("precision", "first"), [("fp32", "openvino"), ("int8", "onnxruntime-cpu")])
def test_auto_leaves_int8_to_the_engine_of_the_proof(precision: str, first: str) -> None:
    model = ModelFile(Path("model.onnx"), dataclasses.replace(COLOUR_SPEC, precision=precision))
    assert next(each for each in candidates(model, EngineSettings()) if each not in GPU_BACKENDS) == first


def test_auto_takes_it_where_onnx_runtime_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    for name in [name for name in sys.modules if name.startswith("edgeseg.") and ".onnxruntime_" in name]:
        monkeypatch.delitem(sys.modules, name)
    with open_engine(deep_model(tmp_path / "deep.onnx")) as engine:
        assert engine.backend in ("openvino", "tensorrt")


def test_signals_find_their_stack_whatever_the_order_in_which_models_go(write_model: Callable[..., Path]) -> None:
    """OpenVINO left the stack of a model that had gone: SIGTERM then ended the process with a segmentation fault."""

    class Stack(ctypes.Structure):
        _fields_ = (("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))

    def stack() -> tuple[object, ...]:
        found = Stack()
        assert ctypes.CDLL(None).sigaltstack(None, ctypes.byref(found)) == 0
        return found.address, found.flags, found.size

    before, model = stack(), write_model()
    engines = [open_engine(model, "openvino") for _ in range(3)]
    for engine in engines:
        engine.warm_up(1)
        assert stack() == before
    engines[0].close()
    while engines:
        engines.pop(0)
        gc.collect()
        assert stack() == before
