"""TOML text, with errors that say whose it is."""

from __future__ import annotations

import sys
from typing import Any

from edgeseg.core.errors import EdgesegError, UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def parse_toml(text: str, where: str, expected: str, error: type[EdgesegError] = UsageError) -> dict[str, Any]:
    """Return the tables of a TOML document.

    Args:
        text: the document.
        where: begins the message: the file's name.
        expected: ends it.
        error: raised if it is no TOML.
    """
    try:
        document: dict[str, Any] = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as fault:
        raise error(f"{where}: not TOML ({fault}); expected {expected}") from fault
    return document
