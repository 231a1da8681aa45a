"""Learning from a teacher: its probabilities draw the student's, and what cannot teach is said."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from edgeseg.core.errors import ModelError, UsageError
from edgeseg.core.geometry import Size
from edgeseg.models.build import load_model
from edgeseg.models.inputs import network_input
from edgeseg.tf import tf
from edgeseg.training.run_directory import RunDirectory
from edgeseg.training.start import start
from edgeseg.training.teacher import Teacher, distillation
from edgeseg.training.train import train
from tests.helpers.training import tiny_settings, write_camvid, write_untrained

SHAPE = (2, 3, 4, 5)


@pytest.fixture(scope="module")
def camvid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_camvid(tmp_path_factory.mktemp("data") / "camvid", train=4, val=2)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, camvid: Path) -> Path:
    settings = tiny_settings(camvid, model="unet", encoder="compact", width=0.25, score_stride=4, batch_norm="auto")
    return write_untrained(settings, tmp_path_factory.mktemp("runs") / "run")


def softmax(x: Any) -> Any:
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def test_the_divergence_and_its_gradient_are_the_textbook_s() -> None:
    random = np.random.default_rng(0)
    own, taught = random.normal(0, 2, (2, *SHAPE)).astype(np.float32)
    class_maps = random.integers(0, 5, SHAPE[:3], np.uint8)
    class_maps[0, 0] = 255
    own[0, 0, 0] = np.nan  # below an ignored pixel
    logits = tf.constant(own)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = distillation(tf.constant(class_maps), logits, tf.constant(taught), 255)
    labelled = class_maps != 255
    p, q = softmax(taught[labelled].astype(float)), softmax(own[labelled].astype(float))
    np.testing.assert_allclose(loss, (p * np.log(p / q)).sum() / labelled.sum(), rtol=1e-5)
    gradient = tape.gradient(loss, logits).numpy()
    np.testing.assert_allclose(gradient[labelled], (q - p) / labelled.sum(), rtol=1e-3, atol=1e-6)
    assert not gradient[~labelled].any()
    assert float(distillation(tf.constant(class_maps), tf.constant(taught), tf.constant(taught), 255)) == 0
    assert float(distillation(tf.fill(SHAPE[:3], np.uint8(255)), logits, tf.constant(taught), 255)) == 0


def test_a_teacher_sees_windows_as_its_own_spec_says(run: Path) -> None:
    frames = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    teacher = Teacher(run, Size(64, 64))
    expected = load_model(run / "model.keras")(network_input(frames, teacher.spec))
    np.testing.assert_allclose(teacher(frames), expected, rtol=1e-5, atol=1e-5)
    assert Teacher(run, Size(32, 64))(frames[:, :32]).shape == (1, 32, 64, 11)


def test_the_student_becomes_like_its_teacher_and_a_resumed_one_too(camvid: Path, run: Path, tmp_path: Path) -> None:
    """The teacher's masks are noise: with all of the loss, the labels count for nothing."""
    losses = {}
    for share in (1.0, 0.0):
        settings = tiny_settings(
            camvid, encoder="compact", width=0.25, epochs=12, teacher=str(run), teacher_share=share, seed=1
        )
        out = tmp_path / f"{share}"
        train(settings, out, console=Console(file=io.StringIO()))
        history = RunDirectory(out).read_history(until_step=10**9)
        losses[share] = history[-1].loss
        frames = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
        student = load_model(out / "model.keras")(network_input(frames, Teacher(out, Size(64, 64)).spec))
        assert np.isfinite(student).all()
    assert losses[1.0] < 0.9 * losses[0.0]
    again = train(settings, out, resume=True, console=Console(file=io.StringIO()))
    assert again.steps == 12


def test_what_cannot_teach_is_said_before_anything_is_written(camvid: Path, run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "spec.json").write_text((run / "spec.json").read_text().replace('"Fence"', '"Hedge"'))
    for settings, expected in (
        (
            tiny_settings(camvid, teacher=str(other)),
            "knows 11 classes .*Hedge.*; expected the same ones in the same order",
        ),
        (tiny_settings(camvid, teacher=str(tmp_path / "none")), "cannot be read"),
    ):
        with pytest.raises(ModelError, match=expected):
            start(settings, tmp_path / "run", resume=False)
    settings = tiny_settings(camvid, model="unet", size=Size(40, 48), teacher=str(run))
    with pytest.raises(UsageError, match="unet-compact takes sizes that are multiples of 32"):
        start(settings, tmp_path / "run", resume=False)
    assert not (tmp_path / "run").exists()
