"""Stand-ins for pycuda, the GPU and ONNX Runtime's CUDA provider, that work in the host's memory and fail when told to.

`Cuda` notes what is made and what goes, in which order: what goes after its context has gone would end the process.
`Onnxruntime` computes by ONNX Runtime's CPU provider on the addresses that were bound.
"""

from __future__ import annotations

import ctypes
import sys
import weakref
from collections.abc import Sequence
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from edgeseg.runtime.engines import cuda
from edgeseg.runtime.engines.backends import onnxruntime_cuda, tensorrt
from edgeseg.runtime.machine.gpu import Gpu

ORIN = Gpu("Orin", "8.7", 8, 8192, integrated=True)
CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
_Session = onnxruntime.InferenceSession


class LogicError(Exception):
    """As pycuda.driver.LogicError."""


class OutOfMemoryError(Exception):
    """As pycuda.driver.MemoryError."""


class Cuda:
    """What has happened on the device.

    Attributes:
        events: in their order: `context gone`, `Stream gone`, ...
        severities: of ONNX Runtime's default logger, as they were set.
        fail_at: a call that fails, with what it raises.
    """

    def __init__(self) -> None:
        self.events: list[str] = []
        self.severities: list[int] = []
        self.fail_at: dict[str, Exception] = {}

    def reached(self, call: str) -> None:
        if call in self.fail_at:
            raise self.fail_at[call]

    def module(self) -> Any:
        """Return what stands for pycuda.driver."""
        driver: Any = ModuleType("pycuda.driver")
        driver.init = lambda: self.reached("init")
        driver.Device = lambda index: SimpleNamespace(retain_primary_context=lambda: _Context(self))
        driver.Stream = lambda flags: _Thing(self, "Stream", handle=0x77)
        driver.Event = lambda: _Thing(self, "Event")
        driver.MemoryError, driver.LogicError, driver.Error = OutOfMemoryError, LogicError, Exception
        driver.host_alloc_flags = SimpleNamespace(DEVICEMAP=2)
        driver.pagelocked_empty = lambda *arguments: _pagelocked(self, *arguments)
        driver.mem_get_info = lambda: (1 << 20, 8 << 20)
        return driver


class _Context:
    def __init__(self, device: Cuda) -> None:
        self._device = device
        device.reached("retain_primary_context")

    def push(self) -> None:
        self._device.reached("push")

    def pop(self) -> None:
        pass

    def detach(self) -> None:
        self._device.events.append("context gone")


class _Thing:
    """A stream or an event; pycuda's destructor makes the context current, which must still be there."""

    def __init__(self, device: Cuda, name: str, **more: Any) -> None:
        device.reached(name)
        self.__dict__.update(more)
        weakref.finalize(self, device.events.append, f"{name} gone")

    def record(self, stream: object) -> None:
        pass

    def synchronize(self) -> None:
        pass

    def time_till(self, other: object) -> float:
        return 1.0


class _Pinned(np.ndarray):
    """An array whose base can be freed and has an address for the device."""

    @property
    def base(self) -> Any:
        return SimpleNamespace(get_device_pointer=lambda: self.ctypes.data, free=lambda: None)


def _pagelocked(device: Cuda, shape: Sequence[int], kind: Any, order: str, flags: int) -> Any:
    device.reached("pagelocked_empty")
    return np.asarray(np.zeros(shape, kind)).view(_Pinned)


class Session:
    """An InferenceSession on the CUDA provider: it captures its graph after its second run, as ONNX Runtime does."""

    made: ClassVar[list[Session]] = []
    capture_error: ClassVar[Exception | None] = None
    create_error: ClassVar[Exception | None] = None
    run_error: ClassVar[Exception | None] = None

    def __init__(self, source: Any, options: Any, providers: Sequence[Any], enable_fallback: int = 1) -> None:
        names = [each if isinstance(each, str) else each[0] for each in providers]
        self._on_cpu = _Session(source, options, providers=[CPU])
        self._names, self.fallback = names, enable_fallback
        self.options = dict(providers[0][1]) if names[0] == CUDA else {}
        if names[0] == CUDA:
            Session.made.append(self)
            if Session.create_error:
                raise Session.create_error
        self.runs = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._on_cpu, name)

    def get_providers(self) -> list[str]:
        return self._names

    def io_binding(self) -> _Binding:
        return _Binding()

    def run_with_iobinding(self, binding: _Binding) -> None:
        self.runs += 1
        if Session.run_error:
            raise Session.run_error
        if self.options.get("enable_cuda_graph") == "1" and self.runs > 2 and Session.capture_error:
            raise Session.capture_error
        feed = {name: each.array() for name, each in binding.inputs.items()}
        results = self._on_cpu.run(list(binding.outputs), feed)
        for each, value in zip(binding.outputs.values(), results, strict=True):
            each.array()[...] = value


class _Bound(SimpleNamespace):
    def array(self) -> NDArray[Any]:
        count = int(np.prod(self.shape)) * np.dtype(self.kind).itemsize
        memory = (ctypes.c_char * count).from_address(self.address)
        return np.asarray(np.frombuffer(memory, self.kind)).reshape(tuple(self.shape))


class _Binding:
    def __init__(self) -> None:
        self.inputs: dict[str, _Bound] = {}
        self.outputs: dict[str, _Bound] = {}

    def bind_input(self, name: str, device: str, index: int, kind: Any, shape: list[int], address: int) -> None:
        self.inputs[name] = _Bound(kind=kind, shape=shape, address=address)

    def bind_output(self, name: str, device: str, index: int, kind: Any, shape: list[int], address: int) -> None:
        self.outputs[name] = _Bound(kind=kind, shape=shape, address=address)


def use(monkeypatch: pytest.MonkeyPatch) -> Cuda:
    """Put the stand-ins where pycuda, the driver and ONNX Runtime's session are."""
    device = Cuda()
    driver = device.module()
    package: Any = ModuleType("pycuda")
    package.driver = driver
    monkeypatch.setitem(sys.modules, "pycuda", package)
    monkeypatch.setitem(sys.modules, "pycuda.driver", driver)
    monkeypatch.setattr(onnxruntime_cuda, "no_cuda", lambda: None)
    monkeypatch.setattr(tensorrt, "no_cuda", lambda: "there is no TensorRT here")
    monkeypatch.setattr(cuda, "find_gpu", lambda: ORIN)
    monkeypatch.setattr(
        cuda, "gpu", SimpleNamespace(DRIVER=None)
    )  # the program itself, which has no such calls: they are suppressed
    monkeypatch.setattr(onnxruntime_cuda, "_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    monkeypatch.setattr(onnxruntime, "set_default_logger_severity", device.severities.append)
    Session.made, Session.capture_error, Session.create_error, Session.run_error = [], None, None, None
    return device
