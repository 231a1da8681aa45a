"""What was thrown and what came of it, as a table for the terminal and for docs/reliability.md."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path

from tests.faults.verdict import KINDS, Row

BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"


def table(rows: Sequence[Row], seed: int, minutes: float) -> str:
    """Return the rows as Markdown, with their sums and how they came about."""
    lines = [
        f"| thrown | number | refused | {' | '.join(KINDS)} |",
        "|---|---:|---:|" + "---:|" * len(KINDS),
        *(_line(row) for row in rows),
        *(_line(_sum(f"**{name}**", some)) for name, some in _groups(rows)),
        "",
        f"`python -m tests.faults --seed {seed}`, {minutes:.0f} minutes on {_machine()}.",
    ]
    return "\n".join(lines) + "\n"


def _groups(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    return [
        ("faults", [row for row in rows if not row.is_fuzzed]),
        ("fuzzed inputs", [row for row in rows if row.is_fuzzed]),
    ]


def _sum(name: str, rows: Sequence[Row]) -> Row:
    total = Row(name, is_fuzzed=bool(rows) and rows[0].is_fuzzed)
    for row in rows:
        total.add(row)
    return total


def _line(row: Row) -> str:
    refused = f"{row.refused:,}" if row.is_fuzzed else ""
    return f"| {row.name} | {row.thrown:,} | {refused} | {' | '.join(str(row.count(kind)) for kind in KINDS)} |"


def _machine() -> str:
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[2]
    return f"{cores} cores (load {load:.0f} in the end), {platform.machine()}, Python {platform.python_version()}"


def write_into(path: Path, text: str) -> None:
    """Replace what stands between the two marks of a document."""
    before, _, rest = path.read_text().partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise SystemExit(f"{path}: no marks {BEGIN} and {END}; expected both")
    path.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}")
