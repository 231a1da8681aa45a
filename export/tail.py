"""What an output of a graph holds: the operator that decides its values, found by looking back from the output."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

Shapes = Mapping[str, tuple[int | None, ...]]

IDS, MASK, SHARES, SCORES, UNKNOWN = "ids", "mask", "shares", "scores", "unknown"
_FORM = (
    "Cast DepthToSpace Dropout Expand Flatten Identity Reshape Resize Round SpaceToDepth Squeeze Transpose Unsqueeze "
    "Upsample"
)
"""Operators that change shape, type or size, and not which of two values is the greater one."""
_KINDS = {
    IDS: "ArgMax ArgMin TopK",
    MASK: "And Equal Greater GreaterOrEqual Less LessOrEqual Not Or Xor",
    SHARES: "HardSigmoid Sigmoid Softmax Tanh",
    SCORES: "Add AveragePool BatchNormalization Conv ConvTranspose Einsum FusedConv Gemm MatMul Mean QLinearConv "
    "ReduceMean Sub Sum",
}
_KIND_OF = {operator: kind for kind, operators in _KINDS.items() for operator in operators.split()}
_WHOLE = [
    getattr(onnx.TensorProto, name)
    for name in ("BOOL", "INT8", "UINT8", "INT16", "UINT16", "INT32", "UINT32", "INT64", "UINT64")
]
_MIDDLES = {"HardSigmoid": 0.5, "Sigmoid": 0.5, "Tanh": 0.0}


@dataclass(frozen=True)
class Tail:
    """Where the values of an output come from.

    Attributes:
        operator: its type; empty if the output is an input or a constant.
        kind: `ids`, `mask` (yes or no), `shares` (of 0 to 1, or -1 to 1), `scores`, or `unknown`.
        behind: types of the operators that were looked through, from the output back.
        factor, offset: by constants between the two: output = factor * value + offset.
        classes: how many the operator chooses among, where the graph tells.
        lowest, highest: what a Clip leaves of the output; None: no limit.
        resizes_linearly: a Resize between the two mixes neighbouring values.
        picked: the one channel of several that a Slice or Gather left.
        step: of the output, where a Cast cuts to whole numbers what was not rounded; 0 where none does.
    """

    operator: str
    kind: str
    behind: tuple[str, ...] = ()
    factor: float = 1.0
    offset: float = 0.0
    classes: int | None = None
    lowest: float | None = None
    highest: float | None = None
    resizes_linearly: bool = False
    picked: int | None = None
    step: float = 0.0

    @property
    def middle(self) -> float | None:
        """The output's value between yes and no; None where there is none."""
        if self.kind == MASK or (self.kind == IDS and self.classes == 2):
            value = 0.5
        elif self.operator in _MIDDLES:
            value = _MIDDLES[self.operator]
        else:
            return None
        return self.factor * value + self.offset

    def leaves(self, value: float) -> bool:
        """Whether the output goes beyond a value on both sides, for all that a Clip has cut."""
        return (self.lowest is None or self.lowest < value) and (self.highest is None or value < self.highest)

    def __str__(self) -> str:
        through = f" through {', '.join(reversed(self.behind))}" if self.behind else ""
        return f"{self.operator or 'an input'}{through}"


@dataclass
class _Walk:
    """The way back from an output; output = factor * (the value here) + offset."""

    name: str
    behind: list[str] = field(default_factory=list)
    factor: float = 1.0
    offset: float = 0.0
    lowest: float = -math.inf
    highest: float = math.inf
    resizes_linearly: bool = False
    picked: int | None = None
    step: float = 0.0

    def to(self, name: str, operator: str) -> None:
        self.name = name
        self.behind.append(operator)


class Tails:
    """Finds the tails of a graph's outputs.

    Args:
        graph: its nodes and small constants; large weights may be missing.
        shapes: inferred, by tensor.
    """

    def __init__(self, graph: onnx.GraphProto, shapes: Shapes) -> None:
        self._makers = {name: node for node in graph.node for name in node.output}
        self._constants = {each.name: each for each in graph.initializer}
        self._shapes = shapes

    def of(self, output: str) -> Tail:
        """Return the tail of an output; unknown in a graph that is damaged."""
        walk = _Walk(output)
        try:
            return self._walked(walk)
        except (ArithmeticError, IndexError, TypeError, ValueError):  # operators without their inputs, wild attributes
            return Tail("a damaged operator", UNKNOWN, tuple(walk.behind))

    def _walked(self, walk: _Walk) -> Tail:
        while (node := self._makers.get(walk.name)) is not None and self._step(walk, node):
            if len(walk.behind) > len(self._makers):
                return Tail("a circle of operators", UNKNOWN)
        operator = node.op_type if node is not None else ""
        return Tail(
            operator,
            self._kind(node, walk.name) if node is not None else UNKNOWN,
            tuple(walk.behind),
            walk.factor,
            walk.offset,
            self._classes(node) if node is not None else None,
            walk.lowest if math.isfinite(walk.lowest) else None,
            walk.highest if math.isfinite(walk.highest) else None,
            walk.resizes_linearly,
            walk.picked,
            walk.step,
        )

    def _step(self, walk: _Walk, node: onnx.NodeProto) -> bool:
        """Go back over a node that decides nothing; False at the one that does."""
        operator = node.op_type
        if operator in _FORM.split():
            walk.resizes_linearly |= operator in ("Resize", "Upsample") and _attribute(node, "mode", b"") != b"nearest"
            if operator == "Cast" and _attribute(node, "to", 0) in _WHOLE:
                walk.step = abs(walk.factor)
            walk.step = 0.0 if operator == "Round" else walk.step
        elif operator == "Clip":
            self._clip(walk, node)
        elif operator == "Neg":
            walk.factor = -walk.factor
        else:
            steps = (self._arithmetic, self._where, self._quantisation, self._pick)
            return any(step(walk, node) for step in steps)
        walk.to(node.input[0], operator)
        return True

    def _arithmetic(self, walk: _Walk, node: onnx.NodeProto) -> bool:
        """Go back over a sum, difference, product or quotient with one number."""
        if node.op_type not in ("Add", "Sub", "Mul", "Div"):
            return False
        left, right = (self._number(name) for name in node.input)
        if (left is None) == (right is None) or (node.op_type == "Div" and not right):
            return False
        number = right if left is None else left
        assert number is not None
        if node.op_type in ("Mul", "Div"):
            walk.factor *= number if node.op_type == "Mul" else 1 / number
        else:
            walk.offset += walk.factor * (-number if node.op_type == "Sub" and left is None else number)
            walk.factor *= -1 if node.op_type == "Sub" and left is not None else 1
        walk.to(node.input[0] if left is None else node.input[1], node.op_type)
        return True

    def _where(self, walk: _Walk, node: onnx.NodeProto) -> bool:
        """Go back over a choice: between two numbers, which is a mask, or of values with a number for the rest."""
        if node.op_type != "Where":
            return False
        yes, no = (self._number(name) for name in node.input[1:])
        if yes is not None and no is not None:
            walk.offset += walk.factor * no
            walk.factor *= yes - no
            walk.to(node.input[0], "Where")
            return True
        if (yes is None) == (no is None):
            return False
        walk.to(node.input[1] if yes is None else node.input[2], "Where")
        return True

    def _quantisation(self, walk: _Walk, node: onnx.NodeProto) -> bool:
        """Go back over one scale and zero point for all values."""
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            return False
        scale = self._number(node.input[1])
        zero = self._number(node.input[2]) if len(node.input) > 2 and node.input[2] else 0.0
        if not scale or zero is None:
            return False
        if node.op_type == "QuantizeLinear":
            walk.offset += walk.factor * zero
            walk.factor /= scale
        else:
            walk.offset -= walk.factor * scale * zero
            walk.factor *= scale
        walk.to(node.input[0], node.op_type)
        return True

    def _pick(self, walk: _Walk, node: onnx.NodeProto) -> bool:
        """Go back over a Slice or Gather that leaves all, or one channel of several."""
        if node.op_type not in ("Slice", "Gather"):
            return False
        before, after = self._shapes.get(node.input[0], ()), self._shapes.get(node.output[0], ())
        if node.op_type == "Gather":
            axis = int(_attribute(node, "axis", 0))
            changed = [before[axis]] if -len(before) <= axis < len(before) else [None]
            changed = [n for n in changed if n != 1]
        elif len(before) != len(after):
            return False
        else:
            changed = [n for n, m in zip(before, after, strict=True) if n != m]
            if any(m != 1 for n, m in zip(before, after, strict=True) if n != m):
                return False
        if changed:
            first = self._first_of(node)
            if changed == [None] or len(changed) > 1 or first is None or walk.picked is not None:
                return False
            walk.picked = first
        walk.to(node.input[0], node.op_type)
        return True

    def _first_of(self, node: onnx.NodeProto) -> int | None:
        """Return the index that a Gather of one, or a Slice along one axis, begins at."""
        if node.op_type == "Slice" and len(node.input) < 2:  # attributes before opset 10
            starts = list(_attribute(node, "starts", []))
            return int(starts[0]) if len(starts) == 1 else None
        found = self._number(node.input[1])
        return None if found is None else int(found)

    def _clip(self, walk: _Walk, node: onnx.NodeProto) -> None:
        named = [*node.input[1:], "", ""][:2]
        bounds = [self._number(name) if name else None for name in named]
        for index, key in enumerate(("min", "max")):  # attributes before opset 11
            if bounds[index] is None:
                bounds[index] = _attribute(node, key, (-math.inf, math.inf)[index])
        low, high = sorted(walk.factor * float(each) + walk.offset for each in bounds if each is not None)
        walk.lowest, walk.highest = max(walk.lowest, low), min(walk.highest, high)

    def _number(self, name: str) -> float | None:
        """Return the value of a constant of one element."""
        node = self._makers.get(name)
        for _ in range(len(self._makers)):
            if node is None or node.op_type not in ("Identity", "Cast", "Reshape", "Unsqueeze", "Squeeze"):
                break
            name = node.input[0]
            node = self._makers.get(name)
        if node is not None and node.op_type == "Constant":
            value = next((helper.get_attribute_value(each) for each in node.attribute), None)
            array = numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)
        elif name in self._constants:
            tensor = self._constants[name]
            if math.prod(tensor.dims) != 1 or tensor.data_location == onnx.TensorProto.EXTERNAL:
                return None
            array = numpy_helper.to_array(tensor)
        else:
            return None
        return float(array.reshape(-1)[0]) if array.size == 1 and array.dtype.kind in "fiub" else None

    @staticmethod
    def _kind(node: onnx.NodeProto, name: str) -> str:
        if node.op_type == "TopK" and name != node.output[1]:
            return UNKNOWN  # how great the greatest value is
        return _KIND_OF.get(node.op_type, UNKNOWN)

    def _classes(self, node: onnx.NodeProto) -> int | None:
        if node.op_type not in ("ArgMax", "ArgMin", "TopK", "Softmax"):
            return 2 if _KIND_OF.get(node.op_type) == MASK else None
        shape = self._shapes.get(node.input[0], ())
        axis = int(_attribute(node, "axis", 0 if node.op_type.startswith("Arg") else -1))
        return shape[axis] if -len(shape) <= axis < len(shape) else None


def _attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    return next((helper.get_attribute_value(each) for each in node.attribute if each.name == name), default)
