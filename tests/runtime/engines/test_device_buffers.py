"""The memory that a graph needs on a GPU, planned without one."""

from __future__ import annotations

import pytest

from edgeseg.core.errors import ModelError
from edgeseg.runtime.engines.device_buffers import BufferPlan, plan_buffers
from edgeseg.runtime.engines.graph_form import GraphForm, Tensor, form_of
from tests.helpers.colour_model import COLOUR_SPEC

CLASS_MAP, CONFIDENCE = Tensor("class_map", "uint8", (1, 32, 64)), Tensor("confidence", "uint8", (1, 32, 64))
SCORES = Tensor("auxiliary", "float32", (1, 3, 32, 64))


def camera_form(*outputs: Tensor) -> GraphForm:
    return form_of([Tensor("frame", "uint8", (1, 72, 128, 3))], outputs, COLOUR_SPEC, "model.onnx")


def test_a_discrete_gpu_gets_copies_and_what_nobody_reads_stays_there() -> None:
    outputs = (SCORES, CONFIDENCE, CLASS_MAP)
    assert plan_buffers(camera_form(*outputs), outputs, False, "model.onnx") == [
        BufferPlan("frame", (1, 72, 128, 3), "uint8", "in", False),
        BufferPlan("auxiliary", (1, 3, 32, 64), "float32", "", False),
        BufferPlan("confidence", (1, 32, 64), "uint8", "out", False),
        BufferPlan("class_map", (1, 32, 64), "uint8", "out", False),
    ]


def test_a_jetson_copies_nothing() -> None:
    plans = plan_buffers(camera_form(CLASS_MAP, SCORES), [CLASS_MAP, SCORES], True, "model.onnx")
    assert [plan.mapped for plan in plans] == [True, True, False]  # scratch is the device's own
    assert [plan.nbytes for plan in plans] == [72 * 128 * 3, 32 * 64, 3 * 32 * 64 * 4]


@pytest.mark.parametrize("odd", [Tensor("y", "float32", (1, None)), Tensor("y", "fp8", (1, 2))])
def test_what_has_no_place_on_the_host_is_refused(odd: Tensor) -> None:
    with pytest.raises(ModelError, match=r"model\.onnx: y .*export"):
        plan_buffers(camera_form(CLASS_MAP), [CLASS_MAP, odd], False, "model.onnx")
