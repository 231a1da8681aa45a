"""Is the file what the model was? Its masks and logits on real frames, against the Keras model's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import ModelError
from edgeseg.core.metrics import ConfusionMatrix, Scores
from edgeseg.core.pixels import network_pixels
from edgeseg.core.spec import ModelSpec
from edgeseg.drawing.overlay import enlarge
from edgeseg.export.camera_graph import CLASS_MAP, OUTPUT
from edgeseg.export.frames import Frame
from edgeseg.export.onnx_file import OnnxFile, nchw
from edgeseg.export.settings import Limits

Mask = NDArray[np.uint8]


@dataclass(frozen=True)
class Parity:
    """How far the written file agrees with the Keras model.

    Attributes:
        frames: number of frames compared.
        equal_pixels: share of class-map pixels that are the same, 0 to 1.
        worst_frame: name of the frame that agrees least.
        worst_equal_pixels: its share.
        logit_error: the greatest difference of a logit, of those that are finite.
        logit_range: the greatest logit less the least, of the Keras model.
        not_finite: name of the first frame with logits that are NaN or infinite where the model's are finite, or empty.
        miou_model, miou_file: mean IoU of the two over the classes labelled in these frames; None without labels.
        iou_difference: file less model by class, in points of 100.
    """

    frames: int
    equal_pixels: float
    worst_frame: str
    worst_equal_pixels: float
    logit_error: float
    logit_range: float
    not_finite: str
    miou_model: float | None
    miou_file: float | None
    iou_difference: dict[str, float]

    @property
    def miou_loss(self) -> float:
        """Points of mean IoU, of 100, that the file loses; 0 where there are no labels."""
        return 100 * ((self.miou_model or 0.0) - (self.miou_file or 0.0))

    def fault(self, limits: Limits) -> str | None:
        """Return what is beyond a limit, or None."""
        if self.not_finite:
            return (
                f"the ONNX file gives logits that are NaN or infinite ({self.not_finite}); the Keras model's are finite"
            )
        if self.equal_pixels < limits.equal_pixels:
            return (
                f"the ONNX file gives {self.equal_pixels:.4%} of the Keras model's pixels over {self.frames} frames "
                f"(worst: {self.worst_frame} with {self.worst_equal_pixels:.4%}); expected at least "
                f"{limits.equal_pixels:.2%}"
            )
        if limits.logit_error is not None and self.logit_error > limits.logit_error * self.logit_range:
            return (
                f"a logit of the ONNX file is off by {self.logit_error:.3g}, of a range of {self.logit_range:.3g}, in "
                f"{self.frames} frames; expected at most {limits.logit_error:g} of it (--logit-error)"
            )
        if self.miou_loss > limits.miou_loss:
            return (
                f"the ONNX file loses {self.miou_loss:.2f} points of mean IoU over {self.frames} frames; expected at "
                f"most {limits.miou_loss:g}"
            )
        return None


@dataclass(frozen=True)
class Worst:
    """The frame that agrees least, with both class maps at network size."""

    frame: Frame
    wanted: Mask
    written: Mask
    equal: float


def compare(model: Any, file: OnnxFile, spec: ModelSpec, frames: Iterable[Frame]) -> tuple[Parity, Worst]:
    """Compare masks and logits of the Keras model with those of the written file.

    Args:
        model: keras.Model, computing in float32.
        file: the camera graph with its inner tensor `logits`, or the raw network.
        spec: of the file.
        frames: at least one.

    Raises:
        ModelError: there are no frames.
    """
    equal: list[float] = []
    worst: Worst | None = None
    error = span = 0.0
    not_finite = ""
    matrices = ConfusionMatrix(spec.classes), ConfusionMatrix(spec.classes)
    for frame in frames:
        pixels = network_pixels(frame.pixels, spec)
        logits = np.asarray(model(pixels[np.newaxis], training=False))[0]
        outputs = file.run(nchw(pixels) if spec.camera_size is None else frame.pixels[np.newaxis])
        written_logits = outputs[OUTPUT][0].transpose(1, 2, 0)
        wanted = logits.argmax(-1).astype(np.uint8)
        written = outputs[CLASS_MAP][0] if CLASS_MAP in outputs else written_logits.argmax(-1).astype(np.uint8)
        finite = np.isfinite(written_logits) | ~np.isfinite(logits)
        not_finite = not_finite or ("" if finite.all() else frame.name)
        error = max(error, float(np.abs(written_logits - logits).max(initial=0.0, where=finite)))
        span = max(span, float(np.ptp(logits)))
        equal.append(float(np.mean(wanted == written)))
        if worst is None or equal[-1] < worst.equal:
            worst = Worst(frame, wanted, written, equal[-1])
        if frame.truth is not None:
            for matrix, class_map in zip(matrices, (wanted, written), strict=True):
                matrix.add(frame.truth, enlarge(class_map, frame.placement))
    if worst is None:
        raise ModelError("no frames to compare the export with; give a data set with pictures by --check")
    model_scores, file_scores = (matrix.scores() for matrix in matrices)
    labelled = bool(model_scores.pictures)
    difference = {
        name: 100 * ((file_scores.iou[name] or 0.0) - value)
        for name, value in model_scores.iou.items()
        if value is not None
    }
    parity = Parity(
        frames=len(equal),
        equal_pixels=float(np.mean(equal)),
        worst_frame=worst.frame.name,
        worst_equal_pixels=worst.equal,
        logit_error=error,
        logit_range=span,
        not_finite=not_finite,
        miou_model=_labelled_miou(model_scores) if labelled else None,
        miou_file=_labelled_miou(file_scores) if labelled else None,
        iou_difference=difference if labelled else {},
    )
    return parity, worst


def _labelled_miou(scores: Scores) -> float:
    """Mean IoU over the classes that are labelled: one pixel of another one would weigh as much as a whole class."""
    found = [scores.iou[name] or 0.0 for name, share in zip(scores.iou, scores.shares(), strict=True) if share > 0]
    return float(np.mean(found)) if found else 0.0
