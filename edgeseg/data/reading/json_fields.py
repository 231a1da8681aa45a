"""JSON files of labels, and fields of them, with errors that name the file and the place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from edgeseg.core.errors import DataError
from edgeseg.core.json_text import parse_json
from edgeseg.data.reading.pictures import read_text

T = TypeVar("T")
NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")  # 007 is a text: it may stand beside 7
JSON_KINDS = {
    "COCO": ("coco", ("images", "annotations", "categories")),
    "LabelMe": ("labelme", ("shapes", "imagePath")),
}
"""The format that reads each, and the keys that its files have."""


def read_json(path: Path, expected: str) -> dict[str, Any]:
    """Return the object in a JSON file. Raises DataError."""
    document = parse_json(read_text(path), str(path), expected, DataError, finite=False)
    if not isinstance(document, dict):
        raise DataError(f"{path}: a {type(document).__name__} is outermost; expected {expected}")
    kind = json_kind(document)
    if kind and expected.split()[0] in JSON_KINDS and not expected.startswith(kind):
        raise DataError(f"{path}: {kind} JSON; expected {expected}: read it as {JSON_KINDS[kind][0]}:PATH")
    return document


def json_kind(document: Mapping[str, Any]) -> str:
    """Return whose labels a JSON object holds, a key of JSON_KINDS, by the names of its keys, or an empty text."""
    return next((kind for kind, (_, keys) in JSON_KINDS.items() if all(key in document for key in keys)), "")


def whole(value: Any) -> int | None:
    """Return a number as an int if it is whole: some exporters write 5.0 for 5. Anything else is None."""
    if type(value) is float and value.is_integer():
        return int(value)
    return value if type(value) is int else None


def key(document: Any, name: str, where: str) -> int | str:
    """Return an id: a whole number in whatever form (5, 5.0, "5"), or a text. Raises DataError, naming `where`."""
    value = document.get(name) if isinstance(document, dict) else None
    if isinstance(value, str) and value:
        return int(value) if NUMBER.fullmatch(value) else value
    number = whole(value)
    if number is None:
        found = "missing" if value is None else f"{str(value)[:40]!r}"
        raise DataError(f"{where}: {name!r} is {found}; expected an id, a whole number or a text")
    return number


def field(document: Any, key: str, kind: type[T], where: str) -> T:
    """Return a field of a JSON object. Raises DataError, naming `where`, if it is missing or of another kind."""
    value = document.get(key) if isinstance(document, dict) else None
    if type(value) is not kind:
        found = "missing" if value is None else f"a {type(value).__name__}"
        raise DataError(f"{where}: {key!r} is {found}; expected a {kind.__name__}")
    return value
