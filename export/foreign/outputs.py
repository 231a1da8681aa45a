"""Which output of a foreign model is the mask, and how it is read: right, guessed and said, or refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgeseg.core.geometry import Size
from edgeseg.export.tail import IDS, MASK, SCORES, SHARES, Tail
from edgeseg.runtime.engines.graph_form import Tensor

MOST_CLASSES = 255
_TURNED = "it is turned round: least where the class is; export what is greatest there"
_AUXILIARY = ("aux", "extra", "boundary", "edge")


class NotAMask(Exception):  # noqa: N818 (an answer, not a failure)
    """Why an output cannot be read as classes for each pixel."""


@dataclass(frozen=True)
class MaskOutput:
    """How an output is read.

    Attributes:
        tensor: name, type and shape.
        gives, layout, threshold: as in edgeseg.core.tensors.Tensors.
        classes: how many; None if the graph does not tell.
        guessed: what of this nobody knows for certain, by the spec's names.
        why: what was seen, for the user.
    """

    tensor: Tensor
    gives: str
    layout: str
    classes: int | None
    threshold: float | None
    guessed: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class _Form:
    """A shape as a map: how its channels lie, and how many there are; None where the graph does not tell."""

    layout: str
    channels: int | None
    is_certain: bool


def read_output(tensor: Tensor, tail: Tail, size: Size, layout: str) -> MaskOutput:
    """Say how an output is read as a mask.

    Args:
        tensor: the output, its shape as at the network's input size.
        tail: where its values come from.
        size: the network's input size.
        layout: of the input, for a shape that would be a map either way.

    Raises:
        NotAMask: it is no map of classes, or what it means cannot be told.
    """
    form = _form(tensor, size, layout)
    if not tail.operator:
        raise NotAMask("nothing computes it")
    why = f"{tensor}: {tail}"
    if form.channels in (1, None) and tail.kind in (IDS, MASK):
        return _ids_or_mask(tensor, tail, why)
    if "float" not in tensor.dtype and tail.kind not in (SCORES, SHARES, MASK):
        raise NotAMask(f"{tensor.dtype} values made by {tail}; expected scores, an ArgMax or a comparison")
    if tail.kind != IDS and tail.step >= abs(tail.factor) / 2:
        raise NotAMask(f"{tail} is cut to whole numbers; export it as float")
    if form.channels == 1:
        return _one_channel(tensor, tail, why)
    return _channels(tensor, tail, form, why)


def _form(tensor: Tensor, size: Size, layout: str) -> _Form:
    shape = tensor.shape
    if len(shape) == 4 and shape[0] not in (1, None):
        raise NotAMask(f"a batch of {shape[0]}; expected 1: export the model with a batch of 1")
    if len(shape) == 2 and _is_map(shape, size):
        return _Form("", 1, True)
    if len(shape) not in (3, 4):
        raise NotAMask(f"{len(shape)} dimensions; expected those of a picture")
    channels_first = _is_map(shape[-2:], size)
    channels_last = _is_map(shape[-3:-1], size)
    if channels_first and channels_last:
        return _Form(layout, shape[-3] if layout == "nchw" else shape[-1], False)
    if channels_first or channels_last:
        return _Form(*(("nchw", shape[-3]) if channels_first else ("nhwc", shape[-1])), True)
    raise NotAMask(f"no map of the picture: nothing of it has the shape of {size}")


def _is_map(shape: Sequence[int | None], size: Size) -> bool:
    """Whether two lengths are the picture's, or the same fraction of both, give or take a rounding."""
    known = [(whole, n) for whole, n in zip(size, shape, strict=True) if n is not None]
    if any(not 2 <= n <= whole for whole, n in known):
        return False
    return max((whole / (n + 1) for whole, n in known), default=0) < min(
        (whole / (n - 1) for whole, n in known), default=1
    )


def _ids_or_mask(tensor: Tensor, tail: Tail, why: str) -> MaskOutput:
    if tail.kind == IDS and (tail.factor, tail.offset) == (1.0, 0.0) and tensor.dtype != "bool":
        if tail.resizes_linearly and tail.classes != 2:
            raise NotAMask("it resizes class ids linearly, which makes other classes of them; resize by nearest")
        if not tail.resizes_linearly:
            return MaskOutput(tensor, "class_map", "", _few(tail.classes), None, (), why)
    middle = 0.5 if tensor.dtype == "bool" and tail.middle is None else tail.middle
    if middle is None:
        raise NotAMask(f"class ids times {tail.factor:g} plus {tail.offset:g}; export the ids themselves")
    return _of_two(tensor, tail, middle, why)


def _of_two(tensor: Tensor, tail: Tail, middle: float, why: str, guessed: tuple[str, ...] = ()) -> MaskOutput:
    if tail.factor <= 0:
        raise NotAMask(_TURNED)
    if not tail.leaves(middle):
        raise NotAMask(f"a Clip to {tail.lowest} to {tail.highest} leaves nothing to tell by")
    threshold = None if middle == 0.5 else round(middle, 6)
    return MaskOutput(tensor, "probabilities", "", 2, threshold, guessed, why)


def _one_channel(tensor: Tensor, tail: Tail, why: str) -> MaskOutput:
    if tail.operator == "Softmax" and tail.classes == 1:
        raise NotAMask("a Softmax over one channel, which is 1 everywhere; export it with a Sigmoid")
    is_second = (tail.operator, tail.classes, tail.picked) == ("Softmax", 2, 1)
    if tail.picked is not None and not is_second and tail.operator != "Sigmoid":
        raise NotAMask(f"channel {tail.picked} of several alone; export them all")
    if tail.operator == "Softmax" and tail.picked is not None:
        return _of_two(tensor, tail, tail.factor * 0.5 + tail.offset, why)
    if tail.kind == SHARES and tail.middle is not None:
        return _of_two(tensor, tail, tail.middle, why)
    if tail.kind != SCORES:
        raise NotAMask(
            f"one channel made by {tail}, of which nobody can say where the class begins; export it with a Sigmoid, "
            "or write a spec with its threshold"
        )
    if tail.factor <= 0:
        raise NotAMask(_TURNED)
    if (tail.lowest, tail.highest) == (0.0, 1.0):
        return _of_two(tensor, tail, 0.5, why, ("tensors.gives", "tensors.threshold"))
    if not tail.leaves(0) or "QuantizeLinear" in tail.behind[:1]:
        raise NotAMask("scores that are cut or quantised: nobody can say where the class begins; export them as float")
    return MaskOutput(tensor, "logits", "", 2, None, ("tensors.gives",), why)


def _channels(tensor: Tensor, tail: Tail, form: _Form, why: str) -> MaskOutput:
    if tail.factor <= 0:
        raise NotAMask(_TURNED)
    if tail.kind == MASK:
        raise NotAMask("a mask for each class, which may overlap or leave pixels out; export the scores")
    if form.channels is not None and form.channels > MOST_CLASSES:
        raise NotAMask(f"{form.channels} channels; expected at most {MOST_CLASSES} classes")
    guessed = [] if form.is_certain else ["tensors.output_layout"]
    gives = "logits"
    if tail.operator == "Softmax":
        gives = "probabilities"
        if tail.classes is not None and form.channels is not None and tail.classes != form.channels:
            raise NotAMask(f"its Softmax is over {tail.classes} values and not over its {form.channels} channels")
    elif tail.kind == SHARES:
        gives = "probabilities"
        guessed.append("tensors.gives")  # a Sigmoid for each class: they may overlap
    elif tail.kind != SCORES:
        guessed.append("tensors.gives")
    return MaskOutput(tensor, gives, form.layout, form.channels, None, tuple(guessed), why)


def _few(classes: int | None) -> int | None:
    if classes is not None and classes > MOST_CLASSES:
        raise NotAMask(f"an ArgMax of {classes} values; expected at most {MOST_CLASSES} classes")
    return classes


def lists_objects(outputs: Sequence[Tensor], size: Size) -> Tensor | None:
    """Return the output that lists objects (boxes, queries), beside which maps are prototypes or masks of objects."""
    for each in outputs:
        rank, last = len(each.shape), each.shape[-1] if each.shape else None
        if rank == 2 and last == 4:
            return each
        if (
            rank == 3
            and "float" in each.dtype
            and not (_is_map(each.shape[-2:], size) or _is_map(each.shape[:2], size))
        ):
            return each
    return None


def is_auxiliary(name: str) -> bool:
    """Whether an output's name says that it served the training alone."""
    return any(part in name.lower() for part in _AUXILIARY)
