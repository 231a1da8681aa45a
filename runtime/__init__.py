"""The vehicle side: camera -> engine -> mask, with the latency of every frame. Never imports TensorFlow.

For a program of one's own: `edgeseg.runtime.stream` (docs/embedding.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgeseg.runtime.api import EngineSettings, RoadSettings, Stream, StreamResult, stream

__all__ = ["EngineSettings", "RoadSettings", "Stream", "StreamResult", "stream"]


def __getattr__(name: str) -> Any:  # OpenCV and the engines are imported by whoever streams, not by `--help`
    if name in __all__:
        from edgeseg.runtime import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
