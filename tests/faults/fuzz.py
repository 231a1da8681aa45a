"""python -m tests.faults.fuzz spec 1 0 1000: the inputs 0 to 999 of seed 1; what was found, as JSON."""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import asdict

from tests.faults.fuzzing import fuzz

_MEMORY_BYTES = 6 * 2**30


def main() -> None:
    kind, *numbers = sys.argv[1:]
    seed, first, count = map(int, numbers)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    began = time.process_time()
    row = fuzz(kind, seed, first, count)
    print(f"{count} inputs in {time.process_time() - began:.1f} s of processor time", file=sys.stderr)
    print(json.dumps(asdict(row)))


if __name__ == "__main__":
    main()
