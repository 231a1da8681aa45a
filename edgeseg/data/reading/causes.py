"""Why a folder of annotations names no class: what is wrong with its files, not what follows from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

from edgeseg.core.errors import DataError

File = TypeVar("File")


def why_no_class(
    files: Sequence[File],
    read: Callable[[File], object],
    left_out: Callable[[File], Iterable[str]] = lambda file: (),
    taken_in: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return why none of the annotation files names a class, as the end of a message.

    Args:
        files: their paths, or what was read of them.
        read: reads one of them; raises DataError.
        left_out: returns what kinds of shapes one of them has that cover no pixels.
        taken_in: the options that draw some of these kinds after all, by kind.
    """
    problems: list[DataError] = []
    kinds: Counter[str] = Counter()
    for file in files:
        try:
            read(file)
            kinds.update(left_out(file))
        except DataError as error:
            problems.append(error)
    if problems:
        of_all = f"{len(problems)} of {len(files)} file(s) cannot be read"
        return f"no class found, for {of_all}: {problems[0]}"
    if kinds:
        listed = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        options = " or ".join(dict.fromkeys(taken_in[kind] for kind in kinds if kind in taken_in))
        draw = f", or have lines drawn: {options}" if options else ""
        return f"no class found, for nothing but {listed} is labelled, which cover no pixels; label areas{draw}"
    return f"no class found in {len(files)} file(s), for no object is labelled with one; expected at least one"
