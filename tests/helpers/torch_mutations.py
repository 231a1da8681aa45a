"""Changes to a file of PyTorch's: bytes, instructions of pickle, and calls."""

from __future__ import annotations

import pickle
import pickletools
from collections.abc import Iterable

from hypothesis import strategies as st

from tests.helpers.torch_files import ORDERED_DICT, call, name, number, storage, text

Edit = tuple[str, int, bytes]
EDIT_KINDS = ("replace", "insert", "delete")
INSTRUCTIONS = [instruction.code.encode("latin-1") for instruction in pickletools.opcodes]
PHRASES = [
    call(name("os", "abort")),
    name("os", "abort"),
    name("torch", "LongStorage"),
    call(ORDERED_DICT),
    storage("of weight", number(2**31 - 1)),
    number(-1),
    number(2**31 - 1),
    text("of count"),
    pickle.LONG_BINPUT + b"\xff\xff\xff\xff",
    pickle.BINGET + b"\0",
]


def spliced_bytes() -> st.SearchStrategy[bytes]:
    return st.sampled_from(INSTRUCTIONS + PHRASES) | st.binary(min_size=1, max_size=4)


def edited(data: bytes, edits: Iterable[Edit]) -> bytes:
    """Return the data with bytes replaced, inserted or, as many, deleted at each position, modulo the length."""
    for kind, position, part in edits:
        start = position % (len(data) + 1)
        end = start if kind == "insert" else start + len(part)
        data = data[:start] + (b"" if kind == "delete" else part) + data[end:]
    return data
