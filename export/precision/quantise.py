"""int8: convolutions with quantised inputs and weights, in one of two forms, both from one calibration.

In float stays the convolution that reads the picture, whose three channels make int8 several times slower on a CPU, and
what edgeseg.export.precision.selection asks for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import onnx

from edgeseg.export.precision.cpu_form import cpu_form
from edgeseg.export.precision.half import to_half
from edgeseg.export.precision.layers import Layers, layers_called, readers_of, reads_picture, title_of
from edgeseg.export.precision.ranges import Pixels, calibrated
from edgeseg.export.precision.rounding import layers_at_a_loss
from edgeseg.export.precision.tensorrt_form import tensorrt_form

REST_FRAMES = 4


class Quantiser:
    """Calibrates a float32 network once, and quantises any choice of its convolutions: a Reducer.

    Args:
        network: float32 [1, 3, H, W] `pixels` to `logits`.
        frames: network inputs [1, 3, H, W]; read once, a few at a time.
        method: `percentile` (99.99 % of the values of each tensor lie inside its range) or `entropy`.
        form: `tensorrt` for symmetric int8, `cpu` for ONNX Runtime's asymmetric uint8, which TensorRT refuses.
        rest: what the unquantised part of the form `tensorrt` computes in, `fp16` or `fp32`.
        keep_float: titles of layers that stay in float.

    Attributes:
        layers: the convolutions that can be quantised, each named by its result: all but those that read the picture.
        beyond_half: titles of layers that float16 cannot compute, with the reason; found only where the rest is fp16.
    """

    precision = "int8"
    remedy = "raise --float-budget, calibrate on more varied frames, or use fp16"

    def __init__(
        self,
        network: onnx.ModelProto,
        frames: Iterable[Pixels],
        method: str,
        form: str,
        rest: str = "fp32",
        keep_float: Sequence[str] = (),
    ) -> None:
        self._network = network
        self._form = form
        self._rest = rest
        convolutions = [node for node in network.graph.node if node.op_type == "Conv"]
        readers = readers_of(network.graph)
        titles = {node.output[0]: title_of(node.output[0], readers) for node in convolutions}
        self.layers = [node.output[0] for node in convolutions if not reads_picture(node, network.graph)]
        self.titles = {layer: titles[layer] for layer in self.layers}
        self.kept = [layer for layer in layers_called(keep_float, Layers(network).titles) if layer in self.titles]
        seen: list[Pixels] = []
        self._ranges = calibrated(network, _remembered(frames, seen), method)
        self.beyond_half: dict[str, str] = {}
        self._wide = self._nodes_beyond_half(seen, keep_float) if form == "tensorrt" and rest == "fp16" else set()

    def reduced(self, left: Sequence[str] = ()) -> onnx.ModelProto:
        """Return the network with all of `layers` quantised but for those that are kept or left in float."""
        without = {*left, *self.kept}
        layers = [layer for layer in self.layers if layer not in without]
        if self._form == "cpu":
            return cpu_form(self._network, self._ranges, layers)
        ranges = {name: _extent(each) for name, each in self._ranges.data.items()}
        model, kernels = tensorrt_form(self._network, ranges, layers)
        if self._rest == "fp16":
            to_half(model, kernels | self._wide)
        return model

    def suspects(self) -> Mapping[str, str]:
        """Return all layers: any one may be at fault."""
        return dict.fromkeys((layer for layer in self.layers if layer not in self.kept), "")

    def _nodes_beyond_half(self, frames: Sequence[Pixels], keep_float: Sequence[str]) -> set[str]:
        """Return the nodes that are not to compute in float16, by the values that some frames give, or by name."""
        layers = Layers(self._network)
        lossy = layers_at_a_loss(self._network, layers, frames)
        self.beyond_half = {layers.titles[layer]: str(loss) for layer, loss in lossy.items()}
        return layers.nodes_of([*lossy, *layers_called(keep_float, layers.titles)])


def _remembered(frames: Iterable[Pixels], seen: list[Pixels]) -> Iterable[Pixels]:
    for frame in frames:
        if len(seen) < REST_FRAMES:
            seen.append(frame)
        yield frame


def _extent(data: object) -> tuple[float, float]:
    least, greatest = data.range_value  # type: ignore[attr-defined]
    return float(least), float(greatest)
