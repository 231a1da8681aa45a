"""ONNX Runtime on the GPU, its input and outputs bound to pycuda's memory."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import EngineError, ModelError
from edgeseg.runtime.engines.base import GraphEngine
from edgeseg.runtime.engines.cuda import CudaDevice, InferenceSlot, no_cuda
from edgeseg.runtime.engines.device_buffers import BufferPlan, plan_buffers
from edgeseg.runtime.engines.graph_form import form_of
from edgeseg.runtime.engines.model_file import ModelFile
from edgeseg.runtime.engines.settings import EngineSettings

_PROVIDER = "CUDAExecutionProvider"


class OnnxRuntimeCuda(GraphEngine):
    """Runs a model by ONNX Runtime's CUDA provider on a stream of ours, so that our events measure it."""

    backend = "onnxruntime-cuda"

    @classmethod
    def missing(cls) -> str | None:
        if importlib.util.find_spec("onnxruntime") is None:
            return "ONNX Runtime is not installed: pip install 'edgeseg[gpu]'"
        reason = no_cuda()
        if reason is None and _PROVIDER not in _providers():
            reason = "this ONNX Runtime is the CPU's: pip uninstall onnxruntime, pip install 'edgeseg[gpu]'"
        return reason

    def __init__(self, model: ModelFile, settings: EngineSettings) -> None:
        from edgeseg.runtime.engines.onnxruntime_session import open_session, tensors

        cpu = open_session(model, settings, ["CPUExecutionProvider"])  # tells the shapes before memory is taken
        inputs, outputs = tensors(cpu.get_inputs()), tensors(cpu.get_outputs())
        del cpu
        form = form_of(inputs, outputs, model.spec, str(model.path))
        with contextlib.ExitStack() as stack:
            device = CudaDevice()
            stack.callback(device.close)
            self.device = device.gpu.name
            plans = plan_buffers(form, form.outputs, device.gpu.integrated, str(model.path))
            self._slot = InferenceSlot(device, plans, [output.name for output in form.outputs])
            stack.callback(self._slot.close)
            stack.callback(self._release)  # ONNX Runtime's session goes before the memory and the context
            self._session = self._open(model, settings)
            self._adopt(model, inputs, outputs)
            self._binding = self._bound(plans)
            self._held = stack.pop_all()

    def _open(self, model: ModelFile, settings: EngineSettings) -> Any:
        """Return a session with a CUDA graph, or, where a node is left to the CPU, one without."""
        from edgeseg.runtime.engines.onnxruntime_session import open_session

        options = provider_options(self._slot.stream.handle, settings)
        try:
            session = open_session(model, settings, [(_PROVIDER, options), "CPUExecutionProvider"])
        except ModelError:
            if not settings.cuda_graph:
                raise
            options["enable_cuda_graph"] = "0"
            session = open_session(model, settings, [(_PROVIDER, options), "CPUExecutionProvider"])
        if session.get_providers()[0] != _PROVIDER:  # it goes on by the CPU without a word
            raise EngineError(
                "ONNX Runtime could not load its CUDA provider; install the CUDA and cuDNN it was built for"
            )
        return session

    def _bound(self, plans: Sequence[BufferPlan]) -> Any:
        binding = self._session.io_binding()
        for plan in plans:
            address = self._slot.addresses[plan.name]
            bind = binding.bind_input if plan.copies == "in" else binding.bind_output
            bind(plan.name, "cuda", 0, np.dtype(plan.dtype).type, list(plan.shape), address)
        return binding

    def close(self) -> None:
        self._held.close()

    def _infer(self, value: NDArray[Any]) -> tuple[Sequence[NDArray[Any]], float | None]:
        self._slot.submit(value, lambda stream: self._session.run_with_iobinding(self._binding))
        return self._slot.wait()

    def _release(self) -> None:
        self._binding = self._session = None


def provider_options(stream: int, settings: EngineSettings) -> dict[str, str]:
    """Return the CUDA provider's options: our stream, so that its work and our copies keep their order."""
    return {
        "device_id": "0",
        "user_compute_stream": str(stream),
        "cudnn_conv_algo_search": "EXHAUSTIVE",  # during the warm-up; shapes never change
        "enable_cuda_graph": "1" if settings.cuda_graph else "0",
        "use_tf32": "1" if settings.tf32 else "0",
    }


def _providers() -> list[str]:
    import onnxruntime

    found: list[str] = onnxruntime.get_available_providers()
    return found
