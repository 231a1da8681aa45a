"""Evaluation: known predictors, the labels' own size, what is refused; and the metrics behind it."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

from edgeseg.commands.main import cli
from edgeseg.core.errors import ModelError, UsageError
from edgeseg.core.geometry import Crop, Placement, Size, place
from edgeseg.core.labels import ClassMap
from edgeseg.core.metrics import ConfusionMatrix, Scores
from edgeseg.core.spec import ModelSpec
from edgeseg.data.argument import open_dataset
from edgeseg.data.base import Image, Mask, Sample
from edgeseg.evaluation.evaluate import evaluate
from edgeseg.evaluation.predictors import BATCH, KerasPredictor, Predictor, load_predictor
from edgeseg.models.build import build_model, seed_weights
from edgeseg.models.options import NetworkOptions
from edgeseg.runtime.engines.settings import EngineSettings
from edgeseg.tf import keras
from edgeseg.training.progress import evaluation_progress
from tests.helpers.training import TWO_CLASSES, ArraySample, write_camvid


def spec_of(size: Size, classes: ClassMap = TWO_CLASSES, fit: str = "stretch", crop: Crop | None = None) -> ModelSpec:
    return ModelSpec("test", "unet", "unet", size, "bgr", (0, 0, 0), (1, 1, 1), classes, fit, crop)


class Painter(Predictor):
    """Predicts what a function makes of the picture at network size."""

    def __init__(self, spec: ModelSpec, value: int | None = None) -> None:
        self.spec = spec
        self.value = value
        self.asked: list[int] = []

    def placement(self, picture: Size) -> Placement:
        return place(picture, self.spec.input_size, self.spec.fit, self.spec.crop)

    def predict(self, images: Sequence[Image]) -> list[Mask]:
        self.asked.append(len(images))
        return [self._one(image) for image in images]

    def _one(self, image: Image) -> Mask:
        if self.value is not None:
            return np.full(self.spec.input_size, self.value, np.uint8)
        return (image[::4, ::4, 0] > 127).astype(np.uint8)


def sample(light_columns: int) -> Sample:
    class_map = np.zeros((32, 64), np.uint8)
    class_map[:, :light_columns] = 1
    return ArraySample(np.repeat(class_map[..., None] * np.uint8(255), 3, axis=2), class_map)


def test_a_perfect_predictor_scores_1_at_the_labels_own_size() -> None:
    scores = evaluate(Painter(spec_of(Size(8, 16))), [sample(16), sample(32)], TWO_CLASSES)
    assert scores.miou == 1
    assert scores.pixel_accuracy == 1
    assert scores.images == 2


def test_a_known_wrong_predictor() -> None:
    predictor = Painter(spec_of(Size(8, 16)), value=1)
    scores = evaluate(predictor, [sample(16)] * (BATCH + 1), TWO_CLASSES)
    assert predictor.asked == [BATCH, 1]
    assert scores.iou == {"dark": 0, "light": pytest.approx(0.25)}
    assert scores.miou == pytest.approx(0.125)
    assert scores.pixel_accuracy == pytest.approx(0.25)


def test_pixels_that_the_network_never_saw_are_not_counted() -> None:
    predictor = Painter(spec_of(Size(8, 8), crop=Crop(0.5, 0.0, 0.5, 1.0)), value=0)
    assert evaluate(predictor, [sample(32)], TWO_CLASSES).miou == 1  # the light half is cut away
    whole = Painter(spec_of(Size(8, 8)), value=0)
    assert evaluate(whole, [sample(32)], TWO_CLASSES).pixel_accuracy == 0.5


def test_other_classes_are_refused_with_the_difference() -> None:
    others = ClassMap(("dark", "blinding"), TWO_CLASSES.colours)
    with pytest.raises(ModelError, match="only the model has light; only the data has blinding"):
        evaluate(Painter(spec_of(Size(8, 16))), [sample(3)], others)
    swapped = ClassMap(("light", "dark"), TWO_CLASSES.colours)
    with pytest.raises(ModelError, match="their order differs"):
        evaluate(Painter(spec_of(Size(8, 16))), [sample(3)], swapped)


def test_a_network_with_more_classes_than_its_spec_is_refused() -> None:
    with pytest.raises(ModelError, match="gives class id 2, but its spec names 2 classes"):
        evaluate(Painter(spec_of(Size(8, 16)), value=2), [sample(3)], TWO_CLASSES)


def test_progress_counts_pictures_on_a_terminal_and_is_silent_elsewhere() -> None:
    for terminal in (True, False):
        shown = io.StringIO()
        with evaluation_progress(BATCH + 1, Console(file=shown, force_terminal=terminal, width=80)) as show:
            evaluate(Painter(spec_of(Size(8, 16)), value=0), [sample(3)] * (BATCH + 1), TWO_CLASSES, show)
        assert (f"{BATCH + 1}/{BATCH + 1}" in shown.getvalue()) == terminal


def test_a_keras_predictor_takes_pictures_of_any_size_and_number() -> None:
    model = build_model("unet", Size(16, 24), 2, width=0.0625)
    predictor = KerasPredictor(model, spec_of(Size(16, 24)))
    images = [np.full((30 + i, 50, 3), 20 * i, np.uint8) for i in range(BATCH + 3)]
    class_maps = predictor.predict(images)
    assert [class_map.shape for class_map in class_maps] == [(16, 24)] * (BATCH + 3)
    assert class_maps[0].dtype == np.uint8
    one_by_one = [predictor.predict([image])[0] for image in images]
    assert all(np.array_equal(a, b) for a, b in zip(class_maps, one_by_one, strict=True))


def test_what_cannot_be_loaded_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    run = tmp_path / "run"
    run.mkdir()
    build_model("unet", Size(8, 8), 2, width=0.0625).save(run / "model.keras")
    (tmp_path / "model.txt").write_text("")
    for path, expected in [
        (tmp_path / "nowhere", "no such model"),
        (tmp_path / "empty", "no model.keras"),
        (tmp_path / "model.txt", "expected a run directory"),
        (run, r"spec\.json: cannot be read"),
    ]:
        with pytest.raises(ModelError, match=expected) as caught:
            load_predictor(path)
        assert "\n" not in str(caught.value)
    (run / "spec.json").write_text(spec_of(Size(16, 16)).to_json())
    with pytest.raises(ModelError, match=r"output \(None, 8, 8, 2\), but its spec.json says \(None, 16, 16, 2\)"):
        load_predictor(run)
    (run / "spec.json").write_text(spec_of(Size(8, 8)).to_json())
    assert load_predictor(run / "model.keras").spec.input_size == Size(8, 8)
    (run / "model.keras").write_bytes(b"PK")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_predictor(run)


THREE = ClassMap(("a", "b", "c"), ((0, 0, 0), (1, 1, 1), (2, 2, 2)))


def test_metrics_of_a_hand_worked_matrix_with_an_absent_class() -> None:
    matrix = ConfusionMatrix(THREE)
    matrix.add(np.array([[0, 0, 0, 1], [1, 255, 255, 0]], np.uint8), np.array([[0, 0, 1, 1], [0, 0, 2, 0]], np.uint8))
    scores = matrix.scores()
    # truth a: 3 right, 1 as b; truth b: 1 right, 1 as a; c occurs only where the truth is ignored.
    assert matrix.counts.tolist() == [[3, 1, 0], [1, 1, 0], [0, 0, 0]]
    assert scores.iou == {"a": pytest.approx(3 / 5), "b": pytest.approx(1 / 3), "c": None}
    assert scores.miou == pytest.approx((3 / 5 + 1 / 3) / 2)
    assert scores.pixel_accuracy == pytest.approx(4 / 6)
    assert scores.frequency_weighted_iou == pytest.approx((4 * 3 / 5 + 2 * 1 / 3) / 6)
    np.testing.assert_allclose(scores.shares(), [4 / 6, 2 / 6, 0])


@pytest.mark.parametrize("seed", range(6))
def test_metrics_agree_with_keras(seed: int) -> None:
    """Of 3 to 8 classes some occur in neither truth nor prediction, some in one of them."""
    random = np.random.default_rng(seed)
    count = 3 + seed
    classes = ClassMap(tuple(map(str, range(count))), ((0, 0, 0),) * count)
    in_truth, in_prediction = random.choice(count, (2, max(2, count // 2)))
    truth = random.choice(np.array([*in_truth, 255], np.uint8), (3, 20, 30))
    guessed = random.choice(in_prediction.astype(np.uint8), truth.shape)
    predicted = np.where((random.random(truth.shape) < 0.7) & (truth != 255), truth, guessed)
    matrix = ConfusionMatrix(classes)
    theirs = keras.metrics.MeanIoU(num_classes=count, ignore_class=255)
    each_class = [keras.metrics.IoU(count, [index], ignore_class=255) for index in range(count)]
    for one_truth, one_predicted in zip(truth, predicted, strict=True):
        matrix.add(one_truth, one_predicted)
        for metric in (theirs, *each_class):
            metric.update_state(one_truth, one_predicted)
    scores = matrix.scores()
    assert scores.miou == pytest.approx(float(theirs.result()), abs=1e-6)
    for ours, metric in zip(scores.iou.values(), each_class, strict=True):
        assert (ours or 0.0) == pytest.approx(float(metric.result()), abs=1e-6)
    assert scores.images == 3
    assert None in scores.iou.values() or count < 5


def test_pictures_are_ranked_by_their_own_mean_iou() -> None:
    scores = evaluate(Painter(spec_of(Size(8, 16)), value=1), [sample(64), sample(16), sample(48)], TWO_CLASSES)
    assert [each.miou for each in scores.worst(2)] == [pytest.approx(0.125), pytest.approx(0.375)]
    assert [each.pixel_accuracy for each in scores.pictures] == [1, 0.25, 0.75]


def written(run: Path, model: Any, spec: ModelSpec) -> Path:
    run.mkdir()
    model.save(run / "model.keras")
    (run / "spec.json").write_text(spec.to_json())
    return run


def test_another_size_is_the_same_network_on_another_input(tmp_path: Path) -> None:
    small, large = Size(32, 64), Size(64, 96)
    model, other = (build_model("fcn8", size, 3, width=0.0625) for size in (small, large))
    other.set_weights(model.get_weights())
    spec = replace(spec_of(small, THREE), architecture="fcn8", encoder="vgg16")
    run = written(tmp_path / "run", model, spec)
    image = np.random.default_rng(1).integers(0, 255, (50, 70, 3), dtype=np.uint8)
    with load_predictor(run, size=large) as predictor:
        assert predictor.spec.input_size == large
        found = predictor.predict([image])[0]
    np.testing.assert_array_equal(found, KerasPredictor(other, replace(spec, input_size=large)).predict([image])[0])
    with pytest.raises(UsageError, match="multiples of 32; 65x64 is not: use 96x64"):
        load_predictor(run, size=Size(64, 65))


def test_another_size_is_one_that_the_run_s_own_network_takes(tmp_path: Path) -> None:
    """An encoder has another stride than the architecture's usual one."""
    network = NetworkOptions("unet", "compact", width=0.1, score_stride=4)
    model = build_model(network, Size(64, 96), 3)
    spec = replace(spec_of(Size(64, 96), THREE), encoder="compact", options=network.to_document())
    run = written(tmp_path / "run", model, spec)
    with pytest.raises(UsageError, match="multiples of 32; 96x72 is not: use 96x96"):
        load_predictor(run, size=Size(72, 96))


def test_a_flipped_average_does_not_know_left_from_right(tmp_path: Path) -> None:
    seed_weights(0)
    model = build_model("unet", Size(16, 24), 3, width=0.0625)
    run = written(tmp_path / "run", model, spec_of(Size(16, 24), THREE))
    image = np.random.default_rng(2).integers(0, 255, (16, 24, 3), dtype=np.uint8)
    mirrored = np.ascontiguousarray(image[:, ::-1])
    with load_predictor(run) as plain, load_predictor(run, flip=True) as averaged:
        one, other = averaged.predict([image, mirrored])
        assert (one == other[:, ::-1]).mean() > 0.99  # but for ties
        one, other = plain.predict([image, mirrored])
        assert (one == other[:, ::-1]).mean() < 0.99


def test_the_command_writes_scores_and_a_report(tmp_path: Path) -> None:
    camvid = write_camvid(tmp_path / "camvid", train=1, val=2)
    classes = open_dataset(f"camvid:{camvid}").classes
    model = build_model("unet", Size(16, 24), len(classes), width=0.0625)
    run = written(tmp_path / "run", model, spec_of(Size(16, 24), classes))
    out = tmp_path / "out"
    command = ["evaluate", str(run), "--data", f"camvid:{camvid}", "--out", str(out), "--size", "48x32"]
    done = CliRunner().invoke(cli, command, standalone_mode=False)
    assert done.exception is None, done.exception
    assert {path.name for path in out.iterdir()} == {"report.html", "confusion.png", "worst.png", "scores.json"}
    scores = Scores.from_document(json.loads((out / "scores.json").read_text()))
    assert scores.images == len(scores.pictures) == 2
    assert f"mean IoU {scores.miou:.4f}" in done.output
    assert "Bicyclist" in done.output
    assert "lowest mean IoU:" in done.output
    assert "48x32" in (out / "report.html").read_text()


class StubEngine:
    """Stands for a runtime engine: a camera graph that takes 40x20 frames and calls what is brighter than 127 light."""

    spec = spec_of(Size(8, 8), fit="crop")
    frame_size = Size(20, 40)
    closed = False

    def __enter__(self) -> StubEngine:
        return self

    def __exit__(self, *exception: object) -> None:
        StubEngine.closed = True

    def run(self, frame: Image) -> SimpleNamespace:
        assert frame.shape == (20, 40, 3)
        assert frame.flags.c_contiguous
        middle = frame[:, 10:30, 0]
        return SimpleNamespace(class_map=(middle[1::5, 1::5] > 127).astype(np.uint8).repeat(2, 0).repeat(2, 1))


def test_an_onnx_file_is_asked_through_the_runtime_s_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").touch()
    opened = []

    def load_engine(path: Path, settings: EngineSettings, *_: object, **__: object) -> StubEngine:
        opened.append((path.name, settings.backend))
        return StubEngine()

    monkeypatch.setattr("edgeseg.runtime.engines.choose.load_engine", load_engine)
    class_map = np.zeros((40, 80), np.uint8)
    class_map[:, 40:] = 1
    class_map[:, :20] = class_map[:, 60:] = 255  # what `crop` cuts away would be wrong, if it were counted
    half = ArraySample(np.repeat(np.uint8(255) * (class_map[..., None] == 1), 3, axis=2), class_map)
    with load_predictor(tmp_path / "model.onnx", EngineSettings(backend="onnxruntime-cpu")) as predictor:
        assert predictor.placement(Size(40, 80)).source == (20, 0, 40, 40)
        assert evaluate(predictor, [half], TWO_CLASSES).miou == 1
    assert opened == [("model.onnx", "onnxruntime-cpu")]
    assert StubEngine.closed
