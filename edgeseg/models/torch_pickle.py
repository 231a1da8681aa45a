"""The pickles in PyTorch's files, read without `pickle`: nothing is imported or called, whatever they say.

`pickle` runs a program that the file brings along. The machine here knows only the instructions that a state dict
needs (protocol 2, documented in the standard library's pickletools.py). It makes None, truth values, whole numbers,
texts, tuples, lists and dicts, and the three records below for what torch would make; any other instruction is refused.
"""

from __future__ import annotations

import pickle  # the bytes of its instructions, nothing else
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

PROTOCOL_2 = pickle.PROTO + b"\x02"
ORDERED_DICT = "collections.OrderedDict"
MOST_STEPS = 1_000_000  # EfficientNet-Lite's 386 tensors take 15,000; bounds the time, and the memory of empty dicts
MOST_TEXT_BYTES = 1000
MOST_NAME_BYTES = 200


class RefusedError(Exception):
    """Says what a file does or holds, to stand after its name; its reader adds what was expected."""


@dataclass(frozen=True, eq=False)
class Name:
    """A class or function that the file names: only the text, as `torch.FloatStorage`."""

    text: str


@dataclass(frozen=True, eq=False)
class Call:
    """What the file wants made by a function."""

    name: Name
    arguments: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Persistent:
    """What the file keeps outside the pickle, by the tuple that identifies it."""

    identity: Any


def read_pickle(data: bytes, start: int, names: frozenset[str] = frozenset()) -> tuple[Any, int]:
    """Read the pickle at a byte, and allow it these names of classes and functions.

    Returns:
        Its value and where it ends. What is called is a Call, but an empty `collections.OrderedDict` a dict. The value
        may be nested deeply or contain itself: follow it no deeper than is expected.

    Raises:
        RefusedError: damaged, too long, or with a name or an instruction that is not allowed.
    """
    machine = _Machine(data, start, names)
    try:
        return machine.run(), machine.position
    except (IndexError, KeyError, UnicodeDecodeError) as error:  # an empty stack or memo, a text that is no UTF-8
        raise RefusedError("holds a damaged pickle") from error


class _Machine:
    def __init__(self, data: bytes, start: int, names: frozenset[str]) -> None:
        self._data, self.position, self._names = data, start, names
        self._stack: list[Any] = []
        self._below_marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        if self._take(2) != PROTOCOL_2:
            raise RefusedError("holds no pickle of protocol 2 where one belongs")
        for _ in range(MOST_STEPS):
            code = self._take(1)
            if code == pickle.STOP:
                return self._result()
            if code not in _STEPS:
                raise RefusedError(f"holds a pickle with the instruction {code!r}, which this reader does not know")
            _STEPS[code](self)
        raise RefusedError(f"holds a pickle of more than {MOST_STEPS:,} instructions")

    def _result(self) -> Any:
        if len(self._stack) != 1 or self._below_marks:
            raise RefusedError("holds a damaged pickle")
        return self._stack[0]

    def _take(self, size: int) -> bytes:
        taken = self._data[self.position : self.position + size]
        if len(taken) < size:
            raise RefusedError("is cut short")
        self.position += size
        return taken

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def number(self, form: str) -> int:
        (value,) = struct.unpack(form, self._take(struct.calcsize(form)))
        return int(value)

    def text(self) -> str:
        size = self.number("<I")
        if size > MOST_TEXT_BYTES:
            raise RefusedError(f"holds a pickle with a text of {size:,} bytes")
        return self._take(size).decode()

    def name(self) -> Name:
        text = f"{self._line()}.{self._line()}"
        if text not in self._names:
            raise RefusedError(f"asks for {text!r}, which this reader never uses")
        return Name(text)

    def _line(self) -> str:
        end = self._data.find(b"\n", self.position, self.position + MOST_NAME_BYTES)
        if end < 0:
            raise RefusedError("holds a damaged pickle")
        return self._take(end + 1 - self.position)[:-1].decode("ascii", "backslashreplace")

    def mark(self) -> None:
        self._below_marks.append(self._stack)
        self._stack = []

    def since_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._below_marks.pop()
        return items

    def last(self, count: int) -> tuple[Any, ...]:
        return tuple([self._stack.pop() for _ in range(count)][::-1])

    def remember(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def recall(self, index: int) -> None:
        self.push(self._memo[index])

    def append(self, items: list[Any]) -> None:
        if not isinstance(self._stack[-1], list):
            raise RefusedError("holds a damaged pickle")
        self._stack[-1].extend(items)

    def set_items(self, items: list[Any]) -> None:
        keys, values = items[::2], items[1::2]
        if not isinstance(self._stack[-1], dict) or len(keys) != len(values):
            raise RefusedError("holds a damaged pickle")
        for key in keys:  # texts only: the hash of a deeply nested tuple ends the process
            if type(key) is not str:
                raise RefusedError(f"holds a dict with a key of type {type(key).__name__}, not a text")
        self._stack[-1].update(zip(keys, values, strict=True))

    def call(self) -> None:
        name, arguments = self.last(2)
        if not isinstance(name, Name) or not isinstance(arguments, tuple):
            raise RefusedError("holds a damaged pickle")
        if name.text != ORDERED_DICT:
            self.push(Call(name, arguments))
        elif arguments:
            raise RefusedError(f"gives {ORDERED_DICT} arguments, which torch does not")
        else:
            self.push({})

    def drop_attributes(self) -> None:
        """A state dict's one attribute, `_metadata`, holds the versions of torch's layers: no weights."""
        target, _ = self.last(2)
        if not isinstance(target, dict):
            raise RefusedError("sets attributes of something that is no state dict")
        self.push(target)


_STEPS: dict[bytes, Callable[[_Machine], None]] = {
    pickle.NONE: lambda m: m.push(None),
    pickle.NEWTRUE: lambda m: m.push(True),
    pickle.NEWFALSE: lambda m: m.push(False),
    pickle.BININT: lambda m: m.push(m.number("<i")),
    pickle.BININT1: lambda m: m.push(m.number("<B")),
    pickle.BININT2: lambda m: m.push(m.number("<H")),
    pickle.BINUNICODE: lambda m: m.push(m.text()),
    pickle.EMPTY_TUPLE: lambda m: m.push(()),
    pickle.EMPTY_LIST: lambda m: m.push([]),
    pickle.EMPTY_DICT: lambda m: m.push({}),
    pickle.TUPLE1: lambda m: m.push(m.last(1)),
    pickle.TUPLE2: lambda m: m.push(m.last(2)),
    pickle.TUPLE3: lambda m: m.push(m.last(3)),
    pickle.MARK: _Machine.mark,
    pickle.TUPLE: lambda m: m.push(tuple(m.since_mark())),
    pickle.APPEND: lambda m: m.append([*m.last(1)]),
    pickle.APPENDS: lambda m: m.append(m.since_mark()),
    pickle.SETITEM: lambda m: m.set_items([*m.last(2)]),
    pickle.SETITEMS: lambda m: m.set_items(m.since_mark()),
    pickle.BINPUT: lambda m: m.remember(m.number("<B")),
    pickle.LONG_BINPUT: lambda m: m.remember(m.number("<I")),
    pickle.BINGET: lambda m: m.recall(m.number("<B")),
    pickle.LONG_BINGET: lambda m: m.recall(m.number("<I")),
    pickle.GLOBAL: lambda m: m.push(m.name()),
    pickle.BINPERSID: lambda m: m.push(Persistent(*m.last(1))),
    pickle.REDUCE: _Machine.call,
    pickle.BUILD: _Machine.drop_attributes,
}
