"""PyTorch's legacy files, written without PyTorch: by instruction, so that they can also be wrong."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, 2)
VERSION = pickle.dumps(1001, 2)
MACHINE = pickle.dumps({"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}, 2)
KINDS = {"float32": "FloatStorage", "int64": "LongStorage"}


def pickled(body: bytes) -> bytes:
    return pickle.PROTO + b"\x02" + body + pickle.STOP


def number(value: int) -> bytes:
    return pickle.BININT + struct.pack("<i", value)


def text(value: str) -> bytes:
    return pickle.BINUNICODE + struct.pack("<I", len(value.encode())) + value.encode()


def sequence(*items: bytes) -> bytes:
    return pickle.MARK + b"".join(items) + pickle.TUPLE


def numbers(values: Sequence[int]) -> bytes:
    return sequence(*[number(value) for value in values])


def name(module: str, attribute: str) -> bytes:
    return pickle.GLOBAL + f"{module}\n{attribute}\n".encode()


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + sequence(*arguments) + pickle.REDUCE


ORDERED_DICT = name("collections", "OrderedDict")
REBUILD = name("torch._utils", "_rebuild_tensor_v2")


def storage(key: str, count: bytes, kind: str = "FloatStorage", view: bytes = pickle.NONE) -> bytes:
    identity = sequence(text("storage"), name("torch", kind), text(key), text("cpu"), count, view)
    return identity + pickle.BINPERSID


def tensor(kept: bytes, shape: bytes, strides: bytes, offset: bytes | None = None) -> bytes:
    return call(REBUILD, kept, offset or number(0), shape, strides, pickle.NEWFALSE, call(ORDERED_DICT))


def state_dict(tensors: Mapping[str, bytes]) -> bytes:
    """Return the body of a state dict, with the attribute that torch gives it."""
    items = b"".join(text(key) + value for key, value in tensors.items())
    metadata = pickle.EMPTY_DICT + text("_metadata") + call(ORDERED_DICT) + pickle.SETITEM
    return call(ORDERED_DICT) + pickle.MARK + items + pickle.SETITEMS + metadata + pickle.BUILD


def key_list(*keys: str) -> bytes:
    return pickle.EMPTY_LIST + pickle.MARK + b"".join(map(text, keys)) + pickle.APPENDS


def stored(values: NDArray[Any]) -> bytes:
    return struct.pack("<q", values.size) + values.tobytes()


def parts_of(arrays: Mapping[str, NDArray[Any]]) -> list[bytes]:
    """Return the five pickles and the values of a file, each array in a storage of its own."""
    tensors, values = {}, b""
    for key, array in arrays.items():
        strides = [stride // array.itemsize for stride in np.array(array, order="C").strides]
        kept = storage(f"of {key}", number(array.size), KINDS[array.dtype.name])
        tensors[key] = tensor(kept, numbers(array.shape), numbers(strides))
        values += stored(array)
    keys = key_list(*[f"of {key}" for key in arrays])
    return [MAGIC, VERSION, MACHINE, pickled(state_dict(tensors)), pickled(keys), values]


def write_torch_file(path: Path, arrays: Mapping[str, NDArray[Any]]) -> Path:
    """Write float32 and int64 arrays as the state dict of a network."""
    path.write_bytes(b"".join(parts_of(arrays)))
    return path
