"""What reading finds that is no error, but must not go unsaid: what is left out by a rule, guessed, or may be wrong.

A reader tells each thing as it meets it (`Tell`); a data set gathers them (`Remarks`), and `edgeseg data check`,
`train` and others say them. What is told of a sample counts once, however often the sample is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, Protocol

Amounts = tuple[int, ...]
"""How much of a remark a sample has: how many objects, or what else the remark counts."""
MOST_NAMED = 8  # classes in a line; check.json has all


class Tell(Protocol):
    """Takes what a reader has to say of one sample. Of a remark and a class the last call counts: it tells all."""

    def __call__(self, remark: Remark, *amounts: int, label: str = "") -> None: ...


def unheard(remark: Remark, *amounts: int, label: str = "") -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Remark:
    """One kind of thing, which may be met in many samples.

    Attributes:
        text: says it, once for all of them.
        is_warning: it may be a mistake; otherwise it is as the format has it, or as the user has said.
    """

    text: str
    is_warning: bool = True

    def line(self, by_label: Mapping[str, Amounts], pictures: int) -> str:
        """Return what a user reads.

        Args:
            by_label: sums over all samples, by class; a remark on no class has the class "".
            pictures: the samples that it was met in.
        """
        counted = sum(amounts[0] for amounts in by_label.values() if amounts)
        return f"{counted} in {number(pictures, 'picture')}: {self.text}" if counted else self.text


@dataclass(frozen=True)
class LeftOut(Remark):
    """Objects or pixels that a rule leaves out; `text` says why.

    Attributes:
        what: what they are, in the plural.
        kind: one word for it, by which a user says that it is meant; empty if there is no such option.
        option: what takes them in, as a user types it; empty if nothing does.
    """

    what: str = ""
    kind: str = ""
    option: str = ""

    def line(self, by_label: Mapping[str, Amounts], pictures: int) -> str:
        counts = Counter({label: amounts[0] for label, amounts in by_label.items()})
        named = ", ".join(f"{label} {count}" for label, count in counts.most_common(MOST_NAMED) if label)
        more = f", and {len(counts) - MOST_NAMED} more classes" if len(counts) > MOST_NAMED else ""
        classes = f" ({named}{more})" if named else ""
        ways = [f"take them in by {self.option}"] if self.option else []
        ways += [f"say leave_out={self.kind} if that is meant"] if self.kind and self.is_warning else []
        what = f"left out: {self.what}: {sum(counts.values())}{classes} in {number(pictures, 'picture')}"
        return f"{what}: {'; '.join([self.text, ' or '.join(ways)] if ways else [self.text])}"


class Remarks:
    """Gathers what is told of the samples of a data set, on any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._told: dict[Remark, dict[str, dict[str, Amounts]]] = {}

    def of(self, sample: str) -> Tell:
        """Return what takes in the remarks on a sample, by its name."""

        def tell(remark: Remark, *amounts: int, label: str = "") -> None:
            with self._lock:
                self._told.setdefault(remark, {}).setdefault(sample, {})[label] = amounts

        return tell

    def take_in_unlabelled(self, pictures: int) -> None:
        """Take in how many pictures of the data set have no mask, if its format leaves them out."""
        if pictures:
            self.of("")(Remark(f"left out: pictures without a mask: {pictures}", is_warning=False))

    def warnings(self) -> list[str]:
        """Return a line on each thing that may be a mistake."""
        return self._lines(lambda remark: remark.is_warning)

    def notes(self) -> list[str]:
        """Return a line on each other thing."""
        return self._lines(lambda remark: not remark.is_warning)

    def left_out(self) -> list[dict[str, Any]]:
        """Return what was left out, by kind and class, as check.json has it."""
        return [
            {"class": label, "what": remark.what, "count": amounts[0], "why": remark.text, "option": remark.option}
            for remark, _, sums in self._summed()
            if isinstance(remark, LeftOut)
            for label, amounts in sums.items()
        ]

    def _lines(self, wanted: Callable[[Remark], bool]) -> list[str]:
        return [remark.line(sums, pictures) for remark, pictures, sums in self._summed() if wanted(remark)]

    def _summed(self) -> list[tuple[Remark, int, dict[str, Amounts]]]:
        with self._lock:
            return [(remark, len(samples), _sums(samples.values())) for remark, samples in self._told.items()]


def _sums(samples: Collection[Mapping[str, Amounts]]) -> dict[str, Amounts]:
    sums: dict[str, Amounts] = {}
    for sample in samples:
        for label, amounts in sample.items():
            before = sums.get(label, (0,) * len(amounts))
            sums[label] = tuple(map(sum, zip(before, amounts, strict=True)))
    return sums


def number(count: int, what: str) -> str:
    """Return `1 error`, `2 errors`."""
    return f"{count} {what}{'' if count == 1 else 's'}"
