"""CUDA graphs, which pycuda does not have: work on a stream, recorded once and launched as one."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

from edgeseg.errors import EngineError
from edgeseg.runtime import gpu

_THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: what other threads do meanwhile is no error
_Handle = ctypes.c_void_p


class CudaGraph:
    """Recorded work. Launch it on the stream that it was recorded on, on the thread of its context."""

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
            raise EngineError(f"cannot be recorded as a CUDA graph ({' '.join(str(error).split())[:200]})") from error
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
