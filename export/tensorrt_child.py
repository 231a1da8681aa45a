"""Parse a file and build an engine with NVIDIA's library, in a process of its own: the file's name in, JSON out.

A crash in that library, or its hundreds of megabytes, stay here.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import Any

from edgeseg.runtime.engines.tensorrt_library import creation_flags, library, load_plugins, make_logger


def build(name: str, path: str) -> dict[str, Any]:
    """Return what one of NVIDIA's libraries says of an ONNX file. Raises whatever keeps it from working here."""
    trt = library(name)
    found: dict[str, Any] = {"library": trt.__name__, "version": trt.__version__, "accepted": None, "errors": []}
    logger = make_logger(trt)
    builder = trt.Builder(logger)
    network = builder.create_network(creation_flags(trt))
    load_plugins(trt, logger)
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
    """Print what a library says of a file, both named by the command line, as one line of JSON."""
    print("\n" + json.dumps(build(*sys.argv[1:])))
