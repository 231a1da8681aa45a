"""Label files with faults in them, and what a reader must make of them: labels, or one line that says what is wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

from edgeseg.core.errors import EdgesegError
from edgeseg.data.argument import open_dataset

VALUES = [
    *("", " ", "-1", "0", "1", "2.5", "1e9", "1e308", "1e999", "nan", "-inf", "07", "99999999999999999999", "9" * 5000),
    *("road", "ignore", "../a.png", "a\\b", "a,b;c,d", "0,0", "0, 8", "8, 0", "\u0660", "\U0001f697", "&#0;", "&lt;"),
]
UNFORESEEN = re.compile(r"cannot be read \(\w+(Error|Exception|Interrupt|Exit)\b")
"""How a sample says that its code raised what it should not."""


def mutated(data: bytes, random: Random, phrases: Sequence[bytes] = ()) -> bytes:
    """Return the data with one to three changes: of values, bytes, and phrases copied, cut or put in."""
    for _ in range(random.randint(1, 3)):
        data = random.choice(KINDS)(data, random, phrases)
    return data


def _bytes(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    place = random.randrange(len(data) + 1)
    return data[:place] + random.randbytes(random.randint(1, 3)) + data[place + random.randint(0, 3) :]


def _value(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    found = list(re.finditer(rb'"[^"<>]{0,200}"|(?<=>)[^<>]{1,60}(?=<)|[0-9.]+', data))
    if not found:
        return data
    match = random.choice(found)
    value = random.choice(VALUES).encode()
    return data[: match.start()] + (b'"%s"' % value if match[0][:1] == b'"' else value) + data[match.end() :]


def _copied(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    start = random.randrange(len(data) + 1)
    part = data[start : start + random.randint(1, 200)]
    place = random.randrange(len(data) + 1)
    return data[:place] + part * random.randint(1, 3) + data[place:]


def _cut(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    start = random.randrange(len(data) + 1)
    return data[:start] + data[start + random.randint(1, 200) :]


def _phrase(data: bytes, random: Random, phrases: Sequence[bytes]) -> bytes:
    if not phrases:
        return _value(data, random, phrases)
    places = [match.end() for match in re.finditer(rb">|PK..", data)] or [len(data)]
    place = random.choice(places)
    return data[:place] + random.choice(phrases) + data[place:]


def overwritten(data: bytes, random: Random, last: int) -> bytes:
    """Return the data with one to three of its last bytes replaced by others."""
    changed = bytearray(data)
    for _ in range(random.randint(1, 3)):
        changed[-random.randint(1, min(last, len(data)))] = random.choice((0, 1, 0x7F, 0xFF, random.randrange(256)))
    return bytes(changed)


KINDS = (*(_value,) * 12, _bytes, _copied, _cut, _phrase)  # most leave a file that is parsed


def reads_or_says(argument: str) -> str:
    """Return what came of a data set: `read`, `some` where a sample was refused, or `refused`.

    Raises AssertionError where a refusal is no line, or where it was not foreseen.
    """
    try:
        dataset = open_dataset(argument)
        samples = [each for split in dataset.splits for each in dataset.split(split, complete=False)]
    except EdgesegError as error:
        _assert_foreseen(error)
        return "refused"
    outcome = "read"
    for sample in samples:
        try:
            sample.read()
        except EdgesegError as error:
            _assert_foreseen(error)
            outcome = "some"
    return outcome


def _assert_foreseen(error: EdgesegError) -> None:
    text = str(error)
    assert text.strip()
    assert "\n" not in text
    assert not UNFORESEEN.search(text), text
