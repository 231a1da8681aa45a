"""How a model is exported. Nothing heavy is imported here: the command's --help reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeseg.core.errors import UsageError
from edgeseg.core.geometry import Crop, Size
from edgeseg.core.numbers import Range, shortened
from edgeseg.core.settings import check_settings, setting
from edgeseg.core.spec import PRECISIONS

OPSET = 17
OPSETS = (13, 18)  # below, quantisation has no axis; above, tf2onnx 1.17 knows nothing
EQUAL_PIXELS = {"fp32": 0.9999, "fp16": 0.999, "int8": 0.97}
"""The least share of pixels that must be the Keras model's, by precision."""
LOGIT_ERRORS = {"fp32": 0.01, "fp16": 0.05, "int8": None}
"""The greatest error of a logit, as a share of the logits' range, by precision; int8 is held to the masks alone."""
LOGIT_ERROR_RANGE = Range(0, 1e6)


@dataclass(frozen=True)
class Limits:
    """What the file must hold to: shares of pixels and of the logits' range (None: any), mean IoU in points of 100."""

    equal_pixels: float
    miou_loss: float
    logit_error: float | None = None


@dataclass(frozen=True)
class ExportSettings:
    """How a model is exported. Raises UsageError for a value that makes no sense.

    Attributes:
        camera_size: frames that the graph takes; None for the network's own size.
        crop: part of the frame that is used; None for the run's own.
        fit: how the frame's shape meets the network's; None for the run's own.
        check: data argument with the frames for the proof; None for the run's data.
        calibrate: data argument with the frames for int8's calibration; None for the run's data.
        equal_pixels: the least share of pixels that must be the model's; None for the precision's own limit.
        logit_error: the greatest error of a logit, as a share of their range; None for the precision's own limit.
        keep_float: names of layers that fp16 leaves in float32, and int8 in float.
        tensorrt_check: None for: where one of NVIDIA's libraries is installed.
        scores: of `edgeseg evaluate --json`, for the model card; without any, the training's own.
        report: JSON file for the report; a picture of the worst frame comes beside it.
    """

    camera_size: Size | None = None
    crop: Crop | None = None
    fit: str | None = None
    with_confidence: bool = setting(False, "add the output confidence, 255 x the softmax maximum")
    check: str | None = None
    check_split: str = setting("val", "split with the frames for the proof")
    check_frames: int = setting(16, "frames of it that are compared", (1, 100_000))
    precision: str = setting("fp32", "what the graph computes in", choices=PRECISIONS)
    raw: bool = setting(False, "write the network alone: float NCHW in, logits out, for other tools")
    opset: int = setting(OPSET, "version of the ONNX operators; 17 is the newest that TensorRT 8.6 reads", OPSETS)
    deconvolution: str = setting(
        "dense",
        "how a kernel for each pair of classes is written that is 0 but between equal ones; one for each class is "
        "always grouped",
        choices=("dense", "grouped"),
    )
    equal_pixels: float | None = None
    logit_error: float | None = None
    keep_float: Sequence[str] = ()
    miou_loss: float = setting(1.0, "points of mean IoU, of 100, that may be lost", (0, 100))
    calibrate: str | None = None
    calibrate_split: str = setting("train", "split with the frames for int8's calibration")
    calibrate_frames: int = setting(100, "frames of it that are used", (1, 100_000))
    calibration: str = setting("percentile", "how int8's ranges are chosen", choices=("percentile", "entropy"))
    int8_form: str = setting(
        "tensorrt",
        "int8 as TensorRT wants it, or as ONNX Runtime's CPU engine does, which TensorRT refuses",
        choices=("tensorrt", "cpu"),
    )
    int8_rest: str = setting(
        "fp16", "what computes in int8's tensorrt form that is not quantised", choices=("fp16", "fp32")
    )
    float_budget: int = setting(8, "layers that fp16 and int8 may leave in float to keep the masks", (0, 10_000))
    tensorrt_check: bool | None = None
    scores: Sequence[Path] = ()
    report: Path | None = None

    def __post_init__(self) -> None:
        check_settings(self)
        if self.equal_pixels is not None and not 0 <= self.equal_pixels <= 1:
            raise UsageError(f"equal_pixels = {self.equal_pixels}; expected a share from 0 to 1")
        if self.logit_error is not None and self.logit_error not in LOGIT_ERROR_RANGE:
            raise UsageError(
                f"logit_error = {shortened(self.logit_error)}; expected {LOGIT_ERROR_RANGE}, a share of their range"
            )
        if self.keep_float and self.precision == "fp32":
            raise UsageError("--keep-float names layers that fp16 or int8 leave in float; add --precision fp16 or int8")
        if self.raw and (self.with_confidence or self.camera_size or self.crop):
            raise UsageError("a raw graph has no head and no tail; leave out --camera-size, --crop, --with-confidence")

    @property
    def limits(self) -> Limits:
        share = EQUAL_PIXELS[self.precision] if self.equal_pixels is None else self.equal_pixels
        error = LOGIT_ERRORS[self.precision] if self.logit_error is None else self.logit_error
        return Limits(share, self.miou_loss, error)
