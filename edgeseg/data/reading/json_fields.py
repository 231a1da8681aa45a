"""JSON files of labels, and fields of them, with errors that name the file and the place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from edgeseg.core.errors import DataError
from edgeseg.data.reading.pictures import read_text

T = TypeVar("T")
JSON_KINDS = {
    "COCO": ("coco", ("images", "annotations", "categories")),
    "LabelMe": ("labelme", ("shapes", "imagePath")),
}
"""The format that reads each, and the keys that its files have."""


def read_json(path: Path, expected: str) -> dict[str, Any]:
    """Return the object in a JSON file. Raises DataError."""
    try:
        document = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise DataError(f"{path}: line {error.lineno}: {error.msg}; expected {expected}: export it again") from error
    except (RecursionError, ValueError) as error:  # thousands of brackets, or a number of thousands of digits
        raise DataError(f"{path}: {error}; expected {expected}") from error
    if not isinstance(document, dict):
        raise DataError(f"{path}: a {type(document).__name__} is outermost; expected {expected}")
    kind = json_kind(document)
    if kind and expected.split()[0] in JSON_KINDS and not expected.startswith(kind):
        raise DataError(f"{path}: {kind} JSON; expected {expected}: read it as {JSON_KINDS[kind][0]}:PATH")
    return document


def json_kind(document: Mapping[str, Any]) -> str:
    """Return whose labels a JSON object holds, a key of JSON_KINDS, by the names of its keys, or an empty text."""
    return next((kind for kind, (_, keys) in JSON_KINDS.items() if all(key in document for key in keys)), "")


def field(document: Any, key: str, kind: type[T], where: str) -> T:
    """Return a field of a JSON object. Raises DataError, naming `where`, if it is missing or of another kind."""
    value = document.get(key) if isinstance(document, dict) else None
    if type(value) is not kind:
        found = "missing" if value is None else f"a {type(value).__name__}"
        raise DataError(f"{where}: {key!r} is {found}; expected a {kind.__name__}")
    return value
