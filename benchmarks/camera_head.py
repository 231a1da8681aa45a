"""Two ways to write the head of the camera graph, on ONNX Runtime with one thread: transpose first, or resize first.

python benchmarks/camera_head.py [--camera 1280x720] [--network 576x160]
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from edgeseg.core.geometry import Size

Step = tuple[str, list[str], dict[str, Any]]
"""Operator, further inputs, attributes."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--camera", type=Size.parse, default=Size(720, 1280))
    parser.add_argument("--network", type=Size.parse, default=Size(160, 576))
    arguments = parser.parse_args()
    frame = np.random.default_rng(0).integers(0, 256, (1, *arguments.camera, 3), np.uint8)
    sessions = {first: head(first, arguments.camera, arguments.network) for first in ("transpose", "resize")}
    times: dict[str, list[float]] = {first: [] for first in sessions}
    for _ in range(200):
        for first, session in sessions.items():
            start = time.perf_counter()
            session.run(None, {"frame": frame})
            times[first].append((time.perf_counter() - start) * 1e3)
    for first, values in times.items():
        print(f"{first} first: {statistics.median(values):.2f} ms (median of {len(values)})")


def head(first: str, camera: Size, network: Size) -> onnxruntime.InferenceSession:
    sizes = [1, 3, *network] if first == "transpose" else [1, *network, 3]
    cast = helper.make_node("Cast", ["frame"], ["x0"], to=TensorProto.FLOAT)
    transpose: Step = ("Transpose", [], {"perm": [0, 3, 1, 2]})
    resize: Step = ("Resize", ["", "", "sizes"], {"mode": "linear", "coordinate_transformation_mode": "half_pixel"})
    steps = [transpose, resize] if first == "transpose" else [resize, transpose]
    nodes = [cast]
    for index, (operator, more, attributes) in enumerate(steps):
        nodes.append(helper.make_node(operator, [f"x{index}", *more], [f"x{index + 1}"], **attributes))
    graph = helper.make_graph(
        nodes,
        first,
        [helper.make_tensor_value_info("frame", TensorProto.UINT8, [1, *camera, 3])],
        [helper.make_tensor_value_info("x2", TensorProto.FLOAT, [1, 3, *network])],
        [numpy_helper.from_array(np.array(sizes, np.int64), "sizes")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    main()
