"""A first spec for a foreign model, drafted from its tensors; what no file says is guessed and named in the spec."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgeseg.core.errors import ModelError, UsageError
from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap
from edgeseg.core.spec import ModelSpec
from edgeseg.core.tensors import Tensors
from edgeseg.data.reading.shapes import distinct_colours
from edgeseg.export.foreign.outputs import MaskOutput, NotAMask, is_auxiliary, lists_objects, read_output
from edgeseg.export.inspection import Inspection, outputs_at
from edgeseg.runtime.engines.graph_form import Tensor

_PIXELS = ("float32", "float16", "float64", "uint8")
_IMAGENET_MEAN = (123.675, 116.28, 103.53)
_IMAGENET_SCALE = (1 / 58.395, 1 / 57.12, 1 / 57.375)


@dataclass(frozen=True)
class Draft:
    """A spec that fits a model's tensors.

    Attributes:
        spec: with what is guessed.
        chosen: how the output is read that was taken for the mask.
        others: a line for each other output: what it is, or why it is none.
    """

    spec: ModelSpec
    chosen: MaskOutput
    others: list[str]


def draft_spec(
    found: Inspection, size: Size | None = None, classes: int | None = None, output: str | None = None
) -> Draft:
    """Draft the spec of a foreign model: ImageNet's normalisation, as in torchvision, unless the input is of bytes.

    Args:
        found: of edgeseg.export.inspection.inspect_onnx.
        size: the network's input size, where the file leaves it free.
        classes: their number, where the output does not tell it.
        output: the name of the output that is the mask; None: the likeliest.

    Raises:
        ModelError: it has no input for pictures, or no output that could be a mask.
        UsageError: size, number of classes or another output must be given.
    """
    picture, layout, channels = _picture(found)
    height, width = picture.shape[2:] if layout == "nchw" else picture.shape[1:3]
    if height and width:
        size = Size(height, width)
    if size is None:
        raise UsageError(f"{found.file}: its input {picture} has a free size; give one by --size WIDTHxHEIGHT")
    _check_task(found)
    shape = (1, channels, *size) if layout == "nchw" else (1, *size, channels)
    outputs = outputs_at(found, picture, shape)
    chosen, others, is_one_of_many = _mask_output(found, outputs, size, layout, output)
    number = chosen.classes or classes
    if number is None:
        raise UsageError(
            f"{found.file}: its output {chosen.tensor} does not tell how many classes; give them by --classes"
        )
    is_bytes, is_grey = picture.dtype == "uint8", channels == 1
    mean, scale = ((0.0,) * channels, (1.0,) * channels) if is_bytes else (_IMAGENET_MEAN, _IMAGENET_SCALE)
    if is_grey and not is_bytes:
        mean, scale = (0.0,), (1 / 255,)
    named = _names_in_file(found, number)
    guessed = [] if is_grey else ["colour_order"]
    guessed += [] if is_bytes else ["mean", "scale"]
    guessed += [] if named else ["classes"]
    guessed += ["tensors.output"] if is_one_of_many else []
    spec = ModelSpec(
        name=Path(found.file).stem,
        architecture="foreign",
        encoder="none",
        input_size=size,
        colour_order="grey" if is_grey else "rgb",
        mean=mean,
        scale=scale,
        classes=ClassMap(named or default_names(number), tuple(distinct_colours(number))),
        precision=found.precision,
        tensors=Tensors(picture.name, layout, chosen.tensor.name, chosen.gives, chosen.layout, chosen.threshold),
        guessed=(*guessed, *chosen.guessed),
    )
    return Draft(spec, chosen, others)


def default_names(number: int) -> tuple[str, ...]:
    """Return names for classes of which nothing is known."""
    return tuple(f"class{index}" for index in range(number))


def _picture(found: Inspection) -> tuple[Tensor, str, int]:
    """Return the input for pictures, its layout and its number of channels."""
    for channels in (3, 1):
        for each in found.inputs:
            if each.dtype in _PIXELS and len(each.shape) == 4 and channels in (each.shape[1], each.shape[3]):
                return each, "nchw" if each.shape[1] == channels else "nhwc", channels
    listed = "; ".join(map(str, found.inputs))
    raise ModelError(f"{found.file}: takes {listed}; expected float or uint8 pixels [1, 3, H, W] or [1, H, W, 3]")


def _check_task(found: Inspection) -> None:
    """Ultralytics writes into a file what it was trained for."""
    task = found.metadata.get("task")
    if task is not None and task not in ("semantic", "semseg") and found.metadata.get("author") == "Ultralytics":
        raise ModelError(
            f"{found.file}: a YOLO for the task {task!r}, which gives objects; expected one for semantic segmentation"
        )


def _mask_output(
    found: Inspection, outputs: list[Tensor], size: Size, layout: str, wanted: str | None
) -> tuple[MaskOutput, list[str], bool]:
    """Return how the mask is read, a line on each other output, and whether another could be it as well."""
    names = [each.name for each in outputs]
    if wanted is not None and wanted not in names:
        raise UsageError(f"{found.file}: no output {wanted!r}; expected one of {', '.join(names)}")
    objects = lists_objects(outputs, size)
    if objects:
        raise ModelError(
            f"{found.file}: its output {objects} lists objects, so the others are prototypes or masks of objects; "
            "expected a network that gives classes for each pixel"
        )
    readable: list[MaskOutput] = []
    said: dict[str, str] = {}
    for each in outputs:
        try:
            readable.append(read_output(each, found.tails[each.name], size, layout))
            said[each.name] = readable[-1].why
        except NotAMask as reason:
            said[each.name] = f"{each}: {reason}"
    candidates = [each for each in readable if wanted in (None, each.tensor.name)]
    if not candidates:
        lines = [line for name, line in said.items() if wanted in (None, name)]
        raise ModelError(f"{found.file}: no mask among its outputs: {'; '.join(lines)}")
    main = [each for each in candidates if not is_auxiliary(each.tensor.name)] or candidates
    chosen = max(main, key=lambda each: (_area(each.tensor, size), each.gives == "class_map"))  # the first of equals
    others = [line for name, line in said.items() if name != chosen.tensor.name]
    return chosen, others, wanted is None and len(main) > 1


def _area(tensor: Tensor, size: Size) -> int:
    """Return how many values it has, those of a free size as if it were the input's."""
    pixels = sorted(n or max(size) for n in tensor.shape)[-2:]
    return pixels[0] * pixels[1]


def _names_in_file(found: Inspection, number: int) -> tuple[str, ...]:
    """Return the class names that Ultralytics writes into a file, `{0: 'road', ...}`; none if they do not fit."""
    import ast

    try:
        names = ast.literal_eval(found.metadata.get("names", ""))
        listed = [str(names[index]) for index in range(number)] if len(names) == number else []
        if (number, len(names)) == (2, 1):  # one channel: the class and the rest
            listed = ["rest", str(names[0])]
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError):
        return ()
    return tuple(listed) if len(set(map(str.casefold, listed))) == number else ()
