"""Semantic segmentation on embedded NVIDIA GPUs: train, export to ONNX, stream a camera, time every frame.

For frames of a program of one's own: `edgeseg.load` (docs/embedding.md).
"""

import os
from typing import TYPE_CHECKING

# ONNX Runtime's wheels send Microsoft what runs where, unless this is set before they are loaded (its Privacy.md).
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = ["Net", "Result", "__version__", "load"]

if TYPE_CHECKING:
    from edgeseg.runtime.net import Net, Result, load

    __version__: str
else:

    def __getattr__(name):  # importlib.metadata is a tenth of what `--help` would cost, the engines more
        if name in ("Net", "Result", "load"):
            from edgeseg.runtime import net

            return getattr(net, name)
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("edgeseg")
        except PackageNotFoundError:  # a source tree on sys.path that was never installed
            return "0+unknown"

    def __dir__():
        return sorted([*globals(), *__all__])
