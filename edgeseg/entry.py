"""The first lines of a program: what can happen while its modules are still being imported."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stoppable(program: str) -> Iterator[None]:
    """End the program at a Ctrl-C with one line and code 130, as run_command does as soon as it is imported."""
    try:
        yield
    except KeyboardInterrupt:
        print(f"{program}: stopped", file=sys.stderr)
        sys.exit(130)
