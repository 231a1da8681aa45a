"""Files made to harm whoever reads them: each is read or refused on one line, and nothing that it names is run."""

from __future__ import annotations

import contextlib
import pickle
import struct
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg.core.errors import ModelError
from edgeseg.models.torch_file import read_torch_file
from edgeseg.models.torch_pickle import RefusedError, read_pickle
from tests.helpers.torch_files import (
    ORDERED_DICT,
    call,
    name,
    number,
    parts_of,
    pickled,
    sequence,
    state_dict,
    storage,
    text,
)
from tests.helpers.torch_mutations import EDIT_KINDS, Edit, edited, spliced_bytes

VALID = parts_of({"weight": np.arange(6, dtype=np.float32).reshape(2, 3), "count": np.array(5, np.int64)})
MANY = 100_000
FLOATS = name("torch", "FloatStorage")
GETATTR = call(name("builtins", "getattr"), ORDERED_DICT, text("__init__"))
DICT = pickle.EMPTY_DICT
STATE = DICT + text("__setstate__") + name("os", "abort") + pickle.SETITEM
DEEP = pickle.EMPTY_TUPLE + pickle.TUPLE1 * MANY
HARMFUL = {
    "os.abort": call(name("os", "abort")),
    "posix.system": call(name("posix", "system"), text("true")),
    "eval": call(name("builtins", "eval"), text("1")),
    "getattr": GETATTR,
    "attribute of an allowed module": call(name("collections", "OrderedDict.fromkeys"), sequence()),
    "torch.load": call(name("torch", "load"), text("x")),
    "another storage": name("torch", "HalfStorage"),
    "stack global": text("os") + text("abort") + pickle.STACK_GLOBAL + sequence() + pickle.REDUCE,
    "INST": pickle.MARK + pickle.INST + b"os\nabort\n",
    "OBJ": pickle.MARK + name("os", "abort") + pickle.OBJ,
    "NEWOBJ": ORDERED_DICT + sequence() + pickle.NEWOBJ,
    "NEWOBJ_EX": ORDERED_DICT + sequence() + DICT + pickle.NEWOBJ_EX,
    "copyreg's registry": pickle.EXT1 + b"\x01",
    "copyreg's registry, 4 bytes": pickle.EXT4 + b"\x01\0\0\0",
    "BUILD of a name": FLOATS + STATE + pickle.BUILD,
    "BUILD of a call": call(FLOATS) + DICT + pickle.BUILD,
    "BUILD of a storage": storage("k", number(1)) + DICT + pickle.BUILD,
    "BUILD of a list": pickle.EMPTY_LIST + DICT + pickle.BUILD,
    "OrderedDict with arguments": call(ORDERED_DICT, pickle.EMPTY_LIST),
    "OrderedDict with no tuple": ORDERED_DICT + pickle.EMPTY_LIST + pickle.REDUCE,
    "a text that is called": call(text("os.abort")),
    "a storage that is called": call(storage("k", number(1))),
    "persistent id of protocol 0": pickle.PERSID + b"k\n",
    "items of a name": FLOATS + text("a") + number(1) + pickle.SETITEM,
    "one item too few": DICT + pickle.MARK + text("a") + pickle.SETITEMS,
    "items of a text": text("a") + number(1) + pickle.APPEND,
    "a key that cannot be hashed": DICT + pickle.EMPTY_LIST + number(1) + pickle.SETITEM,
    "a key nested deeply": DICT + DEEP + number(1) + pickle.SETITEM,
    "tuples nested deeply": DEEP,
    "lists nested deeply": pickle.EMPTY_LIST * MANY + pickle.APPEND * (MANY - 1),
    "calls nested deeply": FLOATS * MANY + pickle.EMPTY_TUPLE + (pickle.TUPLE1 + pickle.REDUCE) * MANY,
    "marks nested deeply": pickle.MARK * MANY,
    "a list in itself": pickle.EMPTY_LIST + pickle.BINPUT + b"\0" + pickle.BINGET + b"\0" + pickle.APPEND,
    "memo of gigabytes": number(1) + pickle.LONG_BINPUT + b"\xff\xff\xff\xff",
    "memo that is empty": pickle.LONG_BINGET + b"\xff\xff\xff\xff",
    "memo of nothing": pickle.BINPUT + b"\0",
    "number of gigabytes": pickle.LONG4 + b"\xff\xff\xff\x7f",
    "number in decimal": pickle.LONG + b"9" * MANY + b"L\n",
    "text of gigabytes": pickle.BINUNICODE + b"\xff\xff\xff\xff",
    "text of exabytes": pickle.BINUNICODE8 + struct.pack("<Q", 2**62),
    "bytearray of exabytes": pickle.BYTEARRAY8 + struct.pack("<Q", 2**62),
    "text that is no UTF-8": pickle.BINUNICODE + b"\1\0\0\0\xff",
    "buffer out of band": pickle.NEXT_BUFFER,
    "frame": pickle.FRAME + struct.pack("<Q", 2**62),
    "name without an end": pickle.GLOBAL + b"o" * MANY,
    "name that is no ASCII": pickle.GLOBAL + b"\xff\n\xff\n",
    "mark that is missing": number(1) + pickle.TUPLE,
    "tuple of nothing": pickle.TUPLE3,
    "nothing": b"",
    "two values": number(1) + number(2),
    "another protocol": pickle.PROTO + b"\5" + number(1),
    "an instruction that is none": b"\xff",
    "instructions without end": pickle.EMPTY_DICT * 1_100_000,
}
_watched: list[tuple[int, list[str]]] = []


def _on_event(event: str, arguments: tuple[Any, ...]) -> None:
    for thread, events in _watched:
        if thread == threading.get_ident():
            events.append(f"{event} {arguments[:1]}")


@pytest.fixture(scope="module", autouse=True)
def _hook() -> None:
    sys.addaudithook(_on_event)  # stays as long as the process: outside watched() it does nothing


@contextlib.contextmanager
def watched() -> Iterator[list[str]]:
    """Collect what Python's audit events report: names found by pickle, imports, files, processes, code."""
    events: list[str] = []
    _watched.append((threading.get_ident(), events))
    try:
        yield events
    finally:
        _watched.pop()


def outcome(path: Path) -> str:
    """Return the line with which a file is refused, or nothing if it is read; no more than that may happen."""
    message = ""
    with watched() as events:
        try:
            read = read_torch_file(path)
        except ModelError as error:
            message = str(error)
    assert [event for event in events if not event.startswith(f"open ({str(path)!r}")] == []
    assert "\n" not in message
    if not message:
        assert all(np.array(values).dtype in (np.float32, np.int64) for values in read.values())
    return message


def test_the_watch_sees_what_pickle_does(tmp_path: Path) -> None:
    made = tmp_path / "made"
    harm = pickled(call(name("os", "mkdir"), text(str(made))))
    with watched() as events:
        pickle.loads(harm)
    assert made.is_dir()
    assert any(event.startswith("pickle.find_class") for event in events)
    made.rmdir()
    for part in range(5):
        (tmp_path / "harm.pth").write_bytes(b"".join([*VALID[:part], harm, *VALID[part + 1 :]]))
        assert outcome(tmp_path / "harm.pth")
    assert not made.exists()


@pytest.mark.parametrize("body", HARMFUL.values(), ids=HARMFUL.keys())
def test_a_harmful_pickle_is_refused_in_each_place(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "harm.pth"
    for part in range(5):
        path.write_bytes(b"".join([*VALID[:part], pickled(body), *VALID[part + 1 :]]))
        assert outcome(path)
    path.write_bytes(b"".join([*VALID[:3], pickled(state_dict({"weight": body})), *VALID[4:]]))
    assert outcome(path)


def test_names_are_allowed_in_the_state_dict_alone(tmp_path: Path) -> None:
    for part in (2, 4):
        (tmp_path / "named.pth").write_bytes(b"".join([*VALID[:part], pickled(call(ORDERED_DICT)), *VALID[part + 1 :]]))
        assert "asks for 'collections.OrderedDict'" in outcome(tmp_path / "named.pth")


@pytest.mark.parametrize(
    "harm", [harm for harm in HARMFUL if "gigabytes" in harm or "exabytes" in harm or "end" in harm]
)
def test_a_harmful_pickle_takes_no_memory(harm: str) -> None:
    data = pickled(HARMFUL[harm])
    tracemalloc.start()
    try:
        with contextlib.suppress(RefusedError):
            read_pickle(data, 0, frozenset({"torch.FloatStorage"}))
        assert tracemalloc.get_traced_memory()[1] < 128 << 20
    finally:
        tracemalloc.stop()


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(EDIT_KINDS), st.integers(0, 1 << 16), spliced_bytes()), min_size=1, max_size=4)
)
def test_a_file_changed_anywhere_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, edits: list[Edit]
) -> None:
    path = tmp_path_factory.getbasetemp() / "changed.pth"
    path.write_bytes(edited(b"".join(VALID), edits))
    outcome(path)
