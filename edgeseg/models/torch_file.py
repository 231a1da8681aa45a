"""PyTorch's files of weights, without PyTorch and without running anything that they hold.

The legacy form (torch.save before 1.6; torch/serialization.py, _legacy_save) is five pickles: a magic number, the
form's version, facts about the machine, the state dict, and the keys of its storages. The storages follow in this
order, each as its count of values (int64) and the values, little endian.
"""

from __future__ import annotations

import hashlib
import math
import os
import pickle
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import ModelError
from edgeseg.models.torch_pickle import ORDERED_DICT, Call, Name, Persistent, RefusedError, read_pickle

MOST_BYTES = 1 << 30  # twice the 0.55 GB of VGG16, the largest encoder here
MOST_DIMENSIONS = 8
# Written by protocol 2, the first two pickles are the same bytes in every file.
HEADER = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
_COUNT = struct.Struct("<q")
_REBUILD = "torch._utils._rebuild_tensor_v2"
_DTYPES: dict[str, np.dtype[Any]] = {"torch.FloatStorage": np.dtype("<f4"), "torch.LongStorage": np.dtype("<i8")}
_NAMES = frozenset({ORDERED_DICT, _REBUILD, *_DTYPES})
_EXPECTED = (
    "expected a network's float32 and int64 tensors as torch.save(network.state_dict(), FILE, "
    "_use_new_zipfile_serialization=False) writes them: save or download the file again"
)


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype[Any]
    count: int


@dataclass(frozen=True)
class _Tensor:
    """A view into a storage; offset and strides count values."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_torch_file(path: Path, expected_sha256: str = "") -> dict[str, NDArray[Any]]:
    """Return the tensors of a state dict in the legacy form, by name and in the file's order.

    The file is read once: the bytes whose hash is compared are those that are used. No tensor holds more values than
    its storage, but several may show the same ones.

    Args:
        path: the file, of at most 1 GiB.
        expected_sha256: its SHA-256, or the first 8 or more digits; empty: those in its name, if there are any.

    Returns:
        float32 or int64 arrays of any shape and strides, () for a single number; read-only.

    Raises:
        ModelError: it cannot be read, has another hash (then nothing in it was looked at), is damaged, or holds
            anything but tensors of these two types.
    """
    data = _bytes_of(path)
    _check_sha256(path, data, expected_sha256)
    try:
        return _tensors_in(data)
    except RefusedError as error:
        raise ModelError(f"{path}: {error}; {_EXPECTED}") from error


def claimed_sha256(path: Path) -> str:
    """Return the first digits of the SHA-256 that a file's name carries, as torch.hub names files; empty if none.

    >>> claimed_sha256(Path("efficientnet-lite0-57934424.pth"))
    '57934424'
    """
    digits = re.search(r"-([0-9a-f]{8,64})\.\w+$", path.name)
    return digits[1] if digits else ""


def _bytes_of(path: Path) -> bytes:
    try:
        if not path.is_file():  # a pipe would be waited for
            raise ModelError(f"weights {path}: no such file; expected a file of PyTorch's weights: give its path")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            data = file.read(size) if size <= MOST_BYTES else None
    except (OSError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or "out of memory"
        raise ModelError(f"{path}: cannot be read ({reason}); expected a file of PyTorch's weights") from error
    if data is None:
        raise ModelError(f"{path}: holds {size >> 20:,} MiB, more than {MOST_BYTES >> 20:,}; {_EXPECTED}")
    return data


def _check_sha256(path: Path, data: bytes, given: str) -> None:
    expected = given.lower() or claimed_sha256(path)
    if not expected:
        return
    if not re.fullmatch("[0-9a-f]{8,64}", expected):
        raise ModelError(f"{path}: expected a SHA-256 of {given[:80]!r}; give 8 to 64 hexadecimal digits")
    digest = hashlib.sha256(data).hexdigest()
    if not digest.startswith(expected):
        source = "" if given else ", as its name says"
        raise ModelError(
            f"{path}: its SHA-256 begins with {digest[: len(expected)]}, expected {expected}{source}: "
            f"download or install the file again"
        )


def _tensors_in(data: bytes) -> dict[str, NDArray[Any]]:
    if data.startswith(b"PK"):
        raise RefusedError("is of torch's newer zip form")
    if not data.startswith(HEADER):
        raise RefusedError("is not of torch's legacy form")
    machine, position = read_pickle(data, len(HEADER))
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise RefusedError("was not written by a little-endian machine")
    state, position = read_pickle(data, position, _NAMES)
    keys, position = read_pickle(data, position)
    if not isinstance(state, dict):
        raise RefusedError("holds no state dict")
    tensors = {name: _tensor_from(name, value) for name, value in state.items()}
    values = _storages(data, position, keys, _wanted(tensors))
    return {name: _view(values[tensor.storage.key], name, tensor) for name, tensor in tensors.items()}


def _tensor_from(name: str, value: Any) -> _Tensor:
    if not isinstance(value, Call) or value.name.text != _REBUILD or len(value.arguments) != 6:
        raise RefusedError(f"holds {name[:80]!r}, which is no tensor")
    kept, offset, shape, strides, _requires_grad, _hooks = value.arguments
    are_sizes = _are_sizes(shape) and _are_sizes(strides) and _are_sizes((offset,))
    # The product: NumPy makes no array of (0, 2**30, 2**30, 2**30).
    if not are_sizes or len(shape) != len(strides) or math.prod(size or 1 for size in shape) > MOST_BYTES:
        raise RefusedError(f"holds {name[:80]!r}, whose shape is damaged")
    return _Tensor(_storage_from(name, kept), offset, shape, strides)


def _are_sizes(values: Any) -> bool:
    """Say whether these are few whole numbers from 0 up; True and False are none."""
    return (
        type(values) is tuple
        and len(values) <= MOST_DIMENSIONS
        and all(type(value) is int and 0 <= value <= MOST_BYTES for value in values)
    )


def _storage_from(name: str, kept: Any) -> _Storage:
    match kept:
        case Persistent(("storage", Name(kind), str(key), _, count, None)) if kind in _DTYPES and _are_sizes((count,)):
            return _Storage(key, _DTYPES[kind], count)
    raise RefusedError(f"holds {name[:80]!r}, whose storage is damaged")


def _wanted(tensors: dict[str, _Tensor]) -> dict[str, _Storage]:
    wanted: dict[str, _Storage] = {}
    for tensor in tensors.values():
        if wanted.setdefault(tensor.storage.key, tensor.storage) != tensor.storage:
            raise RefusedError(f"describes the storage {tensor.storage.key[:80]!r} in two ways")
    return wanted


def _storages(data: bytes, position: int, keys: Any, wanted: dict[str, _Storage]) -> dict[str, NDArray[Any]]:
    if type(keys) is not list or any(type(key) is not str for key in keys) or sorted(keys) != sorted(wanted):
        raise RefusedError("lists other storages than its tensors use")
    values: dict[str, NDArray[Any]] = {}
    for key in keys:
        dtype, count = wanted[key].dtype, wanted[key].count
        start, end = position + _COUNT.size, position + _COUNT.size + count * dtype.itemsize
        if end > len(data):
            raise RefusedError("is cut short")
        if _COUNT.unpack_from(data, position) != (count,):
            raise RefusedError(f"holds a storage {key[:80]!r} of another size than its tensors say")
        # A copy, since in the file the values may begin at any byte.
        values[key] = np.frombuffer(memoryview(data)[start:end], dtype).copy()
        values[key].flags.writeable = False
        position = end
    if position != len(data):
        raise RefusedError(f"holds {len(data) - position:,} bytes too many")
    return values


def _view(values: NDArray[Any], name: str, tensor: _Tensor) -> NDArray[Any]:
    """Return a tensor; its bounds are checked here, and by NumPy once more."""
    if 0 in tensor.shape:
        return values[:0].reshape(tensor.shape)
    steps = [(size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True)]
    # The second: a stride of 0, which repeats values, makes no tensor larger than its storage.
    if tensor.offset + sum(steps) >= values.size or math.prod(tensor.shape) > values.size:
        raise RefusedError(f"holds {name[:80]!r}, which is larger than its storage")
    strides = [stride * values.itemsize for stride in tensor.strides]
    view: NDArray[Any] = np.ndarray(tensor.shape, values.dtype, values, tensor.offset * values.itemsize, strides)
    return view
