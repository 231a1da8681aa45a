"""What a soak says: stable, throttled from some minute on, slower without a known reason, leaking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.runtime.machine.load import NOISY_SHARE
from edgeseg.runtime.machine.nvml import POWER_CAP
from edgeseg.runtime.measure.soak import Window

SETTLED_S = 60.0
"""Caches fill and lazy allocations happen in the first minute; of a short soak in its first quarter."""
SLOWER = 1.05
"""Times that rise by more are no noise: two runs of one benchmark may differ by 3 %."""
_CLOCK_FELL = 0.97
_FEWEST = 3  # windows on either side of a change
_FEWEST_IN_ALL = 3 * _FEWEST  # growth is looked for in thirds
_MOSTLY = 0.8
LEAKS = {"memory_mb": 5.0, "gpu_memory_mib": 32.0, "handles": 1.5, "threads": 1.5}
"""Growth over the settled part of a soak that is no fluctuation any more."""
UNITS = {"memory_mb": ("memory", " MB"), "gpu_memory_mib": ("GPU memory", " MiB"), "handles": ("file handles", ""),
         "threads": ("threads", "")}  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """What became of a device and its program.

    Attributes:
        throttled_from: minute from which clocks were held down; None: they were not, as far as the device tells.
        slower_from: minute from which frames took longer, for no reason that the device gives.
        reasons: of either.
        leaking: what kept growing.
        too_few: windows that were all there was to judge by, when nothing else was found; None: there were enough.
    """

    throttled_from: float | None = None
    slower_from: float | None = None
    reasons: tuple[str, ...] = ()
    leaking: tuple[str, ...] = ()
    too_few: int | None = None

    @property
    def is_stable(self) -> bool:
        return self.throttled_from is None and self.slower_from is None and not self.leaking and self.too_few is None

    def __str__(self) -> str:
        said = []
        for word, minute in (("throttled", self.throttled_from), ("slower", self.slower_from)):
            if minute is not None:
                said.append(f"{word} from minute {minute:.1f} ({'; '.join(self.reasons)})")
        said += [f"leaking: {', '.join(self.leaking)}"] if self.leaking else []
        if self.too_few is not None:
            said.append(f"not known: {self.too_few} windows to judge by; expected {_FEWEST_IN_ALL} or more: run longer")
        return ", ".join(said) or "stable"

    def to_dict(self) -> dict[str, Any]:
        return {"text": str(self), "stable": self.is_stable, **asdict(self)}


def settled(windows: Sequence[Window]) -> list[Window]:
    """Return the windows after the first minute, or after the first quarter of a short soak."""
    if not windows:
        return []
    after = min(SETTLED_S / 60, windows[-1].minute / 4)
    return [window for window in windows if window.minute > after]


def judge(windows: Sequence[Window]) -> Verdict:
    """Return the verdict on a soak's windows."""
    later = settled(windows)
    leaking = tuple(text for name in LEAKS if (text := _leak(name, later)))
    told = next((each for each in windows if _hard_reasons(each)), None)
    change = _change(later)
    if told is not None:
        hard = sorted({reason for each in windows for reason in _hard_reasons(each)})
        return Verdict(told.minute, None, tuple(hard), leaking)
    if change is None:
        is_open = not leaking and len(later) < _FEWEST_IN_ALL
        return Verdict(leaking=leaking, too_few=len(later) if is_open else None)
    before, after = later[:change], later[change:]
    times = _median_p50(after) / _median_p50(before)
    slower = f"{times - 1:.0%} slower" if np.isfinite(times) else "no masks any more"
    reasons = _soft_reasons(before, after)
    minute = before[-1].minute
    if reasons:
        return Verdict(minute, None, (slower, *reasons), leaking)
    return Verdict(None, minute, (slower, _no_reason(after)), leaking)


def growth(windows: Sequence[Window]) -> dict[str, dict[str, float]]:
    """Compare what the processes held when the first minute was over with the most they held in any later window."""
    figures = {}
    for name in ("own_mb", "children_mb", "memory_mb", "gpu_memory_mib", "handles", "threads"):
        values = [value for each in settled(windows) if (value := getattr(each, name)) is not None]
        if values:
            first, most = values[0], max(values)
            figures[name] = {"first": round(first, 2), "most": round(most, 2), "grew": round(most - first, 2)}
    return figures


def _hard_reasons(window: Window) -> set[str]:
    """A power limit alone is how a GPU under full load works."""
    return set(window.throttling) - {POWER_CAP}


def _soft_reasons(before: Sequence[Window], after: Sequence[Window]) -> tuple[str, ...]:
    reasons = []
    for name, title in (("gpu_mhz", "GPU"), ("cpu_mhz", "processor")):
        then, now = _mean(before, name), _mean(after, name)
        if then and now and now < _CLOCK_FELL * then:
            reasons.append(f"{title} clock fell from {then:.0f} to {now:.0f} MHz")
    capped = [sum(POWER_CAP in each.throttling for each in part) / len(part) for part in (before, after)]
    return (*reasons, *([POWER_CAP] if capped[1] > capped[0] else []))


def _no_reason(after: Sequence[Window]) -> str:
    others = _mean(after, "others") or 0.0
    if others > NOISY_SHARE:
        return f"others took {others:.0%} of the machine: it was not quiet"
    if all(each.gpu_mhz is None and each.cpu_mhz is None and each.hottest_c is None for each in after):
        return "this machine tells neither clocks nor temperature"
    return "neither clocks nor the device give a reason"


def _change(windows: Sequence[Window]) -> int | None:
    """Return from which window on frames took longer for good, None for nowhere."""
    p50 = np.array([each.frame_ms.get("p50", np.inf) for each in windows], np.float64)  # no mask came at all
    where = range(_FEWEST, len(p50) - max(_FEWEST, len(p50) // 10) + 1)  # what is to last must have lasted
    if not where or np.isinf(p50).all():
        return None
    longest = 1e3 * p50[np.isfinite(p50)].max()
    finite = np.minimum(p50, longest)
    index = min(where, key=lambda index: _spread(finite[:index]) + _spread(finite[index:]))  # the levels that fit best
    before, after = float(np.median(p50[:index])), p50[index:]
    is_slower = float(np.median(after)) > SLOWER * before and np.mean(after > SLOWER * before) >= _MOSTLY
    return index if is_slower else None


def _spread(values: NDArray[np.float64]) -> float:
    return float(np.abs(values - np.median(values)).sum())


def _leak(name: str, windows: Sequence[Window]) -> str | None:
    """Say how much something grew, if it grew from the first third to the second and from there to the last."""
    values = [value for each in windows if (value := getattr(each, name)) is not None]
    if len(values) < _FEWEST_IN_ALL:
        return None
    thirds: list[NDArray[np.float64]] = np.array_split(np.array(values, np.float64), 3)
    first, second, last = (float(np.median(each)) for each in thirds)
    grown = 1.5 * (last - first)  # from the middle of the first third to that of the last is two thirds of the way
    if grown < LEAKS[name] or min(second - first, last - second) < 0.2 * (last - first):
        return None
    title, unit = UNITS[name]
    return f"{title} grew by {grown:.1f}{unit} in {windows[-1].minute - windows[0].minute:.1f} minutes"


def _mean(windows: Sequence[Window], name: str) -> float | None:
    values = [value for each in windows if (value := getattr(each, name)) is not None]
    return sum(values) / len(values) if values else None


def _median_p50(windows: Sequence[Window]) -> float:
    return float(np.median([each.frame_ms.get("p50", np.inf) for each in windows]))
