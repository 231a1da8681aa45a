"""Cases, two at a time, become a row of the table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tests.faults.verdict import TRACEBACK, Finding, Row

Case = TypeVar("Case")
AT_ONCE = 2


def throw(name: str, cases: Iterable[Case], run: Callable[[Case], list[Finding]], at_once: int = AT_ONCE) -> Row:
    """Run cases, `at_once` beside each other."""
    row = Row(name)

    def judged(case: Case) -> list[Finding]:
        try:
            return run(case)
        except Exception as error:  # of the harness or of what it calls: a finding, and the others go on
            return [Finding(TRACEBACK, str(case)[:200], f"{type(error).__name__}: {error}"[:300])]

    with ThreadPoolExecutor(at_once) as pool:
        for findings in pool.map(judged, cases):
            row.thrown += 1
            row.findings += findings
    return row
