"""Networks: the bilinear proof, shapes, parameter counts, what is refused, and what becomes of them in ONNX."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeseg.core.errors import ModelError, UsageError
from edgeseg.core.geometry import Size
from edgeseg.models.bilinear import Bilinear, bilinear_kernel
from edgeseg.models.build import build_model, load_model, seed_weights
from edgeseg.models.complexity import flops
from edgeseg.models.inputs import network_input
from edgeseg.models.registry import ARCHITECTURES
from edgeseg.tf import keras, tf


def test_an_untrained_8x_layer_enlarges_a_picture_8_times() -> None:
    random = np.random.default_rng(0)
    picture = cv2.GaussianBlur(random.integers(0, 256, (20, 26, 3), dtype=np.uint8), (0, 0), 1).astype(np.float32)
    layer = keras.layers.Conv2DTranspose(
        3, 16, strides=8, padding="same", use_bias=False, kernel_initializer=Bilinear()
    )
    enlarged = layer(picture[None])[0].numpy()
    expected = cv2.resize(picture, (26 * 8, 20 * 8), interpolation=cv2.INTER_LINEAR)
    assert enlarged.shape == expected.shape
    inside = (slice(8, -8), slice(8, -8))
    assert np.abs(enlarged[inside] - expected[inside]).max() < 1


@pytest.mark.parametrize("size", [2, 3, 4, 5, 16])
def test_kernels_are_symmetric_and_keep_brightness(size: int) -> None:
    kernel = bilinear_kernel(size)
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1])
    if size % 2 == 0:
        stride = size // 2
        for phase in range(stride):
            np.testing.assert_allclose(kernel[phase::stride, phase::stride].sum(), 1, rtol=1e-6)


@pytest.mark.parametrize(("channels_in", "channels_out"), [(12, 5), (5, 12)])
def test_no_channel_starts_dead_when_channels_differ(channels_in: int, channels_out: int) -> None:
    kernel = np.asarray(Bilinear(seed=1)((4, 4, channels_out, channels_in), "float32"))
    assert (np.abs(kernel).sum((0, 1, 3)) > 0.1).all()  # every output hears something
    assert (np.abs(kernel).sum((0, 1, 2)) > 0.1).all()  # every input is heard
    singular = np.linalg.svd(kernel.reshape(16, -1), compute_uv=False)
    assert singular[1] < 1e-5 * singular[0]  # one bilinear kernel times a mixing matrix


def test_equal_channels_are_not_mixed() -> None:
    kernel = np.asarray(Bilinear()((4, 4, 3, 3), "float32"))
    np.testing.assert_array_equal(kernel, bilinear_kernel(4)[:, :, None, None] * np.eye(3))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_output_has_the_input_s_size(architecture: str) -> None:
    model = build_model(architecture, Size(64, 96), 5, width=0.0625)
    assert model.input_shape == (None, 64, 96, 3)
    assert model.output_shape == (None, 64, 96, 5)
    logits = model(np.random.default_rng(0).normal(size=(2, 64, 96, 3)).astype(np.float32))
    assert logits.dtype == tf.float32
    assert np.isfinite(logits.numpy()).all()
    assert logits.numpy().std() > 0


@pytest.mark.parametrize("stride", [2, 4])
def test_a_score_stride_ends_the_decoder_there_and_enlarges_bilinearly(stride: int) -> None:
    model = build_model("unet", Size(64, 96), 5, encoder="compact", width=0.25, score_stride=stride)
    assert model.output_shape == (None, 64, 96, 5)
    scores, last = model.get_layer("score_decoded"), model.layers[-1]
    assert scores.output.shape[1:3] == (64 // stride, 96 // stride)
    assert last.name == "logits"
    np.testing.assert_array_equal(
        last.kernel.numpy(), bilinear_kernel(2 * stride)[:, :, None, None] * np.ones((5, 1), np.float32)
    )
    fully = build_model("unet", Size(64, 96), 5, encoder="compact", width=0.25)
    assert flops(model) < 0.95 * flops(fully)


@pytest.mark.parametrize(
    ("architecture", "size", "expected"),
    [
        ("fcn8", Size(160, 570), "fcn8-vgg16 takes sizes that are multiples of 32; 570x160 is not: use 576x160"),
        ("unet", Size(100, 96), "unet-unet takes sizes that are multiples of 8; 96x100 is not: use 96x104"),
        ("fnc8", Size(64, 64), "did you mean fcn8"),
    ],
)
def test_what_cannot_be_built_is_said(architecture: str, size: Size, expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        build_model(architecture, size, 3)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_saved_model_loads_and_computes_the_same(architecture: str, tmp_path: Path) -> None:
    model = build_model(architecture, Size(64, 64), 3, width=0.0625)
    model.save(tmp_path / "model.keras")
    x = np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype(np.float32)
    loaded = load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(x).numpy(), model(x).numpy(), atol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_half_written_model_is_one_line(share: float, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    build_model("unet", Size(8, 8), 3, width=0.0625).save(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(ModelError, match=r"model\.keras: cannot be loaded") as caught:
        load_model(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("architecture", "expected"), [("fcn8", 3), ("fcn16", 2), ("fcn32", 1), ("unet", 3)])
def test_each_transposed_convolution_stays_one_node_in_onnx(architecture: str, expected: int) -> None:
    tf2onnx = pytest.importorskip("tf2onnx")
    model = build_model(architecture, Size(64, 64), 3, width=0.0625)
    function = tf.function(lambda x: model(x, training=False), [tf.TensorSpec((1, 64, 64, 3), tf.float32)])
    onnx_model, _ = tf2onnx.convert.from_function(function, function.input_signature, opset=17)
    nodes = Counter(node.op_type for node in onnx_model.graph.node)
    assert nodes["ConvTranspose"] == expected
    assert not set(nodes) & {"Resize", "Slice", "Pad", "Shape"}


def test_network_input_follows_the_spec() -> None:
    from edgeseg.core.labels import ClassMap
    from edgeseg.core.spec import ModelSpec

    classes = ClassMap(("a",), ((0, 0, 0),))
    spec = ModelSpec("n", "fcn8", "vgg16", Size(1, 1), "rgb", (1.0, 2.0, 3.0), (1.0, 0.5, 0.25), classes)
    frame = np.array([[[[10, 20, 31]]]], np.uint8)  # BGR
    np.testing.assert_allclose(network_input(frame, spec)[0, 0, 0], (30, 9, 1.75))


def test_a_model_that_was_saved_before_the_files_moved_gives_the_same_logits() -> None:
    """`.keras` files name the module `edgeseg.models.bilinear` and the class `edgeseg>Bilinear`: both stay."""
    model = load_model(Path(__file__).with_name("before_the_rooms.keras"))
    picture = np.linspace(-1, 1, 32 * 32 * 3, dtype=np.float32).reshape(1, 32, 32, 3)
    logits = model.predict(picture, verbose=0)
    assert logits.shape == (1, 32, 32, 3)
    np.testing.assert_allclose(logits[0, 5, 20], [31.29729, 11.07758, 60.29515], rtol=1e-4)
    np.testing.assert_allclose(logits[0, 31, 17], [1.5472524, 0.2600493, 2.5074017], rtol=1e-4)


def test_the_first_weights_are_of_the_seed_alone_whatever_was_built_before() -> None:
    def weights() -> list[np.ndarray]:
        seed_weights(3)
        return list(build_model("unet", Size(32, 32), 3, width=0.0625).get_weights())

    first = weights()
    build_model("unet", Size(32, 32), 2, width=0.0625)
    for before, after in zip(first, weights(), strict=True):
        np.testing.assert_array_equal(before, after)
