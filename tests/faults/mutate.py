"""Ways to damage texts, documents and bytes; each takes its chances from the `Random` that it is given."""

from __future__ import annotations

import copy
import json
from random import Random
from typing import Any

NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 2, 255, 256, 2**31 - 1, 2**31, 2**63, -(2**63), 2**64, 10**400, -(10**400), 0.5, -0.0, 1e-320, 1e308,
    float("nan"), float("inf"), float("-inf"),
)  # fmt: skip
TEXTS = (
    "", " ", "\0", "a\nb", "\x1b[31mred", "\ud800", "\udcff", "\u202e", "\ufeff", "é",
    "a" * 5000, "nan", "inf", "1e999",
    "../../etc/passwd", "/dev/zero", "%s%n{0}{", "99999x99999", "0x0", "1x1", "64x32", "-1x5", "None", "true",
    "\N{ARABIC-INDIC DIGIT THREE}x1",
    "9" * 400,
)  # fmt: skip
BYTES = (
    b"\0",
    b"\xff",
    b"\x80",
    b"\xff\xff\xff\xff",
    b"\0\0\0\0",
    b"\x7f\xff\xff\xff",
    b"\r\n",
    b'"',
    b"{",
    b"[",
    b"\\",
)
_DEPTHS = (2, 50, 900, 3000, 100_000)


def value(draw: Random) -> Any:
    """Return anything that JSON can hold, and some of what only Python's JSON can."""
    kind = draw.randrange(8)
    if kind < 3:
        return draw.choice(NUMBERS)
    if kind < 6:
        return draw.choice(TEXTS)
    if kind == 6:
        return draw.choice((None, True, False, [], {}, [[]], {"": None}))
    return [value(draw) for _ in range(draw.randrange(5))]


def document(valid: Any, draw: Random) -> Any:
    """Return a copy of a JSON document with one to three values, keys or places changed."""
    changed = copy.deepcopy(valid)
    for _ in range(draw.randrange(1, 4)):
        places = list(_places(changed))
        if not places:
            return changed
        holder, key = draw.choice(places)
        _change(holder, key, draw)
    return changed


def _places(node: Any) -> list[tuple[Any, Any]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    found: list[tuple[Any, Any]] = []
    for key, child in items:
        found.append((node, key))
        found += _places(child)
    return found


def _change(holder: Any, key: Any, draw: Random) -> None:
    kind = draw.randrange(6)
    if kind < 3:
        holder[key] = value(draw)
    elif kind == 3:
        del holder[key]
    elif isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    elif kind == 4:
        holder[draw.choice(TEXTS)] = holder.pop(key)
    else:
        holder[key] = [holder[key]]


def json_text(valid: Any, draw: Random) -> str:
    """Return JSON text that is not what it should be: of a changed document, now and then damaged as text as well."""
    kind = draw.randrange(20)
    if kind == 0:
        depth = draw.choice(_DEPTHS)
        opening, closing = draw.choice((("[", "]"), ('{"a":', "}")))
        return opening * depth + "1" + closing * draw.choice((depth, 0))
    if kind == 1:
        return json.dumps(value(draw))
    text = json.dumps(document(valid, draw), ensure_ascii=draw.random() < 0.8)
    return damaged(text.encode(errors="surrogatepass"), draw).decode(errors="surrogateescape") if kind < 6 else text


def damaged(content: bytes, draw: Random) -> bytes:
    """Return bytes with one to four bits, bytes or stretches changed, as disks, cards and people do it."""
    data = bytearray(content)
    for _ in range(draw.randrange(1, 5)):
        at = draw.randrange(len(data) + 1)
        length = draw.choice((1, 1, 2, 4, 16, 512))
        kind = draw.randrange(7)
        if kind == 0:
            del data[at:]
        elif kind == 1:
            del data[at : at + length]
        elif kind == 2:
            data[at : at + length] = bytes(min(length, len(data) - at))
        elif kind == 3:
            data[at:at] = draw.choice(BYTES)
        elif kind == 4:
            data[at:at] = data[at : at + length]
        elif kind == 5:
            data[at : at + length] = draw.randbytes(min(length, len(data) - at))
        elif at < len(data):
            data[at] ^= 1 << draw.randrange(8)
    return bytes(data)
