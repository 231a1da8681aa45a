"""`edgeseg doctor`: what this machine has for a camera, what is missing or wrong, and the remedy for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from edgeseg.runtime.doctor import engines as doctor_cache
from edgeseg.runtime.doctor import engines as doctor_engines
from edgeseg.runtime.doctor import machine as doctor_machine
from edgeseg.runtime.doctor.findings import Finding, Patient

CHECKS: tuple[Callable[[Patient], Iterator[Finding]], ...] = (
    doctor_machine.python,
    doctor_machine.system,
    doctor_engines.opencv,
    doctor_engines.engines,
    doctor_cache.kept_engines,
    doctor_machine.gpu,
    doctor_machine.clocks,
    doctor_machine.memory,
    doctor_machine.cameras,
    doctor_machine.tools,
)


def examine(patient: Patient | None = None) -> list[Finding]:
    """Look at everything. Never raises: a check that fails is itself a finding."""
    patient = patient or Patient()
    findings: list[Finding] = []
    for check in CHECKS:
        try:
            findings += check(patient)
        except Exception as error:  # whatever is broken, the other checks go on
            reason = f"cannot be looked at ({type(error).__name__}: {' '.join(str(error).split())})"
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
