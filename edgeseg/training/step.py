"""One step of training, on however many devices, compiled into one graph."""

from __future__ import annotations

from typing import Any

from edgeseg.core.spec import ModelSpec
from edgeseg.models.inputs import network_input
from edgeseg.tf import tf
from edgeseg.training.distribution import Distribution
from edgeseg.training.losses import SegmentationLoss
from edgeseg.training.optimiser import LossScale
from edgeseg.training.settings import TrainSettings
from edgeseg.training.teacher import Teacher, distillation


class TrainStep:
    """Moves the weights by one batch.

    Calling it takes frames (B, H, W, 3) and class maps (B, H, W), of which every host has the whole batch, and the
    learning rate, a float32 scalar; it returns the loss over the whole batch, a scalar. The loss is nan, and no weight
    is moved, if it or a gradient is not finite: the loss itself shows a bad gradient one step too late. (An overflow of
    float16's gradients is none while the loss scale can be lowered; the step is then passed over, but counted.)

    Args:
        model, kept, optimizer: of edgeseg.training.optimiser; `kept` becomes the moving average if there is one.
        loss: of a replica's part of the batch.
        teacher: what is learned from besides the labels; None: nothing.
        scale: of the loss.
        distribution: over what the batch is shared.
        spec: the model's, for its preprocessing.
        settings: clipping, moving average, XLA.
        parts: each device works on its pictures in so many parts, one after the other, which takes less memory.
            Gradients add up in the shares of the parts' weights: cross-entropy's are the whole batch's, Dice and batch
            norm's statistics are the parts'.
    """

    def __init__(
        self,
        model: Any,
        kept: Any,
        optimizer: Any,
        loss: SegmentationLoss,
        scale: LossScale,
        distribution: Distribution,
        spec: ModelSpec,
        settings: TrainSettings,
        parts: int = 1,
        teacher: Teacher | None = None,
    ) -> None:
        self.teacher = teacher
        self.model, self.kept, self.optimizer, self.loss, self.scale = model, kept, optimizer, loss, scale
        self.distribution, self.spec, self.settings, self.parts = distribution, spec, settings, parts
        self._compiled = tf.function(self._step, jit_compile=settings.xla or None)

    def __call__(self, frames: Any, class_maps: Any, learning_rate: Any) -> Any:
        return self._compiled(self.distribution.parts(frames), self.distribution.parts(class_maps), learning_rate)

    def in_smaller_parts(self) -> TrainStep:
        """Return the same step with twice as many parts."""
        return TrainStep(
            self.model, self.kept, self.optimizer, self.loss, self.scale, self.distribution, self.spec, self.settings,
            self.parts * 2, self.teacher,
        )  # fmt: skip

    def _step(self, frames: Any, class_maps: Any, learning_rate: Any) -> Any:
        self.optimizer.learning_rate = learning_rate
        run, first = self.distribution.strategy.run, self.distribution.first
        losses, norms, gradients = run(self._gradients, args=(frames, class_maps))
        loss, finite = first(losses), tf.math.is_finite(first(norms))
        # Applied out here: Keras leaves the replicas for it, which it may not within a condition.
        if tf.math.is_finite(loss) & finite:
            run(self._apply, args=(gradients,))
            if self.scale.is_dynamic:
                self.scale.on_finite_step()
        elif self.scale.is_dynamic and tf.math.is_finite(loss) and self.scale.value > 1.0:
            self.optimizer.iterations.assign_add(1)
            self.scale.overflowed()
        else:
            loss = tf.constant(float("nan"))
        if self.settings.ema and tf.math.is_finite(loss):
            self._average()
        return loss

    def _gradients(self, frames: Any, class_maps: Any) -> tuple[Any, Any, list[Any]]:
        """Return the whole batch's loss, the norm of its gradients, and these, clipped; in a replica."""
        loss, gradients = self._accumulated(frames, class_maps)
        gradients = self.distribution.summed(gradients)
        if self.scale.is_dynamic:
            gradients = [gradient / self.scale.value for gradient in gradients]
        norm = tf.linalg.global_norm(gradients)
        if self.settings.clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, self.settings.clip_norm, use_norm=norm)
        return loss, norm, gradients

    def _accumulated(self, frames: Any, class_maps: Any) -> tuple[Any, list[Any]]:
        if self.parts == 1:
            loss, _, gradients = self._of_part(frames, class_maps)
            return loss, gradients
        loss_sum, mass_sum, sums = 0.0, 0.0, [tf.zeros_like(each) for each in self.model.trainable_variables]
        for part_frames, part_maps in self._in_parts(frames, class_maps):
            with tf.control_dependencies(sums):  # one after the other, or all would need their memory at once
                part_frames = tf.identity(part_frames)
            loss, mass, gradients = self._of_part(part_frames, part_maps)
            loss_sum, mass_sum = loss_sum + loss * mass, mass_sum + mass
            sums = [total + gradient * mass for total, gradient in zip(sums, gradients, strict=True)]
        return tf.math.divide_no_nan(loss_sum, mass_sum), [tf.math.divide_no_nan(each, mass_sum) for each in sums]

    def _in_parts(self, frames: Any, class_maps: Any) -> Any:
        pictures = frames.shape[0]
        sizes = [pictures * (part + 1) // self.parts - pictures * part // self.parts for part in range(self.parts)]
        return zip(tf.split(frames, sizes), tf.split(class_maps, sizes), strict=True)

    def _of_part(self, frames: Any, class_maps: Any) -> tuple[Any, Any, list[Any]]:
        with tf.GradientTape() as tape:
            logits = self.model(network_input(frames, self.spec), training=True)
            loss, mass = self.loss(class_maps, logits, self.distribution.total)
            if self.teacher:
                taught = self.teacher(frames)
                ignored = self.loss.ignore_index
                divergence = distillation(class_maps, logits, taught, ignored, self.distribution.total)
                loss += self.settings.teacher_share * (divergence - loss)
            scaled = loss * self.scale.value
        return loss, mass, tape.gradient(scaled, self.model.trainable_variables)

    def _apply(self, gradients: list[Any]) -> None:
        self.optimizer.apply_gradients(zip(gradients, self.model.trainable_variables, strict=True))

    def _average(self) -> None:
        """Move the averages of weights and batch-norm statistics; the first steps count for more, as in TensorFlow's.

        The statistics are averaged like the weights that cause them: they would fit no others.
        """
        steps = tf.cast(self.distribution.first(self.optimizer.iterations.value), tf.float32)
        decay = tf.minimum(self.settings.ema, (1 + steps) / (10 + steps))
        for average, variable in zip(self.kept.weights, self.model.weights, strict=True):
            now = tf.cast(self.distribution.first(variable.value), average.dtype)
            average.assign(average * decay + now * (1 - decay))
