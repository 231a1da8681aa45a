"""What `edgeseg doctor` and the benchmark try in a process of its own: libraries that may crash when they load.

`main` runs the probe that `sys.argv` names and prints what it found as one line of JSON.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from typing import Any

from edgeseg.core.errors import with_type


def tiny_model() -> bytes:
    """Return an ONNX file of one Relu, float32 [1, 4] `x` to `y`, IR version 8, opset 13, without the onnx package."""

    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2, len(content)]) + content

    def value(name: bytes) -> bytes:
        shape = field(1, b"\x08\x01") + field(1, b"\x08\x04")
        return field(1, name) + field(2, field(1, b"\x08\x01" + field(2, shape)))

    node = field(1, b"x") + field(2, b"y") + field(4, b"Relu")
    graph = field(1, node) + field(2, b"tiny") + field(11, value(b"x")) + field(12, value(b"y"))
    return b"\x08\x08" + field(7, graph) + field(8, b"\x10\x0d")


def opencv() -> dict[str, Any]:
    """OpenCV's version, where it lies, and whether it was built with GStreamer."""
    import cv2

    built = re.search(r"GStreamer:\s+(\S+)", cv2.getBuildInformation())
    return {"version": cv2.__version__, "file": cv2.__file__, "gstreamer": bool(built and built[1].upper() == "YES")}


def onnxruntime() -> dict[str, Any]:
    """ONNX Runtime's version, and for each provider that it names whether a model really runs on it."""
    import numpy as np
    import onnxruntime as ort

    from edgeseg.runtime.machine.onnxruntime_session import ProviderNotLoadedError, make_session

    works: dict[str, str] = {}
    for provider in ort.get_available_providers():
        if provider == "AzureExecutionProvider":  # in every wheel; it asks a server
            continue
        try:
            session = make_session(tiny_model(), [provider])
            (result,) = session.run(None, {"x": np.array([[-1, 0, 1, 2]], np.float32)})
            works[provider] = "" if result.tolist() == [[0, 0, 1, 2]] else f"computes {result.tolist()}"
        except ProviderNotLoadedError as error:
            works[provider] = str(error)
        except Exception as error:
            works[provider] = with_type(error, 300)
    return {"version": ort.__version__, "providers": works}


def openvino() -> dict[str, Any]:
    """OpenVINO's version and devices."""
    from edgeseg.runtime.machine.openvino_import import import_openvino

    ov = import_openvino()
    return {"version": ov.get_version(), "devices": ov.Core().available_devices}


def tensorrt() -> dict[str, Any]:
    """TensorRT's version, and whether a builder can be made."""
    import tensorrt as trt

    return _builder(trt)


def tensorrt_rtx() -> dict[str, Any]:
    """TensorRT-RTX's version, and whether a builder can be made."""
    import tensorrt_rtx as trt

    return _builder(trt)


def _builder(trt: Any) -> dict[str, Any]:
    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    return {"version": trt.__version__, "builder": builder is not None}


def pycuda() -> dict[str, Any]:
    """pycuda's version and the CUDA devices that it finds."""
    import pycuda
    import pycuda.driver as driver

    driver.init()
    devices = [driver.Device(index) for index in range(driver.Device.count())]
    return {
        "version": pycuda.VERSION_TEXT,
        "devices": [f"{device.name()}, compute capability {device.compute_capability()}" for device in devices],
    }


PROBES: dict[str, Callable[[], dict[str, Any]]] = {
    probe.__name__: probe for probe in (opencv, onnxruntime, openvino, tensorrt, tensorrt_rtx, pycuda)
}


def main() -> None:
    """Run the probe that the command line names."""
    try:
        found = PROBES[sys.argv[1]]()
    except Exception as error:
        found = {"error": with_type(error, 300)}
    print(json.dumps(found), flush=True)
