"""What must never happen, whatever is thrown at edgeseg; and the sums of what did."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

from edgeseg.core.errors import EdgesegError

TRACEBACK, SECRET, CODE, LEAK, HUNG = "traceback", "secret", "wrong code", "leak", "hung"
KINDS = (TRACEBACK, SECRET, CODE, LEAK, HUNG)

# Python's own, what C++ and the loader say at their end, and our own words for an error that nobody foresaw.
_TRACES = re.compile(
    r"Traceback \(most recent call last\)|^  File \"|terminate called|core dumped|Segmentation fault|Fatal Python error"
    r"|capture failed: |Exception ignored in|^\w+Error: ",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Finding:
    """One thing that must not be: its kind, the fault that brought it about (with its seed), and what was seen."""

    kind: str
    fault: str
    seen: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.fault}: {self.seen}"


@dataclass
class Row:
    """A row of the table: how much of one sort was thrown, and what came of it."""

    name: str
    thrown: int = 0
    refused: int = 0
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    is_fuzzed: bool = False

    def count(self, kind: str) -> int:
        return Counter(finding.kind for finding in self.findings)[kind]

    def add(self, other: Row) -> None:
        self.thrown += other.thrown
        self.refused += other.refused
        self.findings += other.findings
        self.notes += other.notes


def traces_in(text: str) -> str | None:
    """Return what of a text only a programmer should see, or None."""
    match = _TRACES.search(text)
    return text[match.start() : match.start() + 200] if match else None


def holds_secret(text: str, secret: str) -> bool:
    """Whether a text tells a secret, as it stands or as addresses write it."""
    return bool(secret) and any(form in text for form in {secret, quote(secret, safe=""), quote(secret)})


def judge_output(fault: str, text: str, secret: str = "") -> Iterator[Finding]:
    """Yield what is wrong with what a program said or wrote."""
    if trace := traces_in(text):
        yield Finding(TRACEBACK, fault, trace)
    if holds_secret(text, secret):
        where = next(line for line in text.splitlines() if holds_secret(line, secret))
        yield Finding(SECRET, fault, where[:200])


def judge_error(fault: str, error: BaseException, codes: frozenset[int], secret: str = "") -> Iterator[Finding]:
    """Yield what is wrong with an error that reached a caller in the same process."""
    if not isinstance(error, EdgesegError):
        yield Finding(TRACEBACK, fault, f"{type(error).__name__}: {error}"[:200])
    elif error.exit_code not in codes:
        yield Finding(CODE, fault, f"{error.exit_code} for {error}"[:200])
    if holds_secret(str(error), secret):
        yield Finding(SECRET, fault, str(error)[:200])
