"""What `edgeseg doctor` finds, and the machine that it looks at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from edgeseg.runtime.machine import facts
from edgeseg.runtime.machine.gpu import Gpu, NoGpuError, find_gpu

STATES = ("good", "note", "warning", "missing")
"""`missing`: nothing runs before it is mended, and the command ends with exit code 1."""


@dataclass(frozen=True)
class Finding:
    """One line of the table.

    Attributes:
        what: what was looked at.
        state: one of STATES.
        found: what was found.
        remedy: what to do; empty where nothing is to be done.
    """

    what: str
    state: str
    found: str
    remedy: str = ""

    def to_dict(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True)
class MachineUnderTest:
    """The machine that is looked at.

    Attributes:
        root: where its files lie; another than / in tests.
        probe: tries a library, as facts.probe does.
        models: ONNX files, engines and folders of them that the user asks about.
        first_gpu: finds the GPU, as edgeseg.runtime.machine.gpu.find_gpu does.
    """

    root: Path = Path("/")
    probe: Callable[[str], dict[str, Any]] = field(default=cache(facts.probe))
    models: tuple[Path, ...] = ()
    first_gpu: Callable[[], Gpu] = find_gpu

    @cached_property
    def jetson(self) -> bool:
        return facts.is_jetson(self.root)

    @cached_property
    def gpu(self) -> Gpu | None:
        try:
            return self.first_gpu()
        except NoGpuError:
            return None

    @cached_property
    def gpus(self) -> list[dict[str, str]]:
        return facts.gpus()
