"""The annotation files of a folder, surveyed for their classes: which these are, or why there are none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from edgeseg.core.errors import DataError
from edgeseg.data.reading.shapes import Annotation, Omissions
from edgeseg.data.remarks import LeftOut

File = TypeVar("File")


class Survey(Generic[File]):
    """Annotation files, which are read when their classes are asked for.

    Attributes:
        left_out: what was left out of each of those read.
        has_background: a shape in one of those read is as what lies under no shape.
    """

    def __init__(self, files: Sequence[File], read: Callable[[File], Annotation]) -> None:
        self.files, self._read = files, read
        self.left_out: dict[File, Omissions] = {}
        self.has_background = False

    def names(self) -> Iterator[str]:
        """Yield the class names of all files; one that cannot be read says so when its sample is read."""
        for file in self.files:
            try:
                annotation = self._read(file)
            except DataError:
                continue
            self.has_background |= any(shape.is_background for shape in annotation.shapes)
            if annotation.left_out:
                self.left_out[file] = annotation.left_out
            yield from (shape.label or "" for shape in annotation.shapes if not shape.is_background)

    def why_no_class(self) -> str:
        """Return why none of the files names a class, as the end of a message."""
        return why_no_class(self.files, lambda file: self._read(file).left_out)


def why_no_class(files: Sequence[File], read: Callable[[File], Omissions]) -> str:
    """Return why none of the annotation files names a class, as the end of a message.

    Args:
        files: their paths, or what was read of them.
        read: reads one of them and returns what it leaves out; raises DataError.
    """
    problems: list[DataError] = []
    kinds: Counter[LeftOut] = Counter()
    for file in files:
        try:
            for (reason, _), count in read(file).items():
                kinds[reason] += count if reason.is_warning else 0
        except DataError as error:
            problems.append(error)
    if problems:
        of_all = f"{len(problems)} of {len(files)} file(s) cannot be read"
        return f"no class found, for {of_all}: {problems[0]}"
    kinds = +kinds
    if kinds:
        listed = ", ".join(f"{count} {reason.kind}" for reason, count in kinds.most_common())
        options = " or ".join(dict.fromkeys(reason.option for reason in kinds if reason.option))
        draw = f", or have lines drawn: {options}" if options else ""
        return f"no class found, for nothing but {listed} is labelled, which cover no pixels; label areas{draw}"
    return f"no class found in {len(files)} file(s), for no object is labelled with one; expected at least one"
