"""Would TensorRT take the file? NVIDIA's own parser and builder where they are installed, and the rule table always."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeseg.core.errors import ModelError, one_line
from edgeseg.runtime.engines.tensorrt_library import PRODUCTS, library_names
from edgeseg.runtime.machine.child import run_child

BUILD_TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Readiness:
    """What is known of a file and TensorRT.

    Attributes:
        refused_by_rules: what each version's rule table objects to, by version.
        library: for example `TensorRT-RTX 1.7.1.116`; empty if none was asked.
        accepted: the library parsed the file and built an engine; None if it could not say.
        layers: number of layers of the library's network by type.
        engine_bytes: size of the engine that was built.
        warnings: what the library warned of, or why it could not say.
    """

    refused_by_rules: dict[str, list[str]]
    library: str = ""
    accepted: bool | None = None
    layers: dict[str, int] = field(default_factory=dict)
    engine_bytes: int = 0
    warnings: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """One line."""
        passed = [name for name, faults in self.refused_by_rules.items() if not faults]
        rules = f"passes the rules of {_listed(passed)}" if passed else "passes the rules of no TensorRT"
        if self.accepted:
            return f"accepted by {self.library}, engine of {self.engine_bytes / 1e6:.1f} MB; {rules}"
        return f"{rules}; {self.warnings[0]}" if self.warnings else rules


def _listed(names: list[str]) -> str:
    """Return `TensorRT 8.6, 10.3 and 11`."""
    *first, last = [name.removeprefix("TensorRT ") for name in names]
    return f"TensorRT {', '.join(first)}{' and ' if first else ''}{last}"


def library_at_hand() -> bool:
    """Whether one of NVIDIA's libraries can be imported."""
    return bool(library_names())


def check_tensorrt(path: Path, rules: dict[str, list[str]], deconvolutions: int) -> Readiness:
    """Parse the file and build an engine with NVIDIA's library, in a process of its own.

    TensorRT itself builds none without a GPU, TensorRT-RTX does: where the one cannot say, the other is asked.

    Args:
        path: the ONNX file.
        rules: from edgeseg.export.tensorrt_rules.check_rules.
        deconvolutions: how many deconvolution layers the library must find.

    Raises:
        ModelError: the library refuses the file, or makes something else of its transposed convolutions.
    """
    silent = []
    for name in library_names():
        found = _asked(name, path)
        if isinstance(found, str):
            silent.append(found)
        else:
            return _judged(found, rules, deconvolutions)
    return Readiness(rules, warnings=silent)


def _asked(name: str, path: Path) -> dict[str, Any] | str:
    """Return what a library says of the file, or why it says nothing."""
    try:
        done = run_child(
            "edgeseg.export.tensorrt_child", name, str(path), capture_output=True, text=True, timeout=BUILD_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return f"{PRODUCTS[name]} built no engine within {BUILD_TIMEOUT_S:.0f} s"
    if done.returncode or not done.stdout.strip():
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return f"{PRODUCTS[name]} could not be run ({last[:200]})"
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])  # of a process of ours
    return answer


def _judged(found: dict[str, Any], rules: dict[str, list[str]], deconvolutions: int) -> Readiness:
    library = f"{PRODUCTS[found['library']]} {found['version']}"
    if not found["accepted"]:
        reason = one_line((found["errors"] or ["no reason given"])[0], 300)
        raise ModelError(f"{library} refuses the ONNX file ({reason}); nothing was written, see --no-tensorrt-check")
    layers = found["layers"]
    if layers.get("DECONVOLUTION", 0) != deconvolutions:
        raise ModelError(
            f"{library} makes {layers.get('DECONVOLUTION', 0)} deconvolutions of the file's {deconvolutions} "
            f"ConvTranspose nodes; expected one of each: nothing was written"
        )
    return Readiness(rules, library, True, layers, found["engine_bytes"], found["warnings"])
