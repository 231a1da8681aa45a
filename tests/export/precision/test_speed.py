"""A precision that is slower than float32 is said to be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeseg.export.precision.speed import Speed, compare_speed


def convolution(kernel: int) -> onnx.ModelProto:
    random = np.random.default_rng(0)
    weights = numpy_helper.from_array(random.normal(size=(32, 3, kernel, kernel)).astype(np.float32), "weights")
    pads = [kernel // 2] * 4
    graph = helper.make_graph(
        [helper.make_node("Conv", ["pixels", "weights"], ["logits"], pads=pads)],
        "one",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1, 3, 96, 128])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 32, 96, 128])],
        [weights],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_the_file_is_timed_beside_the_float_network(tmp_path: Path) -> None:
    onnx.save(convolution(1), str(tmp_path / "quick.onnx"))
    onnx.save(convolution(11), str(tmp_path / "slow.onnx"))
    assert compare_speed(convolution(11), tmp_path / "quick.onnx").ratio > 2
    slow = compare_speed(convolution(1), tmp_path / "slow.onnx")
    assert slow.ratio < 0.5
    assert slow.ms > slow.fp32_ms > 0


@pytest.mark.parametrize(
    ("precision", "form", "advice"),
    [("int8", "cpu", "export fp32"), ("int8", "tensorrt", "--int8-form cpu"), ("fp16", "", "--int8-form cpu")],
)
def test_what_is_slower_is_a_warning_with_advice(precision: str, form: str, advice: str) -> None:
    line = Speed(ms=20.0, fp32_ms=15.0, ratio=0.75).line(precision, form)
    assert line.startswith("warning: slower than fp32 here: on this CPU 0.75 times as fast as fp32: 20.0 and 15.0 ms")
    assert advice in line
    quick = Speed(ms=10.0, fp32_ms=25.0, ratio=2.5).line(precision, form)
    assert "warning" not in quick
    assert "2.50 times as fast" in quick
