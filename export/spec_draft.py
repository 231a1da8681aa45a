"""A first spec for a foreign model, drafted from its tensors; what no file says is guessed and named."""

from __future__ import annotations

from pathlib import Path

from edgeseg.core.errors import ModelError, UsageError
from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap
from edgeseg.core.spec import ModelSpec, Tensors
from edgeseg.data.reading.shapes import distinct_colours
from edgeseg.export.inspection import Inspection
from edgeseg.runtime.engines.graph_form import Tensor

GUESSED = "colour_order, mean and scale (ImageNet's, as in torchvision), the classes' names and colours"
_IMAGENET_MEAN = (123.675, 116.28, 103.53)
_IMAGENET_SCALE = (1 / 58.395, 1 / 57.12, 1 / 57.375)
_MOST_CLASSES = 255


def draft_spec(found: Inspection, size: Size | None = None, classes: int | None = None) -> ModelSpec:
    """Return a spec that fits a model's tensors. What it cannot know is named in GUESSED.

    Args:
        found: of edgeseg.export.inspection.inspect_onnx.
        size: the network's input size, where the file leaves it free.
        classes: their number, where the output does not tell it.

    Raises:
        ModelError: it has no input for pictures, or no output that could be a mask.
        UsageError: size or number of classes must be given.
    """
    picture = next((each for each in found.inputs if _layout(each)), None)
    if picture is None:
        listed = "; ".join(map(str, found.inputs))
        raise ModelError(f"{found.file}: takes {listed}; expected float pixels [1, 3, H, W] or [1, H, W, 3]")
    layout = _layout(picture)
    height, width = picture.shape[2:] if layout == "nchw" else picture.shape[1:3]
    if height and width:
        size = Size(height, width)
    if size is None:
        raise UsageError(f"{found.file}: its input {picture} has a free size; give one by --size WIDTHxHEIGHT")
    output, gives = _mask_output(found)
    number = classes or _number_of_classes(output, gives, layout)
    if number is None:
        raise UsageError(f"{found.file}: its output {output} does not tell how many classes; give them by --classes")
    return ModelSpec(
        name=Path(found.file).stem,
        architecture="foreign",
        encoder="none",
        input_size=size,
        colour_order="rgb",
        mean=_IMAGENET_MEAN,
        scale=_IMAGENET_SCALE,
        classes=ClassMap(tuple(f"class{i}" for i in range(number)), tuple(distinct_colours(number))),
        precision=found.precision,
        tensors=Tensors(picture.name, layout, output.name, gives),
    )


def _layout(tensor: Tensor) -> str:
    if tensor.dtype not in ("float32", "float16") or len(tensor.shape) != 4:
        return ""
    return "nchw" if tensor.shape[1] == 3 else "nhwc" if tensor.shape[3] == 3 else ""


def _mask_output(found: Inspection) -> tuple[Tensor, str]:
    """Return the first output with a value, or one a class, for each pixel, and what it gives."""
    for each in found.outputs:
        last = found.last_operators.get(each.name, "")
        if len(each.shape) in (3, 4) and ("int" in each.dtype or last == "ArgMax"):
            return each, "class_map"
        if len(each.shape) == 4 and "float" in each.dtype:
            return each, "probabilities" if last in ("Softmax", "Sigmoid") else "logits"
    raise ModelError(
        f"{found.file}: gives {'; '.join(map(str, found.outputs))}; expected scores [1, C, h, w] or a class map"
    )


def _number_of_classes(output: Tensor, gives: str, layout: str) -> int | None:
    if gives == "class_map":
        return None
    number = output.shape[1 if layout == "nchw" else 3]
    if number is None or number > _MOST_CLASSES:
        return None
    return 2 if number == 1 else number
