"""fp16 layer by layer: which ones float16 cannot compute, and the network without them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx

from edgeseg.export.precision.half import to_half
from edgeseg.export.precision.layers import Layers, layers_called
from edgeseg.export.precision.ranges import Pixels
from edgeseg.export.precision.rounding import layers_at_a_loss


class Halver:
    """Writes a float32 network in float16, all of it or but for some layers: a Reducer.

    Args:
        network: float32 `pixels` to `logits`.
        frames: network inputs that show which values its tensors have.
        keep_float: titles of layers that stay in float32.
    """

    precision = "fp16"
    remedy = "name layers by --keep-float LAYER, raise --float-budget, or use --precision fp32"

    def __init__(self, network: onnx.ModelProto, frames: Sequence[Pixels], keep_float: Sequence[str] = ()) -> None:
        self._network = network
        self._frames = frames
        self._layers = Layers(network)
        self.titles = self._layers.titles
        self.kept = layers_called(keep_float, self.titles)

    def reduced(self, left: Sequence[str] = ()) -> onnx.ModelProto:
        """Return the network in float16 but for the layers that are kept or left in float32."""
        model = onnx.ModelProto()
        model.CopyFrom(self._network)
        to_half(model, self._layers.nodes_of([*self.kept, *left]))
        return model

    def suspects(self) -> Mapping[str, str]:
        """Return the layers with values that float16 cannot hold; where there are none, all."""
        lossy = layers_at_a_loss(self._network, self._layers, self._frames)
        found = {layer: str(loss) for layer, loss in lossy.items() if layer not in self.kept}
        return found or dict.fromkeys((layer for layer in self.titles if layer not in self.kept), "")
