"""The report of an export: what was written and how it was proven, as JSON, as lines of text and as a picture."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from edgeseg.core.geometry import place
from edgeseg.core.spec import ModelSpec
from edgeseg.drawing.overlay import colourise
from edgeseg.export.precision.speed import Speed
from edgeseg.export.proof import Parity, Worst
from edgeseg.export.settings import Limits
from edgeseg.export.tensorrt_check import Readiness
from edgeseg.export.upsampling import Upsampling, table

_DIFFERENT = (0, 0, 255)  # BGR
_FADE = 0.35
_CAPTION = 20  # pixels


@dataclass(frozen=True)
class ExportReport:
    """What was written, and how it was proven.

    Attributes:
        onnx: the file; empty if it was refused.
        bytes: its size.
        precision: `fp32`, `fp16` or `int8`.
        camera_size: frames that it takes; empty for the raw network.
        network_size: the network's own input.
        upsampling: its transposed convolutions.
        parity: its agreement with the Keras model.
        limits: what that had to hold to.
        tensorrt: whether TensorRT would take it.
        cpu: how fast the file is beside float32; None for float32 itself and for what was refused.
        versions: of edgeseg and the libraries that made it.
        int8_form: `tensorrt` or `cpu`; empty for other precisions.
        refused: why it was not written; empty if it was.
    """

    onnx: str
    bytes: int
    precision: str
    camera_size: str
    network_size: str
    upsampling: list[Upsampling]
    parity: Parity
    limits: Limits
    tensorrt: Readiness
    versions: dict[str, str]
    cpu: Speed | None = None
    int8_form: str = ""
    refused: str = ""

    @classmethod
    def of(
        cls,
        target: Path,
        written: Path,
        spec: ModelSpec,
        limits: Limits,
        upsampling: list[Upsampling],
        parity: Parity,
        readiness: Readiness,
        cpu: Speed | None = None,
        int8_form: str = "",
    ) -> ExportReport:
        return cls(
            onnx=str(target),
            bytes=written.stat().st_size,
            precision=spec.precision,
            camera_size=str(spec.camera_size or ""),
            network_size=str(spec.input_size),
            upsampling=upsampling,
            parity=parity,
            limits=limits,
            tensorrt=readiness,
            versions=spec.versions,
            cpu=cpu,
            int8_form=int8_form,
        )

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"

    def proof(self) -> list[str]:
        """Return how it is known that the file gives the model's masks."""
        parity, limits = self.parity, self.limits
        error = "" if limits.logit_error is None else f", a logit error of {limits.logit_error:g} of their range"
        lines = [
            f"{parity.equal_pixels:.3%} of pixels as the Keras model's over {parity.frames} frames, "
            f"{parity.worst_equal_pixels:.3%} in the worst; greatest logit error {parity.logit_error:.2g} "
            f"of a range of {parity.logit_range:.3g}",
            f"limits that it was held to: {limits.equal_pixels:.2%} of pixels, {limits.miou_loss:g} points of mean IoU"
            f"{error}",
        ]
        if parity.miou_model is not None and parity.miou_file is not None:
            lines.append(f"mean IoU on these frames {parity.miou_file:.4f}, the Keras model's {parity.miou_model:.4f}")
        return [*lines, self.tensorrt.verdict]

    def lines(self) -> list[str]:
        """Return what a user reads."""
        takes = f"frames of {self.camera_size}, " if self.camera_size else "float NCHW pixels, "
        parity = self.parity
        lines = [*table(self.upsampling)] if self.upsampling else []
        lines.append(
            f"{parity.equal_pixels:.3%} of pixels as the Keras model's over {parity.frames} frames; greatest logit "
            f"error {parity.logit_error:.2g} of a range of {parity.logit_range:.3g}"
        )
        if parity.miou_model is not None and parity.miou_file is not None:
            worst = min(parity.iou_difference, key=lambda name: parity.iou_difference[name])
            lines.append(
                f"mean IoU on these frames {parity.miou_file:.4f}, the model's {parity.miou_model:.4f}; "
                f"worst class {worst} {parity.iou_difference[worst]:+.2f} points"
            )
        if self.cpu is not None:
            lines.append(self.cpu.line(self.precision, self.int8_form))
        lines.append(self.tensorrt.verdict)
        if self.tensorrt.layers:
            layers = sorted(self.tensorrt.layers.items(), key=lambda item: -item[1])
            lines.append(f"its layers: {', '.join(f'{count} {kind}' for kind, count in layers)}")
        for version, faults in self.tensorrt.refused_by_rules.items():
            lines += [f"warning: {version}: {fault}" for fault in faults[:3]]
        size = f"{self.bytes / 1e6:.1f} MB"
        lines.append(f"{self.onnx}: {self.precision}, {size}, {takes}network {self.network_size}")
        return lines


def draw_worst(worst: Worst, spec: ModelSpec, path: Path) -> None:
    """Write a PNG: the frame as the network sees it, the differing pixels in red, and both class maps in colour."""
    frame = worst.frame.pixels
    placement = place(spec.camera_size or spec.input_size, spec.input_size, spec.fit, spec.crop)
    source, target = placement.source, placement.target
    seen = np.zeros((*spec.input_size, 3), np.uint8)
    part = frame[source.y : source.y + source.height, source.x : source.x + source.width]
    seen[target.y : target.y + target.height, target.x : target.x + target.width] = cv2.resize(
        part, (target.width, target.height), interpolation=cv2.INTER_AREA
    )
    marked = (seen * _FADE).astype(np.uint8)
    marked[worst.wanted != worst.written] = _DIFFERENT
    rows = [[seen, marked], [colourise(each, spec.classes) for each in (worst.wanted, worst.written)]]
    captions = [[Path(worst.frame.name).name, f"{1 - worst.equal:.3%} differ"], ["Keras model", "ONNX file"]]
    for row, texts in zip(rows, captions, strict=True):
        for picture, text in zip(row, texts, strict=True):
            picture[:_CAPTION] = 0
            cv2.putText(
                picture, text, (6, _CAPTION - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA
            )
    picture = np.vstack([np.hstack(row) for row in rows])
    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
