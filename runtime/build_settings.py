"""How an engine is built. Nothing heavy is imported here: the commands' --help reads it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgeseg.errors import UsageError
from edgeseg.setting import check_settings, setting


@dataclass(frozen=True)
class BuildSettings:
    """How an engine is built. Raises UsageError for a value that makes no sense."""

    workspace_mb: int = setting(0, "GPU memory that layers may use while they run, 0 for no limit", (0, 1_000_000))
    tf32: bool = setting(False, "round float32 products to TF32: faster, but beyond what the export has proven")
    timing_cache: str = setting("", "file that keeps measured times between builds; none by default with TensorRT-RTX")
    compute_capability: str = setting("", "of TensorRT-RTX without a GPU here: 8.6 or 8.6,8.9; any by default")

    def __post_init__(self) -> None:
        check_settings(self)
        if self.compute_capability and not re.fullmatch(r"\d+\.\d(,\d+\.\d)*", self.compute_capability):
            raise UsageError(f"compute capability {self.compute_capability!r}; expected 8.6, or a list as 8.6,8.9")
