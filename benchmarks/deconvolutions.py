"""Ways to write the last enlargement of an FCN, by 8 with a bilinear kernel, timed on ONNX Runtime's CPU.

    python benchmarks/deconvolutions.py

dense: ConvTranspose of C x C kernels, as trained. grouped: the same of C kernels, `--deconvolution grouped`. separable:
two grouped ConvTransposes, one an axis. sub-pixel: Conv 3x3 to 64 C channels and DepthToSpace, which can hold any
trained kernel. Resize: for comparison only, the one that no kernel can be trained into. All but Resize give the same
result, which is checked. One thread, interleaved, medians of CPU time in ms.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgeseg.models.bilinear import bilinear_kernel

ROUNDS = 15
STRIDE, KERNEL, PADDING = 8, 16, 4
CASES = [(2, 20, 72), (11, 44, 60), (19, 20, 72), (19, 64, 128)]  # classes, input height and width
Array = NDArray[np.float32]


def main() -> None:
    print("| classes, output | dense | grouped | separable | sub-pixel | Resize |\n|---|---|---|---|---|---|")
    for classes, height, width in CASES:
        forms = {
            "dense": dense(classes, 1),
            "grouped": dense(classes, classes),
            "separable": separable(classes),
            "sub-pixel": sub_pixel(classes),
            "Resize": resize(),
        }
        times = measured(forms, (1, classes, height, width))
        cells = " | ".join(f"{statistics.median(times[name]):.1f}" for name in forms)
        print(f"| {classes}, {width * STRIDE}x{height * STRIDE} | {cells} |", flush=True)


def measured(forms: dict[str, onnx.GraphProto], shape: tuple[int, ...]) -> dict[str, list[float]]:
    pixels = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    sessions = {name: session(graph, shape) for name, graph in forms.items()}
    wanted = sessions["dense"].run(None, {"x": pixels})[0]
    for name, each in sessions.items():
        result = each.run(None, {"x": pixels})[0]
        assert name == "Resize" or np.allclose(result, wanted, atol=1e-5), name
    times: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(ROUNDS):
        for name, each in sessions.items():
            start = time.thread_time()
            each.run(None, {"x": pixels})
            times[name].append((time.thread_time() - start) * 1e3)
    return times


def session(graph: onnx.GraphProto, shape: tuple[int, ...]) -> onnxruntime.InferenceSession:
    graph.input.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, shape))
    graph.output.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, None))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def graph_of(nodes: list[onnx.NodeProto], **constants: Array) -> onnx.GraphProto:
    tensors = [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items()]
    return helper.make_graph(nodes, "form", [], [], tensors)


def dense(classes: int, group: int) -> onnx.GraphProto:
    kernel = full_kernel(classes)
    if group > 1:
        kernel = kernel[range(classes), range(classes)][:, None]
    node = helper.make_node(
        "ConvTranspose",
        ["x", "w"],
        ["y"],
        kernel_shape=[KERNEL] * 2,
        strides=[STRIDE] * 2,
        pads=[PADDING] * 4,
        group=group,
    )
    return graph_of([node], w=kernel)


def separable(classes: int) -> onnx.GraphProto:
    line = np.sqrt(np.diagonal(bilinear_kernel(KERNEL)))  # an outer product's diagonal holds the squares
    columns = np.broadcast_to(line.reshape(1, 1, -1, 1), (classes, 1, KERNEL, 1)).astype(np.float32)
    first = helper.make_node(
        "ConvTranspose",
        ["x", "a"],
        ["t"],
        kernel_shape=[KERNEL, 1],
        strides=[STRIDE, 1],
        pads=[PADDING, 0] * 2,
        group=classes,
    )
    second = helper.make_node(
        "ConvTranspose",
        ["t", "b"],
        ["y"],
        kernel_shape=[1, KERNEL],
        strides=[1, STRIDE],
        pads=[0, PADDING] * 2,
        group=classes,
    )
    return graph_of([first, second], a=columns, b=columns.transpose(0, 1, 3, 2))


def sub_pixel(classes: int) -> onnx.GraphProto:
    """The output's 8 x 8 phases as channels: each sees at most 3 x 3 of the input."""
    kernel = full_kernel(classes)  # in, out, height, width
    weights = np.zeros((classes, STRIDE, STRIDE, classes, 3, 3), np.float32)
    for row, taps_y in enumerate(taps()):
        for column, taps_x in enumerate(taps()):
            for y, at_y in taps_y:
                for x, at_x in taps_x:
                    weights[:, row, column, :, y, x] = kernel[:, :, at_y, at_x].T
    convolution = helper.make_node("Conv", ["x", "w"], ["phases"], kernel_shape=[3, 3], pads=[1] * 4)
    shuffle = helper.make_node("DepthToSpace", ["phases"], ["y"], blocksize=STRIDE, mode="CRD")
    return graph_of([convolution, shuffle], w=weights.reshape(-1, classes, 3, 3))


def taps() -> list[list[tuple[int, int]]]:
    """For each phase, which of three neighbours it reads and with which place of the kernel."""
    places = [[(1 - near, phase + PADDING + STRIDE * near) for near in (-1, 0, 1)] for phase in range(STRIDE)]
    return [[(tap, at) for tap, at in each if 0 <= at < KERNEL] for each in places]


def resize() -> onnx.GraphProto:
    scales = np.array([1, 1, STRIDE, STRIDE], np.float32)
    return graph_of([helper.make_node("Resize", ["x", "", "s"], ["y"], mode="linear")], s=scales)


def full_kernel(classes: int) -> Array:
    identity = np.eye(classes, dtype=np.float32)[:, :, None, None]
    return (identity * bilinear_kernel(KERNEL)).astype(np.float32)


if __name__ == "__main__":
    main()
