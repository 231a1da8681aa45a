"""Where weights start: files of keras.applications in each form that Keras writes, and own runs."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeseg.core.errors import ModelError, UsageError
from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap
from edgeseg.models.applications import library_model
from edgeseg.models.build import build_model
from edgeseg.models.options import NetworkOptions
from edgeseg.models.transfer import initialise
from edgeseg.tf import keras
from tests.helpers.networks import spec_of

SIZE = Size(64, 64)
CLASSES = ClassMap(("a", "b", "c"), ((0, 0, 0), (1, 1, 1), (2, 2, 2)))
OTHERS = ClassMap(("a", "b", "c", "d"), ((0, 0, 0), (1, 1, 1), (2, 2, 2), (3, 3, 3)))
RENAMED = ClassMap(("x", "y", "z"), CLASSES.colours)
SMALL = NetworkOptions("fcn8", "mobilenet_v2", width=0.35, pretrained=True)


@pytest.fixture(scope="module")
def library() -> Any:
    """MobileNetV2 with weights like none that Keras would draw."""
    model = library_model("mobilenet_v2", alpha=0.35, top=True)
    random = np.random.default_rng(3)
    for layer in model.layers:
        layer.set_weights([random.uniform(0.1, 0.2, weight.shape) for weight in layer.get_weights()])
    return model


def without_top(library: Any) -> Any:
    model = library_model("mobilenet_v2", alpha=0.35)
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(library.get_layer(layer.name).get_weights())
    return model


def save_weights(model: Any, path: Path) -> None:
    model.save_weights(path)


def save_model(model: Any, path: Path) -> None:
    model.save(path)


@pytest.mark.parametrize("top", [True, False])
@pytest.mark.parametrize(
    ("name", "save"), [("m.keras", save_model), ("m.h5", save_model), ("m.weights.h5", save_weights)]
)
def test_each_kind_of_file_gives_the_library_s_features(
    name: str, save: Callable[[Any, Path], None], top: bool, library: Any, tmp_path: Path
) -> None:
    source = library if top else without_top(library)
    save(source, tmp_path / name)
    model = build_model(SMALL, SIZE, 3)
    lines = initialise(model, SMALL, str(tmp_path / name), "", CLASSES)
    assert lines[0] == f"mobilenet_v2: 104 layers start from {tmp_path / name}"
    assert lines[1] == "fresh: score_deepest, up_deepest, score_pool4, up_pool4, score_pool3, logits"
    for layer in (layer for layer in without_top(library).layers if layer.weights):
        for ours, theirs in zip(model.get_layer(layer.name).get_weights(), layer.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_vgg16_s_dense_layers_become_convolutions() -> None:
    """At the one position where the 7x7 kernel of fc6 lies inside a 224x224 picture's pool5, fc7 is the library's fc2.

    A small stand-in for the classifier: the real one has 500 MB; what is converted, and how, is the same code.
    """
    from edgeseg.models.transfer import _converted

    random = np.random.default_rng(0)
    pool5 = random.normal(size=(1, 7, 7, 16)).astype(np.float32)
    flat = keras.layers.Flatten()(keras.Input((7, 7, 16)))
    fc1, fc2 = keras.layers.Dense(12, activation="relu", name="fc1"), keras.layers.Dense(8, activation="relu")
    fc2(fc1(flat))
    found = {"fc1": fc1.get_weights(), "fc2": fc2.get_weights()}
    fc6 = keras.layers.Conv2D(12, 7, padding="same", activation="relu", name="fc6")
    fc7 = keras.layers.Conv2D(8, 1, padding="same", activation="relu", name="fc7")
    fc7(fc6(keras.Input((7, 7, 16))))
    for layer in (fc6, fc7):
        layer.set_weights(_converted(layer, found))
    dense = fc2(fc1(pool5.reshape(1, -1)))
    np.testing.assert_allclose(np.asarray(fc7(fc6(pool5)))[:, 3, 3], np.asarray(dense), rtol=1e-4, atol=1e-5)


@pytest.mark.models
@pytest.mark.parametrize("top", [True, False])
def test_the_whole_vgg16_agrees_with_the_library_s(top: bool, tmp_path: Path) -> None:
    network = NetworkOptions("fcn8", "vgg16", pretrained=True, batch_norm=False, skip_scales=True)
    source = library_model("vgg16", top=top)
    source.save_weights(tmp_path / "vgg16.weights.h5")
    model = build_model(network, Size(224, 224), 3)
    lines = initialise(model, network, str(tmp_path / "vgg16.weights.h5"), "", CLASSES)
    pixels = np.random.default_rng(0).normal(scale=60, size=(1, 224, 224, 3)).astype(np.float32)
    ours = keras.Model(model.input, [model.get_layer("pool5").output, model.get_layer("fc7_relu").output])(pixels)
    theirs = keras.Model(source.input, source.get_layer("block5_pool").output)(pixels)
    np.testing.assert_allclose(ours[0], theirs, rtol=1e-4, atol=1e-4)
    if top:
        fc2 = keras.Model(source.input, source.get_layer("fc2").output)(pixels)
        np.testing.assert_allclose(np.asarray(ours[1])[:, 3, 3], fc2, rtol=1e-3, atol=1e-4)
        assert "15 layers" in lines[0]
        assert "fc6" not in lines[1]
    else:
        assert "13 layers" in lines[0]
        assert "fresh: fc6, fc7, score_fc7" in lines[1]
        assert lines[1].endswith("(the file has no classifier)")


def test_weights_of_another_network_are_one_line(library: Any, tmp_path: Path) -> None:
    library.save_weights(tmp_path / "m.weights.h5")
    library.save(tmp_path / "m.keras")
    wide = NetworkOptions("fcn8", "mobilenet_v2", pretrained=True)
    with pytest.raises(ModelError, match=r"mobilenet_v2 at width 1 has .*; expected the weights of that network"):
        initialise(build_model(wide, SIZE, 3), wide, str(tmp_path / "m.weights.h5"), "", CLASSES)
    with pytest.raises(ModelError, match=r"Conv1 is .*; expected the mobilenet_v2 of keras.applications at width 1$"):
        initialise(build_model(wide, SIZE, 3), wide, str(tmp_path / "m.keras"), "", CLASSES)
    other = NetworkOptions("fcn8", "mobilenet_v3", width=0.35, pretrained=True)
    with pytest.raises(ModelError, match="holds no layer conv; expected the mobilenet_v3"):
        initialise(build_model(other, SIZE, 3), other, str(tmp_path / "m.keras"), "", CLASSES)


@pytest.mark.parametrize("name", ["m.keras", "m.weights.h5"])
@pytest.mark.parametrize("share", [0.0, 0.6])
def test_a_half_written_file_is_one_line(name: str, share: float, library: Any, tmp_path: Path) -> None:
    path = tmp_path / name
    (save_model if name.endswith(".keras") else save_weights)(library, path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    model = build_model(SMALL, SIZE, 3)
    before = model.get_weights()
    with pytest.raises(ModelError, match=r"cannot be loaded .* mobilenet_v2 at width 0\.35") as caught:
        initialise(model, SMALL, str(path), "", CLASSES)
    assert "\n" not in str(caught.value)
    for weight, was in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, was)


def test_files_that_cannot_be_weights_are_said(tmp_path: Path) -> None:
    model = build_model(SMALL, SIZE, 3)
    with pytest.raises(ModelError, match=r"no such file; expected none, imagenet, or a \.keras"):
        initialise(model, SMALL, str(tmp_path / "none.h5"), "", CLASSES)
    (tmp_path / "m.pth").touch()
    with pytest.raises(UsageError, match=r"\.pth; expected a \.keras, \.h5 or \.weights\.h5 file"):
        initialise(model, SMALL, str(tmp_path / "m.pth"), "", CLASSES)


def test_a_failed_download_says_which_file_to_bring(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nothing listens there
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(urllib.request, "_opener", None)  # the first download keeps its proxies for all that follow
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path), raising=False)
    network = NetworkOptions("fcn8", "mobilenet_v2", pretrained=True)
    with pytest.raises(ModelError) as caught:
        initialise(build_model(network, SIZE, 3), network, "imagenet", "", CLASSES)
    message = str(caught.value)
    assert "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5" in message
    assert "Connection refused" in message
    assert "https://storage.googleapis.com/" in message
    assert "give it by --weights FILE" in message
    assert "\n" not in message


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory's model and spec, fcn8 on compact, three classes."""
    import dataclasses

    folder = tmp_path_factory.mktemp("run")
    options = NetworkOptions("fcn8", "compact", width=0.25)
    build_model(options, SIZE, 3).save(folder / "model.keras")
    (folder / "spec.json").write_text(dataclasses.replace(spec_of(options), classes=CLASSES).to_json())
    return folder


def started(run: Path, classes: ClassMap, **changes: Any) -> tuple[Any, list[str]]:
    options = NetworkOptions("fcn8", "compact", **{"width": 0.25, **changes})
    model = build_model(options, Size(96, 64), len(classes))
    return model, initialise(model, options, "none", str(run), classes)


def test_an_own_model_is_taken_over_whole_at_another_size(run: Path) -> None:
    model, lines = started(run, CLASSES)
    from edgeseg.models.build import load_model

    for ours, theirs in zip(model.get_weights(), load_model(run / "model.keras").get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert len(lines) == 1
    assert lines[0].endswith(f"layers start from {run}")


@pytest.mark.parametrize("classes", [OTHERS, RENAMED])
def test_other_classes_get_a_fresh_head_and_it_is_said(run: Path, classes: ClassMap) -> None:
    model, lines = started(run, classes)
    from edgeseg.models.build import load_model

    before = load_model(run / "model.keras")
    assert lines[1].startswith("fresh: score_deepest, up_deepest, score_pool4, up_pool4, score_pool3, logits (")
    assert "other classes" in lines[1]
    stem = "stem1"
    np.testing.assert_array_equal(model.get_layer(stem).get_weights()[0], before.get_layer(stem).get_weights()[0])
    if len(classes) == 3:
        score = model.get_layer("score_pool3").get_weights()[0]
        assert np.abs(score - before.get_layer("score_pool3").get_weights()[0]).max() > 1e-3


def test_a_model_of_which_nothing_fits_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="none of its layers fits this network; use the run's own --width"):
        started(run, CLASSES, width=0.5)
    (tmp_path / "spec.json").write_bytes((run / "spec.json").read_bytes())
    (tmp_path / "model.keras").write_bytes((run / "model.keras").read_bytes()[:5000])
    with pytest.raises(ModelError, match="cannot be loaded"):
        started(tmp_path, CLASSES)
