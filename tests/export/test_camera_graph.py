import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from edgeseg.core.geometry import Crop, Size
from edgeseg.core.pixels import network_pixels
from edgeseg.core.spec import METADATA_KEY, ModelSpec
from edgeseg.export.camera_graph import camera_graph, with_camera
from tests.helpers.colour_model import colour_network

WriteModel = Callable[..., Path]
CAMERA = Size(90, 200)


def head_output(spec: ModelSpec, frame: np.ndarray) -> np.ndarray:
    """What the head of the written graph hands to the network, (H, W, 3)."""
    graph = camera_graph(colour_network(spec), spec)
    graph.graph.output.append(onnx.helper.make_tensor_value_info("pixels", onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    pixels: np.ndarray = session.run(["pixels"], {"frame": frame[np.newaxis]})[0]
    return np.asarray(pixels[0].transpose(1, 2, 0))


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("crop", [None, Crop(0.1, 0.3, 0.8, 0.6)])
@pytest.mark.parametrize("colour_order", ["bgr", "rgb"])
def test_the_head_computes_what_the_reference_does(
    colour_spec: ModelSpec, fit: str, crop: Crop | None, colour_order: str
) -> None:
    spec = dataclasses.replace(
        colour_spec, fit=fit, crop=crop, colour_order=colour_order, mean=(90.0, 110.0, 130.0), scale=(0.01, 0.02, 0.03)
    )
    frame = np.random.default_rng(3).integers(0, 256, (*CAMERA, 3), np.uint8)
    written = head_output(with_camera(spec, CAMERA), frame)
    np.testing.assert_allclose(written, network_pixels(frame, spec), atol=1e-3)


def test_a_frame_of_network_size_is_not_resized(colour_spec: ModelSpec) -> None:
    spec = with_camera(colour_spec, None)
    operators = [node.op_type for node in camera_graph(colour_network(spec), spec).graph.node]
    assert "Resize" not in operators
    frame = np.random.default_rng(4).integers(0, 256, (*spec.input_size, 3), np.uint8)
    np.testing.assert_allclose(head_output(spec, frame), (frame - 100.0) * 0.02, atol=1e-5)


def test_the_interface_is_the_documented_one(write_model: WriteModel) -> None:
    session = onnxruntime.InferenceSession(str(write_model(CAMERA, with_confidence=True)))
    assert [(i.name, i.type, i.shape) for i in session.get_inputs()] == [("frame", "tensor(uint8)", [1, 90, 200, 3])]
    outputs = [(o.name, o.type, o.shape) for o in session.get_outputs()]
    assert outputs == [
        ("class_map", "tensor(uint8)", [1, 32, 64]),
        ("confidence", "tensor(uint8)", [1, 32, 64]),
    ]


def test_the_file_is_valid_onnx_that_old_runtimes_read(write_model: WriteModel) -> None:
    model = onnx.load(str(write_model(CAMERA)))
    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version == 8
    assert [(each.domain, each.version) for each in model.opset_import] == [("", 17)]


def test_tensorrt_s_known_refusals_are_kept_out(write_model: WriteModel) -> None:
    """Cast comes first, Resize carries sizes, and no integer is cast to uint8."""
    nodes = onnx.load(str(write_model(CAMERA, with_confidence=True))).graph.node
    assert nodes[0].op_type == "Cast"
    for resize in (node for node in nodes if node.op_type == "Resize"):
        assert list(resize.input)[1:3] == ["", ""]
        assert resize.input[3]
    producer = {output: node.op_type for node in nodes for output in node.output}
    to_uint8 = [
        node for node in nodes
        if node.op_type == "Cast" and node.attribute[0].i == onnx.TensorProto.UINT8
    ]  # fmt: skip
    assert len(to_uint8) == 2
    assert all(producer[node.input[0]] in ("Cast", "Round") for node in to_uint8)


def test_the_spec_travels_in_the_metadata(write_model: WriteModel) -> None:
    model = onnx.load(str(write_model(CAMERA, crop=Crop(0, 0.5, 1, 0.5))))
    spec = ModelSpec.from_json({entry.key: entry.value for entry in model.metadata_props}[METADATA_KEY])
    assert spec.camera_size == CAMERA
    assert spec.crop == Crop(0, 0.5, 1, 0.5)
