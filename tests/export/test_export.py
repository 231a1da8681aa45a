"""The export of real Keras models: small ones that were trained for a moment, so that their logits do not tie."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from edgeseg.core.errors import DataError, ModelError, UsageError
from edgeseg.core.geometry import Crop, Size
from edgeseg.core.spec import PRECISIONS, ModelSpec
from edgeseg.data.argument import open_dataset
from edgeseg.data.tools.pack import write_pack
from edgeseg.data.tools.pack_settings import PackSettings
from edgeseg.export import exporter
from edgeseg.export.camera_graph import camera_graph, with_camera
from edgeseg.export.exporter import export
from edgeseg.export.model_card import card_of
from edgeseg.export.network import onnx_from_keras
from edgeseg.export.settings import EQUAL_PIXELS, ExportSettings
from edgeseg.export.tensorrt_check import library_at_hand
from edgeseg.export.upsampling import check_upsampling
from edgeseg.models.build import load_model
from edgeseg.models.depthwise import DepthwiseConv2DTranspose
from edgeseg.runtime.engines.choose import open_engine
from edgeseg.tf import keras
from edgeseg.training.train import train
from tests.helpers.training import tiny_settings, write_camvid

UPSAMPLING = {"fcn8": {(4, 2): 2, (16, 8): 1}, "unet": {(4, 2): 3}}
VAL = 4


@pytest.fixture(scope="module", params=["fcn8", "unet"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    data = write_camvid(folder / "camvid", train=64, val=VAL)
    train(tiny_settings(data, model=request.param, size=Size(64, 96), epochs=4), folder / "run")
    return folder / "run"


def test_the_file_gives_the_model_s_masks_from_camera_frames(run: Path, tmp_path: Path) -> None:
    target = tmp_path / "model.onnx"
    report = export(run, target, ExportSettings(camera_size=Size(180, 320)))
    assert report.parity.frames == VAL
    assert report.parity.equal_pixels > 0.9999
    assert target.with_name("model.onnx.spec.json").is_file()
    spec = ModelSpec.read(target.with_name("model.onnx.spec.json"))
    with open_engine(target) as engine:
        assert engine.frame_size == Size(180, 320)
        assert engine.spec == spec
    assert spec.trained_on == ModelSpec.read(run / "spec.json").trained_on
    assert {"edgeseg", "onnx", "tf2onnx", "tensorflow"} <= spec.versions.keys()
    card = card_of(target)
    assert card is not None
    assert f"| val | {spec.trained_on} | {VAL} | {spec.metrics['miou']:.4f} | [" in card
    assert f"{report.parity.equal_pixels:.3%} of pixels as the Keras model's over {VAL} frames" in card
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "model.onnx", "model.onnx.card.md", "model.onnx.spec.json",
    ]  # fmt: skip


def test_every_transposed_convolution_is_one_convtranspose_with_its_kernel(run: Path, tmp_path: Path) -> None:
    spec = ModelSpec.read(run / "spec.json")
    model = load_model(run / "model.keras")
    network = onnx_from_keras(model, spec)
    expected = UPSAMPLING[spec.architecture]
    assert len(check_upsampling(model, network)) == sum(expected.values())
    nodes = [node for node in network.graph.node if node.op_type == "ConvTranspose"]
    attributes = [{a.name: list(a.ints) for a in node.attribute} for node in nodes]
    assert Counter((a["kernel_shape"][0], a["strides"][0]) for a in attributes) == expected
    weights = {each.name: onnx.numpy_helper.to_array(each) for each in network.graph.initializer}
    kinds = (keras.layers.Conv2DTranspose, DepthwiseConv2DTranspose)
    layers = [layer for layer in model.layers if isinstance(layer, kinds)]
    for node, layer in zip(nodes, layers, strict=True):
        kernel = layer.get_weights()[0]
        if isinstance(layer, DepthwiseConv2DTranspose):  # (height, width, channels, 1); it is grouped later
            kernel = kernel * np.eye(kernel.shape[2])
        # Keras: (height, width, out, in); ONNX: (in, out, height, width).
        np.testing.assert_array_equal(weights[node.input[1]], kernel.transpose(3, 2, 0, 1))
    operators = {node.op_type for node in network.graph.node}
    assert not operators & {"Resize", "Slice", "Pad", "Shape", "Upsample"}


def test_crop_fit_and_confidence_are_in_the_graph(run: Path, tmp_path: Path) -> None:
    target = tmp_path / "model.onnx"
    settings = ExportSettings(Size(180, 320), crop=Crop(0, 0.25, 1, 0.75), fit="pad", with_confidence=True)
    assert export(run, target, settings).parity.equal_pixels > 0.9999
    with open_engine(target) as engine:
        result = engine.run(np.zeros((180, 320, 3), np.uint8))
    assert result.confidence is not None
    assert (engine.spec.crop, engine.spec.fit) == (Crop(0, 0.25, 1, 0.75), "pad")


def test_frames_without_a_label_have_no_mean_iou(run: Path, tmp_path: Path) -> None:
    """As those of a test split whose labels nobody gives away."""
    data = write_camvid(tmp_path / "unlabelled", train=1, val=2)
    for mask in (data / "valannot").iterdir():
        cv2.imwrite(str(mask), np.full((72, 96), 11, np.uint8))
    report = export(run, tmp_path / "model.onnx", ExportSettings(check=f"camvid:{data}"))
    assert report.parity.equal_pixels > 0.9999
    assert report.parity.miou_model is None
    assert not any("mean IoU" in line for line in report.lines())


def test_pictures_that_are_cropped_already_are_no_frames_of_a_camera(run: Path, tmp_path: Path) -> None:
    data = write_camvid(tmp_path / "camvid", train=1, val=2)
    half = Crop(0, 0.5, 1, 0.5)
    write_pack(open_dataset(f"camvid:{data}"), tmp_path / "pack", PackSettings(crop=half), "camvid")
    settings = ExportSettings(Size(180, 320), crop=half, check=f"tfrecord:{tmp_path / 'pack'}")
    with pytest.raises(UsageError, match=r"packed with the crop .*give whole pictures by --check"):
        export(run, tmp_path / "model.onnx", settings)
    assert not (tmp_path / "model.onnx").exists()


def broken(network: onnx.ModelProto, name: str, change: object) -> None:
    for tensor in network.graph.initializer:
        if tensor.name == name:
            array = change(onnx.numpy_helper.to_array(tensor))  # type: ignore[operator]
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))


def transposed_kernel(network: onnx.ModelProto) -> None:
    node = next(node for node in network.graph.node if node.op_type == "Conv")
    broken(network, node.input[1], lambda kernel: kernel.transpose(0, 1, 3, 2))


def swapped_colours(network: onnx.ModelProto) -> None:
    node = next(node for node in network.graph.node if node.op_type == "Conv")
    broken(network, node.input[1], lambda kernel: kernel[:, ::-1])


@pytest.mark.parametrize("fault", [transposed_kernel, swapped_colours])
def test_a_conversion_that_changes_masks_is_refused_and_the_earlier_file_kept(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: object
) -> None:
    target = tmp_path / "model.onnx"
    export(run, target, ExportSettings())
    earlier = target.read_bytes()

    def faulty(model: object, spec: ModelSpec, opset: int) -> onnx.ModelProto:
        network = onnx_from_keras(model, spec, opset)
        fault(network)  # type: ignore[operator]
        return network

    monkeypatch.setattr(exporter, "onnx_from_keras", faulty)
    settings = ExportSettings(camera_size=Size(180, 320), report=tmp_path / "report.json")
    with pytest.raises(ModelError, match=r"\d% of the Keras model's pixels .* expected at least 99.99%") as refusal:
        export(run, target, settings)
    first = next(layer.name for layer in load_model(run / "model.keras").layers if type(layer).__name__ == "Conv2D")
    assert re.search(rf"the first layer to differ is {first}\w* ", str(refusal.value))
    assert target.read_bytes() == earlier
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["model.onnx", "model.onnx.card.md", "model.onnx.spec.json", "report.json", "report.png"]
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["onnx"], report["refused"] in str(refusal.value)) == ("", True)
    picture = np.asarray(cv2.imread(str(tmp_path / "report.png")))
    assert np.count_nonzero(np.all(picture == (0, 0, 255), axis=-1)) > 0.001 * 64 * 96, (
        "differing pixels are marked in red"
    )


def without_mean(spec: ModelSpec) -> ModelSpec:
    return replace(spec, mean=(0.0, 0.0, 0.0))


def with_other_colour_order(spec: ModelSpec) -> ModelSpec:
    return replace(spec, colour_order="rgb" if spec.colour_order == "bgr" else "bgr")


@pytest.mark.parametrize("fault", [without_mean, with_other_colour_order])
def test_a_head_that_gives_the_network_other_pixels_is_refused(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Callable[[ModelSpec], ModelSpec]
) -> None:
    def faulty(network: onnx.ModelProto, spec: ModelSpec, with_confidence: bool) -> onnx.ModelProto:
        return camera_graph(network, fault(spec), with_confidence)

    monkeypatch.setattr(exporter, "camera_graph", faulty)
    with pytest.raises(ModelError, match=r"first to differ is the network's input .* nothing was written"):
        export(run, tmp_path / "model.onnx", ExportSettings())
    assert not list(tmp_path.iterdir())


def test_a_resize_in_place_of_a_transposed_convolution_is_refused(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A valid graph, whose pictures may well look right."""

    def faulty(model: object, spec: ModelSpec, opset: int) -> onnx.ModelProto:
        network = onnx_from_keras(model, spec, opset)
        node = [node for node in network.graph.node if node.op_type == "ConvTranspose"][-1]
        stride = next(each.ints[0] for each in node.attribute if each.name == "strides")
        scales = np.array([1, 1, stride, stride], np.float32)
        network.graph.initializer.append(onnx.numpy_helper.from_array(scales, "scales"))
        resize = onnx.helper.make_node("Resize", [node.input[0], "", "scales"], node.output, mode="linear")
        node.CopyFrom(resize)
        return network

    monkeypatch.setattr(exporter, "onnx_from_keras", faulty)
    with pytest.raises(ModelError, match="expected each to be one ConvTranspose: nothing was written"):
        export(run, tmp_path / "model.onnx", ExportSettings())
    assert not list(tmp_path.iterdir())


def test_fp16_computes_in_float16_between_a_head_and_a_tail_in_float32(run: Path, tmp_path: Path) -> None:
    whole = export(run, tmp_path / "fp32.onnx", ExportSettings(check_frames=1))
    half = export(run, tmp_path / "fp16.onnx", ExportSettings(precision="fp16"))
    assert half.bytes < 0.6 * whole.bytes
    assert 0 < half.parity.logit_error < 0.02 * half.parity.logit_range
    types = Counter(each.data_type for each in onnx.load(str(tmp_path / "fp16.onnx")).graph.initializer)
    assert types[onnx.TensorProto.FLOAT16] > 10
    with open_engine(tmp_path / "fp16.onnx") as engine:
        assert engine.spec.precision == "fp16"


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_whole_gate_holds_in_every_precision(run: Path, tmp_path: Path, precision: str) -> None:
    """With its usual limits: masks, mean IoU, rules, and NVIDIA's parser and builder where they are installed."""
    target = tmp_path / "model.onnx"
    report = export(run, target, ExportSettings(precision=precision))
    assert report.parity.equal_pixels >= EQUAL_PIXELS[precision]
    assert (report.parity.miou_model or 0) > 0.5, "the model has learned something"
    assert report.parity.miou_loss <= 1
    assert not any(report.tensorrt.refused_by_rules.values())
    assert report.tensorrt.accepted or not library_at_hand()
    lines = "\n".join(report.lines())
    assert "3 DECONVOLUTION" in lines or not library_at_hand()
    assert ("times as fast as fp32" in lines) == (precision != "fp32")
    with open_engine(target) as engine:
        assert engine.spec.precision == precision


def test_a_raw_graph_takes_float_pixels_and_gives_logits(run: Path, tmp_path: Path) -> None:
    report = export(run, tmp_path / "raw.onnx", ExportSettings(raw=True, opset=18))
    assert report.parity.equal_pixels > 0.9999
    model = onnx.load(str(tmp_path / "raw.onnx"))
    assert [each.name for each in (*model.graph.input, *model.graph.output)] == ["pixels", "logits"]
    assert [each.version for each in model.opset_import] == [18]
    assert [list(faults) != [] for faults in report.tensorrt.refused_by_rules.values()] == [True, *[False] * 4]
    with open_engine(tmp_path / "raw.onnx", "onnxruntime-cpu") as engine:  # its spec says how a frame becomes pixels
        assert engine.spec.input_size == engine.frame_size == Size(64, 96)
    with pytest.raises(UsageError, match="raw graph has no head"):
        ExportSettings(raw=True, with_confidence=True)


def test_agreement_counts_logits_and_labels_too(run: Path, tmp_path: Path) -> None:
    parity = export(run, tmp_path / "model.onnx", ExportSettings(report=tmp_path / "report.json")).parity
    assert 0 < parity.logit_error < 1e-3 * parity.logit_range
    assert parity.miou_model == pytest.approx(parity.miou_file, abs=1e-3)
    assert parity.miou_model
    document = json.loads((tmp_path / "report.json").read_text())
    written = ("per class", 11) if ModelSpec.read(run / "spec.json").architecture == "fcn8" else ("dense", 1)
    assert [(row["form"], row["groups"]) for row in document["upsampling"]] == [written] * 3
    assert document["limits"]["equal_pixels"] == 0.9999


def test_a_run_without_a_best_model_is_said(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("epochs = 1")
    with pytest.raises(ModelError, match="without a best model yet"):
        export(tmp_path, tmp_path / "model.onnx", ExportSettings())


def test_what_the_user_can_get_wrong_is_said(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="expected a run directory"):
        export(tmp_path / "none", tmp_path / "m.onnx", ExportSettings())
    with pytest.raises(DataError, match="--check"):
        export(run, tmp_path / "m.onnx", ExportSettings(check=f"camvid:{tmp_path}/none"))
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        export(run, tmp_path / "file" / "m.onnx", ExportSettings())
    half = tmp_path / "half"
    half.mkdir()
    (half / "spec.json").write_text((run / "spec.json").read_text())
    (half / "model.keras").write_bytes((run / "model.keras").read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"model\.keras"):
        export(half, tmp_path / "m.onnx", ExportSettings())
    assert not (tmp_path / "m.onnx").exists()


def test_a_camera_of_the_network_s_size_is_the_default(colour_spec: ModelSpec) -> None:
    assert with_camera(colour_spec, None).camera_size == colour_spec.input_size
