"""Check a bundle's manifest.json: every value that install.sh takes from it, here and nowhere else.

Prints them one a line, in the order of EXPECTED, then the budgets of the self-test as TOML. What cannot be used ends
it with 1 and one line on standard output. Standard library alone: it runs before anything is installed.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

LARGEST = 1 << 20
NAME = r"[0-9A-Za-z][0-9A-Za-z._+-]{0,99}"
EXPECTED = {
    "id": NAME,
    "target": "jetpack6|jetpack7|debian12",
    "python": r"3\.[0-9]{1,2}",
    "machine": NAME,
    "model": rf"model/{NAME}\.onnx",
    "backend": "tensorrt|onnxruntime-cuda|onnxruntime-cpu",
    "edgeseg": NAME,
}


class UnusableError(Exception):
    """What is wrong with it, on one line."""


def read(path: str) -> dict[str, Any]:
    """Return the document of a file: an object, of this format."""
    with open(path, "rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise UnusableError(f"larger than {LARGEST} bytes; expected a manifest")
    try:
        found = json.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise UnusableError(f"not JSON ({shown(str(error))}); expected a manifest: copy the bundle again") from error
    if not isinstance(found, dict):
        raise UnusableError(f"a JSON {type(found).__name__}; expected an object")
    if type(found.get("format")) is not int or found["format"] != 1:
        raise UnusableError(f"format is {shown(found.get('format'))}; expected 1: use the install.sh of that bundle")
    return found


def values(found: dict[str, Any]) -> Iterator[str]:
    """Yield what install.sh takes, each a text that its pattern allows."""
    model = found.get("model")
    found = {**found, "model": model.get("file") if isinstance(model, dict) else model}
    for key, pattern in EXPECTED.items():
        value = found.get(key)
        if not isinstance(value, str) or not re.fullmatch(pattern, value, re.ASCII):
            raise UnusableError(f"{key} is {shown(value)}; expected {pattern}: use the install.sh of that bundle")
        yield value


def budgets(found: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of the self-test's limits."""
    limits = found.get("limits")
    if not isinstance(limits, dict):
        raise UnusableError(f"limits is {shown(limits)}; expected an object with equal_pixels")
    if "equal_pixels" not in limits:
        raise UnusableError("limits.equal_pixels is None; expected a share above 0: without it nothing is tested")
    yield "[masks]"
    for key, limit in limits.items():
        if not re.fullmatch("[a-z][a-z0-9_]{0,49}", key, re.ASCII):
            raise UnusableError(f"limits has {shown(key)}; expected names of the self-test's figures")
        if type(limit) not in (int, float) or not 0 < limit <= 1:
            raise UnusableError(f"limits.{key} is {shown(limit)}; expected a share above 0, at most 1")
        yield f"{key} = {float(limit)}"


def shown(value: object) -> str:
    """Return a value on one line, in ASCII, cut where it is long."""
    text = value if isinstance(value, str) and value.isprintable() and " " in value else ascii(value)
    text = text.encode("ascii", "backslashreplace").decode()
    return text if len(text) <= 100 else text[:100] + "..."


def main(path: str) -> int:
    try:
        found = read(path)
        lines = [*values(found), *budgets(found)]
    except (UnusableError, OSError, RecursionError, MemoryError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        print(f"{ascii(path)[1:-1]}: {reason}")
        return 1
    print(*lines, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
