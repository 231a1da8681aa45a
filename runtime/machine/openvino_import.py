"""OpenVINO without its telemetry."""

from __future__ import annotations

import sys
from typing import Any

_TELEMETRY = "openvino_telemetry"


def import_openvino() -> Any:
    """Return the module `openvino`; raises ImportError where it is not installed.

    Its import tells Google Analytics of each run, in a process of its own and with an identity that it leaves in the
    home folder, unless a file there forbids it; no variable does. Without the package that sends, it uses a stub.
    """
    absent = "openvino" not in sys.modules and _TELEMETRY not in sys.modules
    if absent:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
    try:
        import openvino
    finally:
        if absent:
            del sys.modules[_TELEMETRY]
    return openvino
