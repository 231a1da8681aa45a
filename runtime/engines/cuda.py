"""pycuda, held together: a context, memory, a stream and its events, all freed at the end of a `with`.

Contexts belong to threads: make, use and close these on one thread. Nothing is allocated at import.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import EngineError, one_line
from edgeseg.runtime.engines.device_buffers import BufferPlan
from edgeseg.runtime.machine import gpu
from edgeseg.runtime.machine.gpu import Gpu, find_gpu, no_gpu

_STREAM_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: it does not wait for the default stream
_THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: what other threads do meanwhile is no error
_Handle = ctypes.c_void_p


def no_cuda() -> str | None:
    """Return what keeps CUDA from being used here, or None."""
    if importlib.util.find_spec("pycuda") is None and no_gpu() is None:
        return "pycuda is not installed: pip install 'edgeseg[tensorrt]'"
    return no_gpu()


class CudaDevice:
    """The first GPU with its primary context, which ONNX Runtime and TensorRT use too. Raises EngineError."""

    def __init__(self) -> None:
        self.gpu: Gpu = find_gpu()
        try:
            import pycuda.driver as driver

            driver.init()
            self._context = driver.Device(0).retain_primary_context()
            self._context.push()
        except ModuleNotFoundError:
            raise
        except Exception as error:  # pycuda's, or ImportError where it was built for another driver
            reason = one_line(error, 200)
            raise EngineError(f"{self.gpu}: pycuda cannot use it ({reason}); check driver and free memory") from error
        self.driver = driver

    def close(self) -> None:
        if self._context is None:
            return
        with contextlib.suppress(Exception):  # after a sticky error nothing can be undone
            self._context.pop()
            # Released by name: pycuda's destructor would detach a primary context as if it were one of its own. It
            # makes the context current for that, and leaves it so.
            self._context.detach()
            ctypes.CDLL(gpu.DRIVER).cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))
        self._context = None

    def memory_error(self, plans: Sequence[BufferPlan]) -> EngineError:
        """Say how much memory was wanted and how much there is."""
        wanted = sum(plan.nbytes for plan in plans) >> 20
        try:
            free, total = (each >> 20 for each in self.driver.mem_get_info())
            there = f"{free} of {total} MB are free"
        except Exception:
            there = "how much is free cannot be asked"
        return EngineError(
            f"{self.gpu.name}: no memory for buffers of {wanted} MB beside the engine, {there}; end other programs"
        )


class InferenceSlot:
    """Memory, a stream and events for one frame at a time.

    Args:
        device: open.
        plans: of edgeseg.runtime.engines.device_buffers.plan_buffers.
        read: names of the outputs that `wait` returns, in this order.
    """

    def __init__(self, device: CudaDevice, plans: Sequence[BufferPlan], read: Sequence[str]) -> None:
        self._driver = device.driver
        self._plans = {plan.name: plan for plan in plans}
        self._host: dict[str, NDArray[Any]] = {}
        self._memory: list[Any] = []
        self.addresses: dict[str, int] = {}
        self._graph: CudaGraph | None = None
        self.stream: Any = None
        try:
            for plan in plans:
                self._allocate(plan)
            self.stream = self._driver.Stream(_STREAM_NON_BLOCKING)
            self._begin, self._end = self._driver.Event(), self._driver.Event()
        except Exception as error:  # pycuda's share no base
            self.close()
            if isinstance(error, self._driver.MemoryError):
                raise device.memory_error(plans) from error
            raise
        self._input = next(plan.name for plan in plans if plan.copies == "in")
        self._read = [self._host[name] for name in read]
        self._copied_out = [plan for plan in plans if plan.copies == "out" and not plan.mapped]

    def submit(self, value: NDArray[Any], compute: Callable[[int], None]) -> None:
        """Begin a frame: copy it in, compute, copy out; `compute` takes the stream's handle and enqueues there."""
        np.copyto(self._host[self._input], value)
        self._begin.record(self.stream)
        if self._graph is not None:
            self._graph.launch(self.stream.handle)
        else:
            self._enqueue(compute)
        self._end.record(self.stream)

    def wait(self) -> tuple[list[NDArray[Any]], float]:
        """End the frame: return copies of the outputs, and the device's milliseconds, transfers included."""
        self.stream.synchronize()
        return [each.copy() for each in self._read], float(self._begin.time_till(self._end))

    def capture(self, compute: Callable[[int], None]) -> None:
        """Record the frame's work as a CUDA graph, to be launched as one from now on. It must have run once before.

        Raises:
            EngineError: it cannot be recorded; the slot works on without.
        """
        self.stream.synchronize()
        self._graph = CudaGraph.captured(self.stream.handle, lambda: self._enqueue(compute))

    def close(self) -> None:
        """Free everything. After an error of the device nothing can be, and nothing is said."""
        with contextlib.suppress(Exception):
            if self._graph is not None:
                self._graph.close()
        self._graph = None
        for memory in self._memory:
            with contextlib.suppress(Exception):
                memory.free()
        self._memory.clear()
        self._host.clear()
        self.stream = self._begin = self._end = None  # pycuda's destructors end the process once the context is gone

    def _enqueue(self, compute: Callable[[int], None]) -> None:
        plan = self._plans[self._input]
        if not plan.mapped:
            self._driver.memcpy_htod_async(self.addresses[plan.name], self._host[plan.name], self.stream)
        compute(self.stream.handle)
        for each in self._copied_out:
            self._driver.memcpy_dtoh_async(self._host[each.name], self.addresses[each.name], self.stream)

    def _allocate(self, plan: BufferPlan) -> None:
        driver = self._driver
        if plan.copies:
            flags = driver.host_alloc_flags.DEVICEMAP if plan.mapped else 0
            array = driver.pagelocked_empty(plan.shape, np.dtype(plan.dtype), "C", flags)
            self._host[plan.name] = array
            self._memory.append(array.base)
            if plan.mapped:
                self.addresses[plan.name] = int(array.base.get_device_pointer())
                return
        memory = driver.mem_alloc(max(1, plan.nbytes))
        self._memory.append(memory)
        self.addresses[plan.name] = int(memory)


class CudaGraph:
    """Work on a stream, recorded once and launched as one; by ctypes, since pycuda has no CUDA graphs.

    Launch it on the stream that it was recorded on, on the thread of its context.
    """

    def __init__(self, executable: ctypes.c_void_p) -> None:
        self._driver = ctypes.CDLL(gpu.DRIVER)
        self._executable = executable

    @classmethod
    def captured(cls, stream: int, enqueue: Callable[[], None]) -> CudaGraph:
        """Record what `enqueue` puts on the stream. Raises EngineError; the stream is usable as before."""
        driver = ctypes.CDLL(gpu.DRIVER)
        graph, executable = _Handle(), _Handle()
        _check("cuStreamBeginCapture", driver.cuStreamBeginCapture_v2(_Handle(stream), _THREAD_LOCAL))
        try:
            enqueue()
        except Exception as error:
            raise EngineError(f"cannot be recorded as a CUDA graph ({one_line(error, 200)})") from error
        finally:
            code = driver.cuStreamEndCapture(_Handle(stream), ctypes.byref(graph))  # ends a failed one too
        _check("cuStreamEndCapture", code)
        flags = ctypes.c_ulonglong(0)
        code = driver.cuGraphInstantiateWithFlags(ctypes.byref(executable), graph, flags)
        driver.cuGraphDestroy(graph)
        _check("cuGraphInstantiate", code)
        return cls(executable)

    def launch(self, stream: int) -> None:
        """Put the recorded work on the stream. Raises EngineError."""
        _check("cuGraphLaunch", self._driver.cuGraphLaunch(self._executable, _Handle(stream)))

    def close(self) -> None:
        if self._executable:
            self._driver.cuGraphExecDestroy(self._executable)
            self._executable = _Handle()


def _check(call: str, code: int) -> None:
    if code:
        raise EngineError(f"{call} failed with CUDA error {code}; restart the process, and check memory and driver")
