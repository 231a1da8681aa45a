"""The step: what moves the weights, by how much, and when nothing does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgeseg.training.losses
from edgeseg.core.geometry import Size
from edgeseg.models.build import build_model, seed_weights
from edgeseg.tf import keras, tf
from edgeseg.training.optimiser import FusedAdam, FusedAdamW, make_optimizer
from tests.helpers.steps import Steps
from tests.helpers.training import tiny_settings


@pytest.mark.parametrize(
    ("name", "kind", "decays"), [("adamw", "FusedAdamW", True), ("adam", "FusedAdam", False), ("sgd", "SGD", True)]
)
def test_only_kernels_decay_and_only_where_they_should(name: str, kind: str, decays: bool) -> None:
    steps = Steps(optimizer=name, momentum=0.8)
    model, optimizer = steps.model, steps.optimizer
    assert type(optimizer).__name__ == kind
    assert bool(optimizer.weight_decay) == decays
    if decays:
        assert {each.name for each in model.trainable_variables if optimizer._use_weight_decay(each)} == {"kernel"}
    if name == "sgd":
        assert (optimizer.momentum, optimizer.nesterov) == (0.8, True)


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_the_encoder_has_its_share_of_the_rate_and_the_rest_the_whole(name: str) -> None:
    moved = {}
    for share in (1.0, 0.1):
        settings = tiny_settings(Path("/"), optimizer=name, encoder_rate=share, weight_decay=0)
        seed_weights(0)
        model = build_model("unet", Size(32, 32), 3, encoder="compact", width=0.125, score_stride=4)
        optimizer = make_optimizer(settings, model)
        before = [variable.numpy() for variable in model.trainable_variables]
        optimizer.apply_gradients([(tf.ones(each.shape), each) for each in model.trainable_variables])
        moved[share] = {
            variable.path: np.abs(variable.numpy() - value).max()
            for variable, value in zip(model.trainable_variables, before, strict=True)
        }
    shares = {path: moved[0.1][path] / moved[1.0][path] for path in moved[1.0]}
    for path, share in shares.items():
        is_decoder = path.startswith(("up", "score_", "logits"))
        assert share == pytest.approx(1.0 if is_decoder else 0.1, rel=2e-3), path
    assert {path.split("/")[0] for path in shares} > {"stem1", "block6_conv2", "up5", "score_decoded", "logits"}


@pytest.mark.parametrize("decay", [None, 0.1])
def test_the_fused_optimiser_is_keras_s(decay: float | None) -> None:
    fused, published = (FusedAdamW, keras.optimizers.AdamW) if decay else (FusedAdam, keras.optimizers.Adam)
    random = np.random.default_rng(0)
    start = random.normal(size=(5, 7)).astype(np.float32)
    gradients = random.normal(size=(30, 5, 7)).astype(np.float32) * 10.0 ** random.integers(-6, 3, (5, 7))
    ends, states = [], []
    for kind in (fused, published):
        variable = keras.Variable(start, name="kernel")
        optimizer = kind(1e-2, beta_2=0.99, weight_decay=decay)
        optimizer.build([variable])

        for rate, gradient in zip(np.linspace(1e-2, 1e-4, 30), gradients, strict=True):
            optimizer.learning_rate = rate
            optimizer.apply_gradients([(tf.constant(gradient, tf.float32), variable)])
        ends.append(variable.numpy())
        states.append([(each.name, each.shape) for each in optimizer.variables])
    assert np.abs(ends[1] - start).max() > 0.05
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-5, atol=1e-6)
    assert states[0] == states[1]  # a checkpoint of the one is one of the other


def test_the_step_uses_the_fused_kernel_and_a_checkpoint_of_keras_s_optimiser_is_one_of_it(tmp_path: Path) -> None:
    variable = keras.Variable(np.ones(3, np.float32), name="kernel")
    published, fused = (kind(1e-2) for kind in (keras.optimizers.AdamW, FusedAdamW))
    for optimizer in (published, fused):
        optimizer.build([variable])
    update = tf.function(lambda gradient: fused.apply_gradients([(gradient, variable)]))
    graph = update.get_concrete_function(tf.TensorSpec(3)).graph
    assert "ResourceApplyAdam" in {operation.type for operation in graph.get_operations()}
    for _ in range(3):
        published.apply_gradients([(tf.ones(3), variable)])
    path = tf.train.Checkpoint(optimizer=published).save(str(tmp_path / "ckpt"))
    tf.train.Checkpoint(optimizer=fused).restore(path).assert_consumed()
    for one, other in zip(published.variables, fused.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    assert int(fused.iterations.numpy()) == 3


def poison(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give cross-entropy a gradient that is no number."""

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def poisoned(x: Any) -> Any:
        return x, lambda upstream: upstream * float("nan")

    monkeypatch.setattr(
        edgeseg.training.losses, "cross_entropy", lambda pixels, _: poisoned(tf.reduce_mean(pixels.cross_entropy))
    )


def test_gradients_that_are_no_numbers_move_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    poison(monkeypatch)
    steps = Steps()
    before = steps.trained
    assert np.isnan(steps())
    assert steps.steps == 0
    for now, value in zip(steps.trained, before, strict=True):
        np.testing.assert_array_equal(now, value)


def test_float16_passes_over_an_overflow_lowers_its_scale_and_gives_up_at_one(monkeypatch: pytest.MonkeyPatch) -> None:
    poison(monkeypatch)
    steps = Steps(precision="mixed_float16")
    before, scale = steps.trained, float(steps.scale.value)
    assert np.isfinite(steps())
    assert (steps.steps, float(steps.scale.value)) == (1, scale / 2)  # counted: the data goes on
    for now, value in zip(steps.trained, before, strict=True):
        np.testing.assert_array_equal(now, value)
    steps.scale.value.assign(1.0)
    assert np.isnan(steps())


def test_float16_s_scale_changes_no_step_and_grows() -> None:
    """Of SGD: Adam would not show a factor."""
    plain, scaled = (Steps(optimizer="sgd", learning_rate=1e-3, precision="mixed_float16") for _ in range(2))
    scaled.scale.value.assign(64.0)
    plain.scale.value.assign(1.0)
    scaled.scale._good_steps.assign(1999)
    assert plain() == pytest.approx(scaled(), rel=1e-3)
    assert float(scaled.scale.value) == 128
    for one, other in zip(plain.weights, scaled.weights, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


def test_gradients_are_clipped_to_their_global_norm() -> None:
    steps = Steps(optimizer="sgd", momentum=0.0, weight_decay=0.0, learning_rate=1.0, clip_norm=0.01)
    before = steps.trained
    steps()
    moved = [now - value for now, value in zip(steps.trained, before, strict=True)]
    assert np.sqrt(sum((each.astype(float) ** 2).sum() for each in moved)) == pytest.approx(0.01, rel=1e-3)


def test_the_average_follows_weights_and_statistics() -> None:
    steps = Steps(ema=0.9)
    first = [variable.numpy() for variable in steps.model.weights]
    steps()
    second = [variable.numpy() for variable in steps.model.weights]
    assert any(
        "moving" in variable.path and now.any() for variable, now in zip(steps.model.weights, second, strict=True)
    )
    for average, before, now in zip(steps.kept.weights, first, second, strict=True):
        np.testing.assert_allclose(average.numpy(), before * 2 / 11 + now * 9 / 11, atol=1e-6)  # (1 + 1) / (10 + 1)


def test_xla_computes_the_same() -> None:
    plain, compiled = Steps(), Steps(xla=True)
    assert [plain(), plain()] == pytest.approx([compiled(), compiled()], rel=1e-3)


def test_parts_of_a_batch_add_up_to_it() -> None:
    """Without Dice and batch norm, whose statistics are the parts'."""
    whole, parts = (Steps(n, False, loss="cross_entropy", optimizer="sgd", learning_rate=1e-2) for n in (1, 3))
    assert whole() == pytest.approx(parts(), rel=1e-5)
    for one, other in zip(whole.weights, parts.weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
