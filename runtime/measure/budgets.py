"""Budgets of a replay: what masks and times must hold to.

[masks]
equal_pixels = 0.999    # at least, of all frames together
worst_frame = 0.99      # at least, of the frame that differs most
mean_iou = 0.98         # at least, between recorded and new masks

[inference]             # a stage; milliseconds, at most
mean = 12.0
max = 40.0
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeseg.core.errors import UsageError, nearest
from edgeseg.core.numbers import Range, shortened
from edgeseg.core.small_files import read_small
from edgeseg.core.toml import parse_toml
from edgeseg.runtime.measure.timings import statistics

STAGES = ("frame", "preprocess", "inference", "postprocess")
MASKS = ("equal_pixels", "worst_frame", "mean_iou")
_TIMES = tuple(statistics([]))
_SHARES, _MILLISECONDS = Range(0, 1), Range(0, 1e9)
_ROOM = 1.25  # above what was measured, for budgets that are drafted


@dataclass(frozen=True)
class Budget:
    """One limit: `name` is as in `masks.equal_pixels` or `inference.max`, `limit` a share at least or ms at most."""

    name: str
    limit: float

    @property
    def at_least(self) -> bool:
        return self.name.startswith("masks.")

    def broken_by(self, value: float) -> bool:
        return not (value >= self.limit if self.at_least else value <= self.limit)  # so written, nan keeps nothing


def read_budgets(path: Path) -> list[Budget]:
    """Read a budgets file. Raises UsageError, naming the key, for anything that is none."""
    try:
        text = read_small(path)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); --write-budgets drafts one") from error
    budgets = []
    for table, limits in parse_toml(text, str(path), "tables such as [inference]").items():
        known = MASKS if table == "masks" else _TIMES
        if table not in ("masks", *STAGES):
            tables = ("masks", *STAGES)
            raise UsageError(f"{path}: [{table}]{nearest(table, tables)}; expected one of {', '.join(tables)}")
        if not isinstance(limits, dict):
            raise UsageError(f"{path}: {table} = {limits!r}; expected a table [{table}]")
        for key, limit in limits.items():
            if key not in known:
                raise UsageError(f"{path}: {table}.{key}{nearest(key, known)}; expected one of {', '.join(known)}")
            allowed = _SHARES if table == "masks" else _MILLISECONDS
            if limit not in allowed:
                raise UsageError(f"{path}: {table}.{key} = {shortened(limit)}; expected {allowed}")
            budgets.append(Budget(f"{table}.{key}", float(limit)))
    return budgets


def with_equal_pixels(budgets: list[Budget], share: float | None) -> list[Budget]:
    """Return the budgets with this one for `masks.equal_pixels`; None changes nothing."""
    name = "masks.equal_pixels"
    return budgets if share is None else [*(each for each in budgets if each.name != name), Budget(name, share)]


def draft(figures: dict[str, dict[str, Any]]) -> str:
    """Return a budgets file with some room for what a replay measured."""
    lines = ["[masks]", *(f"{key} = {_floor(figures['masks'][key])}" for key in MASKS)]
    for stage in ("frame", "inference"):
        key_values = ((key, figures[stage][key] * _ROOM) for key in ("mean", "p99", "max"))
        lines += ["", f"[{stage}]", *(f"{key} = {value:.2f}" for key, value in key_values)]
    return "\n".join(lines) + "\n"


def _floor(share: float) -> float:
    """A little less: of a difference, twice as much may be."""
    return round(max(0.0, 1 - 2 * (1 - share) - 1e-4), 5)
