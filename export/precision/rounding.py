"""What float16 does to each tensor of a float32 network: which values it cannot hold, and what their rounding loses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgeseg.export.onnx_file import OnnxFile
from edgeseg.export.precision.half import GREATEST, halved, tensors_of_type
from edgeseg.export.precision.layers import Layers, readers_of

_LOST = 0.02  # rounding alone loses 0.0003 (root mean square); what underflows, far more
_CUTTING = ("Relu", "Clip")  # an infinity before them is as harmless as what they cut off


@dataclass(frozen=True)
class Loss:
    """What one tensor loses in float16.

    Attributes:
        reaches: the greatest magnitude of its values.
        lost: root mean square of what rounding takes away, as a share of the values'; infinite if one overflows.
    """

    reaches: float
    lost: float

    @property
    def matters(self) -> bool:
        """Whether it loses more than the last digits."""
        return not (self.reaches <= GREATEST and self.lost <= _LOST)

    def __str__(self) -> str:
        if not self.reaches <= GREATEST:
            return f"whose values reach {self.reaches:.3g}, beyond float16's {GREATEST:.0f}"
        return f"whose values, of at most {self.reaches:.2g}, lose {self.lost:.0%} in float16, which ends at 6e-08"


def layers_at_a_loss(
    network: onnx.ModelProto, layers: Layers, frames: Sequence[NDArray[np.float32]]
) -> dict[str, Loss]:
    """Return the layers that write, read or hold what float16 cannot, in the order in which they are computed.

    A tensor stays float32 only where both who writes it and who reads it compute in float32: so both are named.

    Args:
        network: float32.
        layers: of it.
        frames: its inputs; values are measured on them.
    """
    losses = {name: loss for name, loss in _losses(network, frames).items() if loss.matters}
    found: dict[str, Loss] = {}
    for node in network.graph.node:
        for name in (*node.input, *node.output):
            layer = layers.layer_of(node.output[0])
            if name in losses and layer is not None:
                found[layer] = max(losses[name], found.get(layer, losses[name]), key=lambda loss: loss.lost)
    return {layer: found[layer] for layer in layers.members if layer in found}


def _losses(network: onnx.ModelProto, frames: Sequence[NDArray[np.float32]]) -> dict[str, Loss]:
    weights = {
        each.name: _loss_of(numpy_helper.to_array(each))
        for each in network.graph.initializer
        if each.data_type == TensorProto.FLOAT
    }
    measured = _measured(network)
    file = OnnxFile(_with_measures(network, measured))
    losses = dict.fromkeys(measured, Loss(0.0, 0.0))
    for frame in frames:
        outputs = file.run(frame)
        for name in measured:
            reaches, gone, whole = (float(outputs[f"{name}_{each}"]) for each in ("reaches", "gone", "whole"))
            lost = float(np.sqrt(gone / max(whole, np.finfo(np.float32).tiny)))
            losses[name] = Loss(max(reaches, losses[name].reaches), max(lost, losses[name].lost))
    return {**weights, **losses}


def _loss_of(array: NDArray[Any]) -> Loss:
    exact = array.astype(np.float64)
    whole = float(np.sum(exact**2))
    gone = float(np.sum((exact - halved(array).astype(np.float64)) ** 2))
    return Loss(float(np.abs(exact).max(initial=0.0)), float(np.sqrt(gone / whole)) if whole else 0.0)


def _measured(network: onnx.ModelProto) -> list[str]:
    """Return the float tensors that nodes give, but for those of which only what is cut off behind matters."""
    floats = tensors_of_type(network, TensorProto.FLOAT)
    readers = readers_of(network.graph)
    names = [name for node in network.graph.node for name in node.output if name in floats]
    return [
        name
        for name in names
        if not {each.op_type for each in readers.get(name, [])} <= set(_CUTTING) or name not in readers
    ]


def _with_measures(network: onnx.ModelProto, names: list[str]) -> onnx.ModelProto:
    """Return the network with three numbers for each tensor in place of its output: memory does not grow."""
    model = onnx.ModelProto()
    model.CopyFrom(network)
    del model.graph.output[:]
    for name in names:
        half, back, gone, size = (f"{name}_{each}" for each in ("half", "back", "difference", "size"))
        steps: list[tuple[str, list[str], str, dict[str, Any]]] = [
            ("Cast", [name], half, {"to": TensorProto.FLOAT16}),
            ("Cast", [half], back, {"to": TensorProto.FLOAT}),
            ("Sub", [name, back], gone, {}),
            ("Abs", [name], size, {}),
            ("ReduceMax", [size], f"{name}_reaches", {"keepdims": 0}),
            ("ReduceSumSquare", [gone], f"{name}_gone", {"keepdims": 0}),
            ("ReduceSumSquare", [name], f"{name}_whole", {"keepdims": 0}),
        ]
        for operator, inputs, output, attributes in steps:
            model.graph.node.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        for each in ("reaches", "gone", "whole"):
            model.graph.output.append(helper.make_tensor_value_info(f"{name}_{each}", TensorProto.FLOAT, []))
    return model
