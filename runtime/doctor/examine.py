"""`edgeseg doctor`: what this machine has for a camera, what is missing or wrong, and the remedy for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from edgeseg.core.errors import with_type
from edgeseg.runtime.doctor.engines import engines, kept_engines, opencv
from edgeseg.runtime.doctor.findings import Finding, MachineUnderTest
from edgeseg.runtime.doctor.machine import cameras, clocks, gpu, memory, python, system, tools

CHECKS: tuple[Callable[[MachineUnderTest], Iterator[Finding]], ...] = (
    python,
    system,
    opencv,
    engines,
    kept_engines,
    gpu,
    clocks,
    memory,
    cameras,
    tools,
)


def examine(machine: MachineUnderTest | None = None) -> list[Finding]:
    """Look at everything. Never raises: a check that fails is itself a finding."""
    machine = machine or MachineUnderTest()
    findings: list[Finding] = []
    for check in CHECKS:
        try:
            findings += check(machine)
        except Exception as error:  # whatever is broken, the other checks go on
            reason = f"cannot be looked at ({with_type(error)})"
            findings.append(Finding(check.__name__, "warning", reason[:300]))
    return findings


def table(findings: list[Finding]) -> str:
    """Return the findings as text for a terminal, each remedy on a line of its own."""
    width = max(len(finding.what) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{finding.state:<8} {finding.what:<{width}}  {finding.found}")
        if finding.remedy:
            lines.append(f"{'':<9}{'':<{width}}  -> {finding.remedy}")
    return "\n".join(lines)
