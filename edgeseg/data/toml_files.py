"""TOML files, with errors that name the file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from edgeseg.data.files import read_text
from edgeseg.errors import DataError


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file. Raises DataError."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        document: dict[str, Any] = tomllib.loads(read_text(path))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise DataError(f"{path}: not TOML ({error}); expected the declaration of a data set") from error
    return document
