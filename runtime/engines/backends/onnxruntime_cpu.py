"""ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from edgeseg.runtime.engines.base import GraphEngine
from edgeseg.runtime.engines.model_file import ModelFile
from edgeseg.runtime.engines.onnxruntime_session import open_session, tensors
from edgeseg.runtime.engines.settings import EngineSettings
from edgeseg.runtime.machine.processor import processor


class OnnxRuntimeCpu(GraphEngine):
    """Runs a model on the CPU, reading frames where they lie."""

    backend = "onnxruntime-cpu"

    def __init__(self, model: ModelFile, settings: EngineSettings) -> None:
        self.device = processor()
        self._session = open_session(model, settings, ["CPUExecutionProvider"])
        self._adopt(model, tensors(self._session.get_inputs()), tensors(self._session.get_outputs()))
        self._outputs = [output.name for output in self.form.outputs]

    def _infer(self, value: NDArray[Any]) -> tuple[Sequence[NDArray[Any]], float | None]:
        return self._session.run(self._outputs, {self.form.input.name: value}), None
