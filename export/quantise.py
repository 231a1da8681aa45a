"""int8: convolutions with quantised inputs and weights, written as QuantizeLinear and DequantizeLinear (QDQ).

Symmetric, weights per channel, so that TensorRT takes it. In float stay the transposed convolutions, since quantised
ones have been a source of trouble there; the convolution that reads the picture, whose three channels make int8 several
times slower on a CPU; and what edgeseg.export.selection asks for. A pair stands also between a convolution and its
activation: without it ONNX Runtime computes the convolution in float.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from edgeseg.core.errors import ModelError, UsageError
from edgeseg.export.network import INPUT

CHUNK = 4  # frames whose activations ONNX Runtime's calibrator keeps at a time
_BIN_COUNT = 2048
_OPERATORS = ["Conv"]
_PASSING = ("Relu", "Clip", "MaxPool")  # give the values that they take, or the nearest they may
_PICTURE_CHANNELS = 4
Pixels = NDArray[np.float32]
Readers = dict[str, list[onnx.NodeProto]]


class Quantiser:
    """Calibrates a float32 network once, and quantises any choice of its convolutions.

    Args:
        network: float32 [1, 3, H, W] `pixels` to `logits`.
        frames: network inputs [1, 3, H, W]; read once, a few at a time.
        method: `percentile` (99.99 % of the values of each tensor lie inside its range) or `entropy`.
        form: `tensorrt` for symmetric int8, `cpu` for ONNX Runtime's asymmetric uint8, which TensorRT refuses.

    Attributes:
        layers: names of the convolutions that can be quantised: all but those that read the picture.
        titles: by name, what a user knows the layer by.
    """

    def __init__(self, network: onnx.ModelProto, frames: Iterable[Pixels], method: str, form: str) -> None:
        self._network = network
        self._form = form
        convolutions = [node for node in network.graph.node if node.op_type in _OPERATORS]
        self._first = [node.name for node in convolutions if _reads_picture(node, network.graph)]
        self.layers = [node.name for node in convolutions if node.name not in self._first]
        readers = _readers(network.graph)
        self.titles = {node.name: _title(node, readers) for node in convolutions}
        self._ranges = _calibrated(network, frames, method, form == "tensorrt")
        _share_ranges(self._ranges.data, readers, convolutions)

    def quantise(self, excluded: Sequence[str] = ()) -> onnx.ModelProto:
        """Return the network with all of `layers` quantised but for the excluded ones."""
        from onnxruntime.quantization import QuantType
        from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

        model = onnx.ModelProto()
        model.CopyFrom(self._network)
        symmetric = self._form == "tensorrt"
        options = {
            "ActivationSymmetric": symmetric,
            "WeightSymmetric": True,
            "QuantizeBias": not symmetric,  # TensorRT refuses int32 biases
            "AddQDQPairToWeight": symmetric,  # as NVIDIA's own toolkits write it: float weights with a pair behind them
            "DedicatedQDQPair": symmetric,  # see _part_pairs
        }
        activations = QuantType.QInt8 if symmetric else QuantType.QUInt8
        left = [*self._first, *excluded]
        with _silent():
            quantiser = QDQQuantizer(
                model, True, False, QuantType.QInt8, activations, self._ranges, [], left, _OPERATORS, options
            )
            quantiser.quantize_model()
            quantiser.model.topological_sort()
        written: onnx.ModelProto = quantiser.model.model
        written.ir_version = self._network.ir_version
        _part_pairs(written.graph)
        return written


def _reads_picture(node: onnx.NodeProto, graph: onnx.GraphProto) -> bool:
    kernel = next((each.dims for each in graph.initializer if each.name == node.input[1]), (0, 0))
    return INPUT in node.input and kernel[1] <= _PICTURE_CHANNELS


def _readers(graph: onnx.GraphProto) -> Readers:
    readers: Readers = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    return readers


def _title(node: onnx.NodeProto, readers: Readers) -> str:
    """The scope of the first result with the name of a layer: tf2onnx calls some by a number, as `Conv__12:0`."""
    name = str(node.output[0])
    while "/" not in name and name in readers:
        name = str(readers[name][0].output[0])
    return name.partition("/")[0]


def _share_ranges(ranges: dict[str, Any], readers: Readers, convolutions: Iterable[onnx.NodeProto]) -> None:
    """Give what a convolution writes the range of what is left of it where it is read: it is then rounded once."""
    for node in convolutions:
        name = node.output[0]
        while [each.op_type in _PASSING for each in readers.get(name, [])] == [True]:
            name = readers[name][0].output[0]
            if name in ranges:
                ranges[node.output[0]] = ranges[name]


def _part_pairs(graph: onnx.GraphProto) -> None:
    """Make the scales of pairs on one tensor differ by the least that float32 can say.

    ONNX Runtime makes one pair of equal ones, and what reads a symmetric pair together with others stays in float.
    """
    scales = {each.name: each for each in graph.initializer}
    pairs: Counter[str] = Counter()
    renamed: dict[str, str] = {}
    for node in graph.node:  # a Quantize comes before its Dequantize
        if node.op_type == "QuantizeLinear":
            pairs[node.input[0]] += 1
            if pairs[node.input[0]] > 1:
                renamed[node.output[0]] = f"{node.input[1]}_{pairs[node.input[0]]}"
                scale = numpy_helper.to_array(scales[node.input[1]])
                scale = (scale * (1 + (pairs[node.input[0]] - 1) * np.finfo(np.float32).eps)).astype(np.float32)
                graph.initializer.append(numpy_helper.from_array(scale, renamed[node.output[0]]))
                node.input[1] = renamed[node.output[0]]
        elif node.op_type == "DequantizeLinear" and node.input[0] in renamed:
            node.input[1] = renamed[node.input[0]]


def _calibrated(network: onnx.ModelProto, frames: Iterable[Pixels], method: str, symmetric: bool) -> Any:
    """Return the range of each tensor that a convolution, or what passes its result on, reads or gives."""
    from onnxruntime.quantization.calibrate import CalibrationMethod, create_calibrator

    kind = {"percentile": CalibrationMethod.Percentile, "entropy": CalibrationMethod.Entropy}[method]
    options: dict[str, Any] = {"symmetric": symmetric, "num_bins": _BIN_COUNT}
    if method == "percentile":
        options["percentile"] = 99.99
    with _folder() as folder, _silent():
        plain = folder / "network.onnx"
        onnx.save(network, str(plain))
        calibrator = create_calibrator(
            str(plain), [*_OPERATORS, *_PASSING], str(folder / "augmented.onnx"), kind, extra_options=options
        )
        remaining = iter(frames)
        try:
            while chunk := list(islice(remaining, CHUNK)):
                calibrator.collect_data(_Reader(iter(chunk)))
            return calibrator.compute_data()
        except ValueError as error:  # NumPy's histogram
            raise ModelError(
                f"int8's ranges cannot be measured ({error}); expected numbers that are finite and differ: is the "
                "network trained? Otherwise use fp16"
            ) from error


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A temporary folder, since ONNX Runtime's calibrators want files. Raises UsageError if it is full."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(
            f"{tempfile.gettempdir()}: no room for the calibration ({reason}); set TMPDIR to a larger place"
        ) from error


class _Reader:
    """What ONNX Runtime's calibrators read frames from."""

    def __init__(self, frames: Iterator[Pixels]) -> None:
        self._frames = frames

    def get_next(self) -> dict[str, Pixels] | None:
        pixels = next(self._frames, None)
        return None if pixels is None else {INPUT: pixels}


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """ONNX Runtime's calibrators print."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
