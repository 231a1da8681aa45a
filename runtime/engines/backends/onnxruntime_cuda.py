"""ONNX Runtime on the GPU, its input and outputs bound to pycuda's memory."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import EngineError
from edgeseg.runtime.engines.base import GraphEngine
from edgeseg.runtime.engines.cuda import CudaDevice, InferenceSlot, no_cuda
from edgeseg.runtime.engines.device_buffers import BufferPlan, plan_buffers
from edgeseg.runtime.engines.graph_form import form_of
from edgeseg.runtime.engines.model_file import ModelFile
from edgeseg.runtime.engines.settings import EngineSettings

_PROVIDER = "CUDAExecutionProvider"
_RUNS_BEFORE_CAPTURE = 4  # it allocates in the first ones, then records (onnxruntime.ai, CUDA, enable_cuda_graph)


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
            self._adopt(model, inputs, outputs)
            self._open(model, settings, plans)
            self._held = stack.pop_all()

    def _open(self, model: ModelFile, settings: EngineSettings, plans: Sequence[BufferPlan]) -> None:
        """Open a session with a CUDA graph, or, where a node is left to the CPU or nothing can be recorded, without.

        It records after the first runs, so these are tried here.
        """
        if settings.cuda_graph and not settings.embedded:
            try:
                self._bind(model, settings, plans, cuda_graph=True)
                frame = np.zeros([int(n or 1) for n in self.form.input.shape], self.form.input.dtype)
                for _ in range(_RUNS_BEFORE_CAPTURE):
                    self._infer(frame)
                return
            except EngineError:
                raise
            except Exception:  # ONNX Runtime's share no base; what is not the graph's fault fails again below
                self._release()
        self._bind(model, settings, plans, cuda_graph=False)

    def _bind(self, model: ModelFile, settings: EngineSettings, plans: Sequence[BufferPlan], cuda_graph: bool) -> None:
        from edgeseg.runtime.engines.onnxruntime_session import open_session

        options = provider_options(self._slot.stream.handle, settings, cuda_graph)
        self._session = open_session(model, settings, [(_PROVIDER, options), "CPUExecutionProvider"])
        binding = self._session.io_binding()
        for plan in plans:
            address = self._slot.addresses[plan.name]
            bind = binding.bind_input if plan.copies == "in" else binding.bind_output
            bind(plan.name, "cuda", 0, np.dtype(plan.dtype).type, list(plan.shape), address)
        self._binding = binding

    def close(self) -> None:
        self._held.close()

    def _infer(self, value: NDArray[Any]) -> tuple[Sequence[NDArray[Any]], float | None]:
        self._slot.submit(value, lambda stream: self._session.run_with_iobinding(self._binding))
        return self._slot.wait()

    def _release(self) -> None:
        self._binding = self._session = None


def provider_options(stream: int, settings: EngineSettings, cuda_graph: bool) -> dict[str, str]:
    """Return the CUDA provider's options: our stream, so that its work and our copies keep their order."""
    return {
        "device_id": "0",
        "user_compute_stream": str(stream),
        "cudnn_conv_algo_search": "EXHAUSTIVE",  # during the warm-up; shapes never change
        "enable_cuda_graph": "1" if cuda_graph else "0",
        "use_tf32": "1" if settings.tf32 else "0",
    }


def _providers() -> list[str]:
    import onnxruntime

    found: list[str] = onnxruntime.get_available_providers()
    return found
