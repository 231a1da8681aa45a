"""Parse a file and build an engine with NVIDIA's library, in a process of its own: `python -m ... FILE` prints JSON.

A crash in that library, or its hundreds of megabytes, stay here.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections import Counter
from typing import Any

LIBRARIES = ("tensorrt", "tensorrt_rtx")


def build(path: str) -> dict[str, Any]:
    """Return what the library says of an ONNX file; `accepted` is None where the library itself does not work here."""
    trt = _library()
    found: dict[str, Any] = {"library": trt.__name__, "version": trt.__version__, "accepted": None, "errors": []}
    logger = _logger(trt)
    builder = trt.Builder(logger)
    network = builder.create_network(_flags(trt))
    parser = trt.OnnxParser(network, logger)
    parsed = parser.parse_from_file(path)
    found["errors"] = [parser.get_error(i).desc() for i in range(parser.num_errors)]
    types = Counter(network.get_layer(i).type.name for i in range(network.num_layers))
    found["layers"] = dict(sorted(types.items()))
    engine = builder.build_serialized_network(network, builder.create_builder_config()) if parsed else None
    found["accepted"] = engine is not None
    found["engine_bytes"] = engine.nbytes if engine is not None else 0
    found["errors"] += logger.errors
    found["warnings"] = sorted(set(logger.warnings))
    return found


def _library() -> Any:
    for name in LIBRARIES:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise ImportError(f"none of {', '.join(LIBRARIES)} is installed")


def _flags(trt: Any) -> int:
    """TensorRT 8 wants EXPLICIT_BATCH; 10 is told to keep the graph's own precision; 11 and RTX know nothing else."""
    known = getattr(trt, "NetworkDefinitionCreationFlag", None)
    version = int(trt.__version__.split(".")[0])
    if known is None or trt.__name__ == "tensorrt_rtx" or version > 10:
        return 0
    return 1 << int(known.EXPLICIT_BATCH if version < 10 else known.STRONGLY_TYPED)


def _logger(trt: Any) -> Any:
    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []
            self.warnings: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.errors.append(message)
            elif severity == trt.ILogger.WARNING:
                self.warnings.append(message)

    return Logger()


if __name__ == "__main__":
    print("\n" + json.dumps(build(sys.argv[1])))
