"""Parse a file and build an engine with NVIDIA's library, in a process of its own: the file's name in, JSON out.

A crash in that library, or its hundreds of megabytes, stay here.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import Any

from edgeseg.runtime.engines.tensorrt_library import creation_flags, library, make_logger


def build(path: str) -> dict[str, Any]:
    """Return what the library says of an ONNX file; `accepted` is None where the library itself does not work here."""
    trt = library()
    found: dict[str, Any] = {"library": trt.__name__, "version": trt.__version__, "accepted": None, "errors": []}
    logger = make_logger(trt)
    builder = trt.Builder(logger)
    network = builder.create_network(creation_flags(trt))
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


def main() -> None:
    """Print what the library says of the file that the command line names, as one line of JSON."""
    print("\n" + json.dumps(build(sys.argv[1])))
