"""Class lists in YAML and JSON: a small, strict subset, without a library. What is not in it is refused and quoted.

Understood are

    [road, "traffic sign"]              names in the order of their ids, in one line or several
    {0: road, 7: sky}                   names by id; or {road: 0}, or colours by name, {road: [128, 64, 128]}
    names: [road, sky]                  as in YOLO's data.yaml; also `classes:` and `labels:`, with a block below it
    - road                              a block; lines without flow collections are read as those of a plain list
    - {name: road, id: 0, color: "#804080"}
    - name: road                        keys in lines of their own, indented alike
      color: [128, 64, 128]

and JSON of these, such as the `classes.json` that `edgeseg data masks` writes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from edgeseg.core.errors import DataError
from edgeseg.core.labels import IGNORE_INDEX
from edgeseg.data.class_lists.cells import HEX, NUMBER, tokens_of, without_comment
from edgeseg.data.class_lists.columns import ALPHA, COLOUR, COLUMN_OF, ID, NAME, RGB, ClassLine, is_sensible
from edgeseg.data.class_lists.yaml_subset import Scalar, parse_block, parse_flow

Rows = Sequence[tuple[str, str]]
"""What names a line in messages, and the line with its indentation."""
LISTS = ("names", "classes", "labels")
OTHER_KEYS = ("nc", "path", "train", "val", "test", "ignore_index", "download")
_LIST_KEY = re.compile(rf"\"?({'|'.join(LISTS)})\"?\s*:\s*(?P<value>[\[{{].*)?$")
_KEY = re.compile(r"[A-Za-z_]\w*\s*:(\s|$)")
_ITEM = re.compile(r"-\s+(?P<text>.*)")
EXPECTED = "names, or id, name and color of each class; see docs/data.md for the forms of class lists"


def structured(rows: Rows, where: str) -> list[ClassLine] | None:
    """Return the classes of a list in YAML or JSON, or None for another kind of text. Raises DataError."""
    rows = [(place, _trimmed(raw)) for place, raw in rows]
    rows = [(place, text) for place, text in rows if text.strip() and text.strip() not in ("---", "...")]
    if not rows:
        return None
    first = rows[0][1].strip()
    if first[0] in "[{":
        value = parse_flow(rows)
    elif (first.startswith("- ") and _is_block(rows)) or _keyed(rows):
        value = parse_block(rows)
    else:
        return None
    return _classes(value, where)


def _trimmed(raw: str) -> str:
    """Return a line without its comment, but with its indentation."""
    text = without_comment(raw)
    return raw[: len(raw) - len(raw.lstrip())] + text if text else ""


def _is_block(rows: Rows) -> bool:
    return all(text.startswith(("- ", " ", "\t")) for _, text in rows)


def _keyed(rows: Rows) -> bool:
    """Return whether one of the outermost keys is `names` or the like, with a flow collection or a block as value."""
    for index, (_, text) in enumerate(rows):
        match = _LIST_KEY.match(text)
        below = rows[index + 1][1] if index + 1 < len(rows) else ""
        if match and (match["value"] or below.startswith(("- ", " "))):
            return all(_KEY.match(other) or other.startswith(("- ", " ", "]", "}")) for _, other in rows)
    return False


def _classes(value: Any, where: str) -> list[ClassLine]:
    if isinstance(value, dict) and any(str(key) in LISTS for key in value):
        value = _listed(value, where)
    if isinstance(value, list):
        return _all_or_none([_item(each, where) for each in value], where)
    if isinstance(value, dict) and value:
        return _all_or_none([_pair(key, each, where) for key, each in value.items()], where)
    raise DataError(f"{where}: {_shown(value)}; expected {EXPECTED}")


def _listed(document: dict[Scalar, Any], where: str) -> Any:
    """Return what stands under `names` or the like; the other keys of a data.yaml say nothing of the classes."""
    keys = {str(key): value for key, value in document.items()}
    found = [key for key in keys if key in LISTS]
    odd = [key for key in keys if key not in (*LISTS, *OTHER_KEYS)]
    if len(found) != 1 or odd:
        said = f"keys {' and '.join(found)}" if len(found) != 1 else f"key {odd[0]!r}"
        raise DataError(f"{where}: {said}; expected one of {', '.join(LISTS)}, beside {', '.join(OTHER_KEYS)}")
    listed = keys[found[0]]
    count, void = keys.get("nc"), keys.get("ignore_index")
    if isinstance(count, Scalar) and isinstance(listed, (list, dict)) and str(len(listed)) != str(count):
        raise DataError(f"{where}: nc: {count}, but {len(listed)} {found[0]}; expected as many: correct one of them")
    if void is not None and str(void) != str(IGNORE_INDEX):
        raise DataError(f"{where}: ignore_index {_shown(void)}; expected {IGNORE_INDEX}, as masks have it here")
    return listed


def _item(entry: Any, where: str) -> ClassLine:
    if isinstance(entry, Scalar):
        return ClassLine(entry.where, _name(entry))
    if not isinstance(entry, dict):
        raise DataError(f"{where}: a class is {_shown(entry)}; expected {EXPECTED}")
    columns: dict[str, Any] = {}
    for key, value in entry.items():
        column = COLUMN_OF.get(re.sub(r"[\W_]", "", str(key)).casefold())
        if column is None or column in columns:
            raise DataError(f"{key.where}: key {str(key)!r} of a class; expected name, id, color, or r, g and b, once")
        columns[column] = value
    name = columns.get(NAME)
    if not isinstance(name, Scalar):
        place = next((key.where for key in entry), where)
        raise DataError(f"{place}: a class without name; expected {EXPECTED}")
    colour = columns.get(COLOUR)
    if any(channel in columns for channel in RGB):
        colour = [columns.get(channel) for channel in RGB]
    if ALPHA in columns and str(columns[ALPHA]) != "255":
        raise DataError(f"{name.where}: opacity {_shown(columns[ALPHA])} of {str(name)!r}; expected 255, or none")
    number = _id(columns[ID], name.where) if ID in columns else None
    return ClassLine(name.where, _name(name), None if colour is None else _colour(colour, name.where), number)


def _pair(key: Scalar, value: Any, where: str) -> ClassLine:
    """Return the class of `0: road`, `road: 0`, `road: [128, 64, 128]` or `road: "#804080"`."""
    if key.isdigit() and isinstance(value, Scalar):
        return ClassLine(key.where, _name(value), None, _id(key, key.where))
    if isinstance(value, Scalar) and not value.startswith("#"):
        return ClassLine(key.where, _name(key), None, _id(value, key.where))
    if isinstance(value, dict):
        own = _item({Scalar(NAME, key.where): key, **value} if not key.isdigit() else value, where)
        return own if not key.isdigit() else own._replace(id=_id(key, key.where))
    return ClassLine(key.where, _name(key), _colour(value, key.where))


def _name(text: Scalar) -> str:
    """Return a name; unless it is in quotes, it may be nothing that a line of a plain list would be taken apart for."""
    name = " ".join(text.split())
    kinds = [token.kind for token in tokens_of(name)]
    plain = text.quoted or not ({HEX} & set(kinds) or kinds.count(NUMBER) > 1 or set(kinds) == {NUMBER})
    if not plain or not is_sensible(name, text.quoted):
        raise DataError(f"{text.where}: {name[:80]!r}; expected a class's name, in quotes if it is this one")
    return name


def _id(value: Any, where: str) -> int:
    if not isinstance(value, Scalar) or not re.fullmatch(r"[0-9]{1,5}", value):
        raise DataError(f"{where}: id {_shown(value)}; expected a whole number from 0 to 65535")
    return int(value)


def _colour(value: Any, where: str) -> tuple[int, int, int]:
    if isinstance(value, Scalar) and re.fullmatch(r"#[0-9A-Fa-f]{6}", value):
        return int(value[1:3], 16), int(value[3:5], 16), int(value[5:7], 16)
    channels = value if isinstance(value, list) else []
    good = [each for each in channels if isinstance(each, Scalar) and re.fullmatch(r"[0-9]{1,3}", each)]
    if len(channels) != 3 or len(good) != 3 or any(int(each) > 255 for each in good):
        raise DataError(f'{where}: colour {_shown(value)}; expected red, green and blue, [128, 64, 128], or "#804080"')
    red, green, blue = (int(each) for each in good)
    return red, green, blue


def _all_or_none(classes: list[ClassLine], where: str) -> list[ClassLine]:
    """Return the classes, all with or all without an id and a colour. Raises DataError."""
    for what, has in (("an id", [c.id is not None for c in classes]), ("a colour", [bool(c.colour) for c in classes])):
        if any(has) and not all(has):
            lacking = classes[has.index(False)]
            raise DataError(f"{lacking.where}: {lacking.name!r} has not {what}, others have; expected it for each")
    return classes


def _shown(value: Any) -> str:
    return repr(str(value))[:80]
