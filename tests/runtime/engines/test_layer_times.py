"""Where the time goes, layer by layer, by each engine's own profiler; TensorRT's on stand-ins for it and its GPU."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgeseg.core.errors import ModelError
from edgeseg.core.geometry import Size
from edgeseg.core.spec import ModelSpec
from edgeseg.runtime.engines.choose import load_engine
from edgeseg.runtime.engines.layer_times import LayerTime, layer_table, layer_times, profiler_of
from edgeseg.runtime.engines.onnx_bytes import onnx_operators
from edgeseg.runtime.engines.settings import EngineSettings
from edgeseg.runtime.engines.tensorrt_library import library_name, make_profiler
from tests.helpers.foreign_models import noise
from tests.helpers.gpu import tensorrt_stand_in

WriteModel = Callable[..., Path]


def upsampling_model(path: Path) -> Path:
    """The colour network at an eighth of the size, enlarged by a transposed convolution called `up8`."""
    from onnx import helper, numpy_helper

    from edgeseg.core.spec import METADATA_KEY
    from tests.helpers.colour_model import COLOUR_SPEC

    kernel, by_8 = np.zeros((3, 3, 8, 8), np.float32), {"kernel_shape": [8, 8], "strides": [8, 8]}
    kernel[range(3), range(3)] = 1
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["pixels", "w"], ["small"], "conv1", **by_8),
            helper.make_node("Relu", ["small"], ["positive"], "relu1"),
            helper.make_node("ConvTranspose", ["positive", "k"], ["logits"], "up8", **by_8),
        ],
        "upsampling",
        [helper.make_tensor_value_info("pixels", onnx.TensorProto.FLOAT, [1, 3, 32, 64])],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, [1, 3, 32, 64])],
        [numpy_helper.from_array(kernel, "k"), numpy_helper.from_array(kernel / 64, "w")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, COLOUR_SPEC.to_json()
    onnx.save(model, str(path))
    return path


@pytest.mark.parametrize("backend", ["onnxruntime-cpu", "openvino"])
def test_each_profiler_tells_the_layers_and_the_transposed_convolution(tmp_path: Path, backend: str) -> None:
    if backend == "openvino":
        pytest.importorskip("openvino")
    layers = layer_times(upsampling_model(tmp_path / "up.onnx"), EngineSettings(backend, threads=1), runs=4)
    assert [layer.ms for layer in layers] == sorted((layer.ms for layer in layers), reverse=True)
    assert all(layer.name and layer.operator for layer in layers)
    (upsampling,) = (layer for layer in layers if layer.operator == "ConvTranspose")
    assert any(name in upsampling.name for name in ("up8", "logits"))  # the node, or as OpenVINO says, what it gives
    assert upsampling.ms > 0
    assert "1 transposed convolutions together" in layer_table(layers)


def test_a_network_of_free_size_is_profiled_at_its_own(tmp_path: Path, colour_spec: ModelSpec) -> None:
    """It takes no other, for it enlarges what it makes of it to this very size."""
    path = upsampling_model(tmp_path / "up.onnx")
    model = onnx.load(str(path))
    for axis in (0, 2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = f"any{axis}"
    size = onnx.numpy_helper.from_array(np.array([1, 3, *colour_spec.input_size]), "size")
    model.graph.initializer.append(size)
    model.graph.node.append(onnx.helper.make_node("Reshape", ["logits", "size"], ["shaped"], "shape1"))
    model.graph.output[0].name = "shaped"
    onnx.save(model, str(path))
    layers = layer_times(path, EngineSettings("onnxruntime-cpu", threads=1), runs=2)
    assert {"Conv", "ConvTranspose"} <= {layer.operator for layer in layers}


def test_onnx_runtime_s_time_of_a_layer_is_that_of_a_run(write_model: WriteModel) -> None:
    """A picture a hundred times as large takes longer."""
    small, large = (
        layer_times(write_model(size), EngineSettings("onnxruntime-cpu", threads=1), runs=4)
        for size in (Size(72, 128), Size(720, 1280))
    )
    assert sum(layer.ms for layer in large) > 1.3 * sum(layer.ms for layer in small)
    shown = layer_table(large, most=1)
    assert "others" in shown
    assert "0 transposed convolutions together" in shown


def test_tensorrt_s_profiler_is_heard_and_its_layers_are_named_by_the_nodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_model: WriteModel
) -> None:
    path = write_model()
    names = onnx_operators(path)
    first = next(name for name, operator in names.items() if operator == "Conv")
    layers = {f"{first} + argmax": 2.0, "Reformatting CopyNode for frame": 0.5, "my_conv2d_transpose": 3.0}
    monkeypatch.setattr(tensorrt_stand_in, "LAYERS", layers)
    engine = tensorrt_stand_in.use(monkeypatch, path)
    for model in (path, engine):
        found = layer_times(model, EngineSettings("tensorrt", cuda_graph=True, in_flight=2), runs=5)
        by_name = {layer.name: layer for layer in found}
        assert {name: layer.ms for name, layer in by_name.items()} == layers  # the warm-up is left out
        assert by_name["my_conv2d_transpose"].operator == "ConvTranspose"
        assert by_name[f"{first} + argmax"].operator == ("Conv" if model is path else "")
    assert not tensorrt_stand_in.InferenceSlot.memory


def test_the_tensorrt_engine_itself_runs_on_the_stand_ins(
    monkeypatch: pytest.MonkeyPatch, write_model: WriteModel
) -> None:
    path = write_model()
    tensorrt_stand_in.use(monkeypatch, path)
    with load_engine(path, EngineSettings("tensorrt", in_flight=2)) as engine:
        engine.warm_up(2)
        frame = noise(engine.frame_size)
        class_map = engine.run(frame).class_map
    np.testing.assert_array_equal(class_map, (frame.ravel()[: 32 * 64 * 3 : 3] % 3).reshape(32, 64))


@pytest.mark.skipif(library_name() is None, reason="no TensorRT is installed")
def test_tensorrt_s_own_class_takes_our_profiler() -> None:
    profiler = make_profiler(importlib.import_module(str(library_name())))
    profiler.report_layer_time("conv", 1.5)
    profiler.report_layer_time("conv", 2.5)
    assert profiler.ms == {"conv": [1.5, 2.5]}


def test_operators_are_those_of_the_file_and_a_broken_file_is_said(write_model: WriteModel, tmp_path: Path) -> None:
    path = write_model()
    assert onnx_operators(path) == {node.name: node.op_type for node in onnx.load(str(path)).graph.node}
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ModelError, match="not a whole ONNX file"):
        onnx_operators(path)
    with pytest.raises(ModelError, match="cannot profile it"):
        layer_times(path, EngineSettings("onnxruntime-cpu"))


def test_whose_profiler_it_is_is_said() -> None:
    assert profiler_of("tensorrt") == "TensorRT"
    assert profiler_of("openvino-bf16") == "OpenVINO"
    assert profiler_of("onnxruntime-cuda") == "ONNX Runtime on the CPU"
    assert "100.0%" in layer_table([LayerTime("a", "Conv", 1.0)])
