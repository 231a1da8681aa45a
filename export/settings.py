"""How a model is exported. Nothing heavy is imported here: the command's --help reads it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgeseg.core.errors import UsageError
from edgeseg.core.geometry import Crop, Size
from edgeseg.core.settings import check_settings, setting
from edgeseg.core.spec import PRECISIONS

OPSET = 17
OPSETS = (13, 18)  # below, quantisation has no axis; above, tf2onnx 1.17 knows nothing
EQUAL_PIXELS = {"fp32": 0.9999, "fp16": 0.999, "int8": 0.97}
"""The least share of pixels that must be the Keras model's, by precision."""


@dataclass(frozen=True)
class Limits:
    """What the file must hold to: shares of pixels from 0 to 1, mean IoU in points of 100."""

    equal_pixels: float
    miou_loss: float


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
        tensorrt_check: None for: where one of NVIDIA's libraries is installed.
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
    miou_loss: float = setting(1.0, "points of mean IoU, of 100, that may be lost", (0, 100))
    calibrate: str | None = None
    calibrate_split: str = setting("train", "split with the frames for int8's calibration")
    calibrate_frames: int = setting(100, "frames of it that are used", (1, 100_000))
    calibration: str = setting("percentile", "how int8's ranges are chosen", choices=("percentile", "entropy"))
    int8_form: str = setting(
        "tensorrt", "symmetric int8, or ONNX Runtime's own, not for TensorRT", choices=("tensorrt", "cpu")
    )
    int8_budget: int = setting(8, "convolutions that int8 may leave in float to keep the masks", (0, 10_000))
    tensorrt_check: bool | None = None
    report: Path | None = None

    def __post_init__(self) -> None:
        check_settings(self)
        if self.equal_pixels is not None and not 0 <= self.equal_pixels <= 1:
            raise UsageError(f"equal_pixels = {self.equal_pixels}; expected a share from 0 to 1")
        if self.raw and (self.with_confidence or self.camera_size or self.crop):
            raise UsageError("a raw graph has no head and no tail; leave out --camera-size, --crop, --with-confidence")

    @property
    def limits(self) -> Limits:
        share = EQUAL_PIXELS[self.precision] if self.equal_pixels is None else self.equal_pixels
        return Limits(share, self.miou_loss)
