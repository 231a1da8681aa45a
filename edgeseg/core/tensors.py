"""Tensors: how a network that is no camera graph is fed and read. Part of a spec (edgeseg.core.spec)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from edgeseg.core.errors import ModelError
from edgeseg.core.spec_values import check_known, check_texts, is_number

LAYOUTS = ("nchw", "nhwc")
GIVES = ("logits", "probabilities", "class_map")
_OF_GIVES = {"logits": 0.0, "probabilities": 0.5}
_FIRST = ("input", "layout", "output", "gives")


@dataclass(frozen=True)
class Tensors:
    """How a foreign model, or one from `edgeseg export --raw`, is fed and read.

    Attributes:
        input: the input's name; empty for the only one.
        layout: of the input, `nchw` or `nhwc`; its pixels are (pixel - mean) * scale as the spec says, those of a uint8
            input as they come.
        output: the output's name; empty for the first one.
        gives: `logits` or `probabilities` (one channel a class, or one channel for the second of two classes), or a
            `class_map`.
        output_layout: of an output with channels; empty: the channels are the dimension as long as the classes.
        threshold: of one channel, above which a pixel is of the second class; None: 0 of logits, 0.5 of
            probabilities. A mask of 0 and 255 is `probabilities` with a threshold of 127.5.
        align_corners: a smaller output is enlarged with its corner pixels on the picture's (PyTorch's
            `interpolate(align_corners=True)`).
        padding: the grey (0 to 255) beside a picture with the fit `pad`; None: the network's zero, which is the mean.
    """

    input: str = ""
    layout: str = "nchw"
    output: str = ""
    gives: str = "logits"
    output_layout: str = ""
    threshold: float | None = None
    align_corners: bool = False
    padding: float | None = None

    def __post_init__(self) -> None:
        check_texts({"tensors.input": self.input, "tensors.output": self.output})
        check_known("tensors.layout", self.layout, LAYOUTS)
        check_known("tensors.gives", self.gives, GIVES)
        if self.output_layout != "":
            check_known("tensors.output_layout", self.output_layout, LAYOUTS)
        for key, value in (("threshold", self.threshold), ("padding", self.padding)):
            if value is not None and not is_number(value):
                raise ModelError(f"spec: tensors.{key} is {value!r}; expected a finite number")
        if self.padding is not None and not 0 <= self.padding <= 255:
            raise ModelError(f"spec: tensors.padding is {self.padding}; expected a grey of 0 to 255")
        if not isinstance(self.align_corners, bool):
            raise ModelError(f"spec: tensors.align_corners is {self.align_corners!r}; expected true or false")
        if self.threshold is not None and self.gives == "class_map":
            raise ModelError('spec: tensors.threshold of a class map; expected gives "probabilities" or "logits"')

    @property
    def least(self) -> float:
        """What a single channel must exceed."""
        return _OF_GIVES[self.gives] if self.threshold is None else self.threshold

    def to_document(self) -> dict[str, Any]:
        """Return what goes into the spec's JSON; later keys only if set: earlier versions refuse them."""
        default = asdict(Tensors())
        return {key: value for key, value in asdict(self).items() if key in _FIRST or value != default[key]}
